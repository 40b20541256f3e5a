namespace RuleEngineNats.DeliveryWorker.Replays;

internal static class ReplayRegistration
{
    public static void AddReplays(this IServiceCollection services)
    {
        services.AddOptions<ReplayOptions>().BindConfiguration(ReplayOptions.Section).ValidateDataAnnotations()
            .Validate(static options => options.Lease >= 2 * options.RenewEvery, "Replays:Lease must be at least twice Replays:RenewEvery, or a replay is taken from a worker that has it.")
            .ValidateOnStart();
        services.AddSingleton<ReplayRows>();
        services.AddSingleton<SelectEvents>();
        services.AddSingleton<RunReplay>();
        services.AddHostedService<ReplayWorker>();
    }
}
