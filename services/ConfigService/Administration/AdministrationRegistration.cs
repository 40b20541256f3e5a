namespace RuleEngineNats.ConfigService.Administration;

internal static class AdministrationRegistration
{
    public static void AddAdministration(this WebApplicationBuilder builder)
    {
        builder.Services.AddGrpc(options => options.Interceptors.Add<AdminStatus>());
        builder.Services.AddGrpcHealthChecks();
        builder.Services.AddGrpcReflection();
    }

    public static void MapAdministration(this WebApplication app)
    {
        app.MapGrpcService<DeliveryAdminService>();
        app.MapGrpcHealthChecksService();
        if (app.Environment.IsDevelopment())
        {
            app.MapGrpcReflectionService();
        }
    }
}
