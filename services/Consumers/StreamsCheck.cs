using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace RuleEngineNats.Consumers;

/// <summary>Whether the consumer of every stream that is taken from is there and being pulled from.</summary>
/// <param name="pumps">The pumps.</param>
/// <param name="noStream">What is wrong when there is no stream; null when that is nothing.</param>
internal sealed class StreamsCheck(StreamPumps pumps, string? noStream = null) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        if (!pumps.Following)
        {
            return Task.FromResult(HealthCheckResult.Unhealthy("streams are not known before the configuration is"));
        }

        if (pumps.Pumps.Count == 0 && noStream is not null)
        {
            return Task.FromResult(HealthCheckResult.Unhealthy(noStream));
        }

        var problems = pumps.Pumps.Where(pump => pump.Problem is not null).Select(pump => $"{pump.Stream}: {pump.Problem}").ToArray();
        var differences = pumps.Pumps.Where(pump => pump.Difference is not null).Select(pump => $"{pump.Stream}: the consumer differs ({pump.Difference})").ToArray();
        return Task.FromResult(
            problems.Length > 0 ? HealthCheckResult.Unhealthy(string.Join("; ", problems))
            : differences.Length > 0 ? HealthCheckResult.Degraded(string.Join("; ", differences))
            : HealthCheckResult.Healthy());
    }
}
