using Microsoft.Extensions.Diagnostics.HealthChecks;
using RuleEngineNats.DeliveryWorker.Streams;

namespace RuleEngineNats.DeliveryWorker.Health;

/// <summary>Whether the consumer of every enabled stream is there and being pulled from.</summary>
internal sealed class StreamsCheck(StreamPumps pumps) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        if (!pumps.Following)
        {
            return Task.FromResult(HealthCheckResult.Unhealthy("streams are not known before the configuration is"));
        }

        var problems = pumps.Pumps.Where(pump => pump.Problem is not null).Select(pump => $"{pump.Stream}: {pump.Problem}").ToArray();
        var differences = pumps.Pumps.Where(pump => pump.Difference is not null).Select(pump => $"{pump.Stream}: the consumer differs ({pump.Difference})").ToArray();
        return Task.FromResult(
            problems.Length > 0 ? HealthCheckResult.Unhealthy(string.Join("; ", problems))
            : differences.Length > 0 ? HealthCheckResult.Degraded(string.Join("; ", differences))
            : HealthCheckResult.Healthy());
    }
}
