using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;

namespace RuleEngineNats.ServiceDefaults;

/// <summary>
/// <c>/health/live</c> answers while the process works, whatever its dependencies do, so that an outage of theirs restarts nothing.
/// <c>/health/ready</c> runs every registered check and names those that fail.
/// </summary>
public static class HealthEndpoints
{
    internal const string Prefix = "/health/";

    /// <summary>Maps both endpoints; the answer is 200 or 503 with the failing checks under <c>missing</c>.</summary>
    public static void MapHealthEndpoints(this WebApplication app)
    {
        app.MapHealthChecks(Prefix + "live", new HealthCheckOptions { Predicate = static _ => false, ResponseWriter = WriteAsync }).DisableHttpMetrics();
        app.MapHealthChecks(Prefix + "ready", new HealthCheckOptions { ResponseWriter = WriteAsync }).DisableHttpMetrics();
    }

    internal static void AddHealth(this IHostApplicationBuilder builder)
        => builder.Services.AddHealthChecks().AddCheck<NotStopping>("running");

    private static Task WriteAsync(HttpContext context, HealthReport report)
    {
        var missing = report.Entries
            .Where(entry => entry.Value.Status != HealthStatus.Healthy)
            .Select(entry => new Missing(entry.Key, entry.Value.Description ?? entry.Value.Exception?.Message ?? "not healthy"))
            .ToArray();
        return context.Response.WriteAsJsonAsync(
            new Answer(report.Status == HealthStatus.Unhealthy ? "unavailable" : "ok", missing), JsonSerializerOptions.Web, context.RequestAborted);
    }

    private sealed record Missing(string Name, string Reason);

    private sealed record Answer(string Status, Missing[] Missing);

    /// <summary>A process that was told to stop is not ready, so that load balancers turn away before its listeners close.</summary>
    private sealed class NotStopping(IHostApplicationLifetime lifetime) : IHealthCheck
    {
        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
            => Task.FromResult(lifetime.ApplicationStopping.IsCancellationRequested
                ? HealthCheckResult.Unhealthy("the process is stopping")
                : HealthCheckResult.Healthy());
    }
}
