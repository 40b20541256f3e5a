namespace RuleEngineNats.PublishService.Publishing;

internal static class PublishingRegistration
{
    public static void AddPublishing(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<PublishEvent>();
        builder.Services.AddSingleton<PublishEvents>();
        builder.Services.AddGrpc();
        builder.Services.AddGrpcHealthChecks();
        builder.Services.AddGrpcReflection();
    }

    public static void MapPublishing(this WebApplication app)
    {
        app.MapGrpcService<PublishGrpcService>();
        app.MapGrpcHealthChecksService();
        if (app.Environment.IsDevelopment())
        {
            app.MapGrpcReflectionService();
        }
    }
}
