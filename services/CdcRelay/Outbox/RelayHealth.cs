using Microsoft.Extensions.Diagnostics.HealthChecks;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>
/// Ready while events can get from PostgreSQL to NATS. What is slower than it should be, or stuck for one stream only, is said but does not
/// make it unready.
/// </summary>
internal sealed class RelayHealth(RelayStatus status, NatsConnections nats) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        => Task.FromResult(Check(status.Phase, status.Recovering, status.UnavailableStreams, nats.Get(ConnectionNames.DefaultConfig).IsHealthy));

    internal static HealthCheckResult Check(RelayPhase phase, string? recovering, IReadOnlyDictionary<string, string> unavailable, bool natsConnected)
    {
        if (phase is RelayPhase.Starting starting)
        {
            return HealthCheckResult.Unhealthy($"not relaying: {starting.Reason}");
        }

        if (recovering is not null)
        {
            return HealthCheckResult.Unhealthy(recovering);
        }

        if (!natsConnected)
        {
            return HealthCheckResult.Unhealthy("NATS: no connection");
        }

        return phase switch
        {
            RelayPhase.Polling polling => HealthCheckResult.Degraded(polling.Reason),
            RelayPhase.Standby standby => HealthCheckResult.Healthy($"standing by for {standby.Leader}"),
            _ when unavailable.Count > 0 => HealthCheckResult.Degraded(
                string.Join("; ", unavailable.Select(stream => $"stream {stream.Key}: {stream.Value}"))),
            _ => HealthCheckResult.Healthy(),
        };
    }
}
