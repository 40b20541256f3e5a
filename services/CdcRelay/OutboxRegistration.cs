using RuleEngineNats.CdcRelay.Outbox;
using RuleEngineNats.CdcRelay.Reconciliation;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay;

internal static class OutboxRegistration
{
    public static void AddOutbox(this IHostApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<RelayOptions>().BindConfiguration(RelayOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<ReconcilerOptions>().BindConfiguration(ReconcilerOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton<RelayStatus>();
        services.AddSingleton<RelayMetrics>();
        services.AddSingleton<RelayConnections>();
        services.AddSingleton<RelayLease>();
        services.AddSingleton<ReplicationSlot>();

        // One of each for a leader's term: what is left of a term that failed is gone with it.
        services.AddScoped<RelayTerm>();
        services.AddScoped<WalProgress>();
        services.AddScoped<InFlightRows>();
        services.AddScoped<StreamGates>();
        services.AddScoped<Wakeups>();
        services.AddScoped<CommitVisibility>();
        services.AddScoped<MarkRows>();
        services.AddScoped<PrepareLargeRow>();
        services.AddScoped<PublishOutboxRow>();
        services.AddScoped<ScanPending>();
        services.AddScoped<RetryParked>();
        services.AddTransient<ReadOutbox>();
        services.AddScoped<PublishAdmission>();
        services.AddScoped<ReconcileTables>();
        services.AddScoped<CompareStream>();
        services.AddScoped<RestoreRows>();
        services.AddScoped<Reconciler>();

        services.AddHostedService<RelayWorker>();
        services.AddHealthChecks().AddCheck<RelayHealth>("relay", tags: ["ready"]);
    }
}
