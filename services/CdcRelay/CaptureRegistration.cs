using RuleEngineNats.CdcRelay.Captures;

namespace RuleEngineNats.CdcRelay;

internal static class CaptureRegistration
{
    public static void AddCaptures(this IHostApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<ChangesOptions>().BindConfiguration(ChangesOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<CaptureTables>();
        services.AddSingleton<CreateCapture>();
        services.AddSingleton<CaptureBoard>();
        services.AddHostedService<CaptureWorker>();
        services.AddHealthChecks().AddCheck<CaptureHealth>("captures", tags: ["ready"]);
    }
}
