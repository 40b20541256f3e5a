using Microsoft.Extensions.Diagnostics.HealthChecks;
using RuleEngineNats.DeliveryWorker.Queue;

namespace RuleEngineNats.DeliveryWorker.Health;

/// <summary>Whether calls of the PostgreSQL queue are being taken up.</summary>
internal sealed class QueueCheck(QueuePump pump) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        => Task.FromResult(pump.Problem is { } problem ? HealthCheckResult.Unhealthy("the queue cannot be read: " + problem) : HealthCheckResult.Healthy());
}
