using Microsoft.Extensions.Diagnostics.HealthChecks;
using RuleEngineNats.IngestionWorker.Pumping;
using RuleEngineNats.IngestionWorker.Storing;

namespace RuleEngineNats.IngestionWorker;

/// <summary>Whether documents are being taken and stored, or what they wait for.</summary>
internal sealed class PumpCheck(BatchPump pump, Obstacles obstacles) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        string[] reasons = [.. pump.Problem is { } problem ? (string[])[problem] : [], .. obstacles.Reasons];
        return Task.FromResult(
            reasons.Length > 0 ? HealthCheckResult.Unhealthy(string.Join("; ", reasons))
            : pump.Difference is { } difference ? HealthCheckResult.Degraded($"the consumer differs ({difference})")
            : HealthCheckResult.Healthy());
    }
}
