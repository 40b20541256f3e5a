using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace RuleEngineNats.ServiceDefaults;

/// <summary>What every service of the graph has: telemetry over OTLP, health endpoints and a bounded, orderly shutdown.</summary>
/// <remarks>HTTP clients get no retry handler: a delivery is retried by PostgreSQL alone, and twice at two levels is twice too often.</remarks>
public static class Defaults
{
    /// <summary>Time from the stop signal to the end of the process; what is in flight is finished or given back in it.</summary>
    public static readonly TimeSpan ShutdownTimeout = TimeSpan.FromSeconds(30);

    /// <summary>Registers telemetry, the health checks of the process itself and the shutdown time.</summary>
    public static TBuilder AddServiceDefaults<TBuilder>(this TBuilder builder)
        where TBuilder : IHostApplicationBuilder
    {
        builder.AddTelemetry();
        builder.AddHealth();
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = ShutdownTimeout);
        return builder;
    }

    /// <summary>Maps <c>/health/live</c> and <c>/health/ready</c>.</summary>
    public static WebApplication MapServiceDefaults(this WebApplication app)
    {
        app.MapHealthEndpoints();
        return app;
    }
}
