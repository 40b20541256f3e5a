using Npgsql;

namespace RuleEngineNats.DeliveryWorker.Isolation;

/// <summary>What this process knows of one endpoint beside its configuration, over all of its versions.</summary>
internal sealed class EndpointState(int webhookId, NpgsqlDataSource database, DeliveryOptions options, TimeProvider time)
{
    public EndpointGate Gate { get; } = new(time);

    public FailureWindow Window { get; } = new(time);

    public RetryBudget Retries { get; } = new(options.RetryShare, options.RetriesPerSecond, time);

    public RateTokens Rate { get; } = new(webhookId, database, time);
}
