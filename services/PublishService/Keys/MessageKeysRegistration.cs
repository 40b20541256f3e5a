namespace RuleEngineNats.PublishService.Keys;

internal static class MessageKeysRegistration
{
    public static void AddMessageKeys(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<MessageKeys>();
        builder.Services.AddHostedService(services => services.GetRequiredService<MessageKeys>());
        builder.Services.AddSingleton<PendingEvents>();
    }
}
