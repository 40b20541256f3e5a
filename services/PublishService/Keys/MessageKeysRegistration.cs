using Npgsql;

namespace RuleEngineNats.PublishService.Keys;

internal static class MessageKeysRegistration
{
    // The same few statements over and over: planned once per connection instead of each time.
    private const int PreparedStatements = 16;

    public static void Prepare(NpgsqlDataSourceBuilder dataSource) => dataSource.ConnectionStringBuilder.MaxAutoPrepare = PreparedStatements;

    public static void AddMessageKeys(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<MessageKeys>();
        builder.Services.AddHostedService(services => services.GetRequiredService<MessageKeys>());
        builder.Services.AddSingleton<PendingEvents>();
    }
}
