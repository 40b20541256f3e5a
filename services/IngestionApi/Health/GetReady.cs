using Microsoft.Extensions.Diagnostics.HealthChecks;
using RuleEngineNats.IngestionApi.Problems;

namespace RuleEngineNats.IngestionApi.Health;

/// <summary>Whether this process can accept.</summary>
/// <param name="Ready">true.</param>
/// <param name="Timestamp">Now.</param>
internal sealed record Readiness(bool Ready, DateTimeOffset Timestamp);

/// <summary>GET /ready: 200 while documents can be accepted, which takes nats-server and the streams, and PostgreSQL once at the start.</summary>
internal static class GetReady
{
    public static async Task<IResult> HandleAsync(HealthCheckService checks, TimeProvider time, CancellationToken cancellationToken)
    {
        var report = await checks.CheckHealthAsync(cancellationToken);
        if (report.Status != HealthStatus.Unhealthy)
        {
            return Results.Ok(new Readiness(true, time.GetUtcNow()));
        }

        var missing = report.Entries.Where(entry => entry.Value.Status == HealthStatus.Unhealthy).Select(entry => $"{entry.Key}: {entry.Value.Description ?? "not healthy"}");
        return new Refusal(503, "not_ready", "", string.Join("; ", missing), "Wait, or see why what is named is missing.") { RetryAfterSeconds = 2 }.ToProblem().ToResult();
    }
}
