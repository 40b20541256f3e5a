using Microsoft.Extensions.Diagnostics.HealthChecks;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Messaging;

/// <summary>
/// Not ready until the configuration tables have been read once; a later outage of PostgreSQL leaves the last snapshot in use. A secret that cannot be read
/// concerns one webhook or configuration: it is said, and the rest works.
/// </summary>
internal sealed class ConfigurationHealth(ConfigWatcher watcher) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        => Task.FromResult(
            !watcher.HasSnapshot ? HealthCheckResult.Unhealthy("the configuration has not been read from PostgreSQL yet")
            : string.Join("; ", watcher.Current.SecretProblems) is { Length: > 0 } problems ? HealthCheckResult.Degraded(problems)
            : HealthCheckResult.Healthy());
}

/// <summary>Not ready while no connection to nats-server can publish.</summary>
internal sealed class NatsHealth(NatsConnections connections, ConfigWatcher watcher) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        => Task.FromResult(watcher.HasSnapshot && connections.Get(ConnectionNames.DefaultConfig).IsHealthy
            ? HealthCheckResult.Healthy()
            : HealthCheckResult.Unhealthy("no connection to nats-server"));
}
