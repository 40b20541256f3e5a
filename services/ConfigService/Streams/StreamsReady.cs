using Microsoft.Extensions.Diagnostics.HealthChecks;
using RuleEngineNats.ConfigService.Connections;

namespace RuleEngineNats.ConfigService.Streams;

/// <summary>Ready means that the streams exist: whatever waits for this service may publish at once.</summary>
internal sealed class StreamsReady(StreamOwner owner) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        => Task.FromResult(owner.Missing is { } missing ? HealthCheckResult.Unhealthy(missing) : HealthCheckResult.Healthy());
}

internal static class StreamOwnerRegistration
{
    public static void AddStreamOwner(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<EffectiveUrls>();
        builder.Services.AddSingleton<ServerStreams>();
        builder.Services.AddSingleton<StreamOwner>();
        builder.Services.AddHostedService(services => services.GetRequiredService<StreamOwner>());
        builder.Services.AddHealthChecks().AddCheck<StreamsReady>("streams", tags: ["ready"]);
    }
}
