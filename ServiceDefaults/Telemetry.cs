using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Trace;

namespace RuleEngineNats.ServiceDefaults;

internal static class Telemetry
{
    // The runtime, ASP.NET Core and HttpClient report by themselves since .NET 9: no instrumentation packages are needed.
    private static readonly string[] Sources = ["RuleEngineNats", "Microsoft.AspNetCore", "System.Net.Http", "NATS.Net", "Npgsql"];

    private static readonly string[] Meters =
    [
        "RuleEngineNats", "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "System.Net.Http", "System.Runtime", "Npgsql",
    ];

    public static void AddTelemetry(this IHostApplicationBuilder builder)
    {
        builder.Logging.AddOpenTelemetry(logging =>
        {
            logging.IncludeFormattedMessage = true;
            logging.IncludeScopes = true;
        });
        var telemetry = builder.Services.AddOpenTelemetry()
            .WithMetrics(metrics => metrics.AddMeter(Meters));

        // Without anywhere to send them spans would only cost: with a listener the NATS client makes one for every message.
        if (!string.IsNullOrWhiteSpace(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]))
        {
            telemetry.WithTracing(tracing => tracing.AddSource(Sources).AddProcessor<HealthRequestsAreNoTraces>());
            telemetry.UseOtlpExporter();
        }
    }

    /// <summary>Probes come every few seconds and would bury the traces that matter.</summary>
    private sealed class HealthRequestsAreNoTraces : BaseProcessor<Activity>
    {
        public override void OnEnd(Activity data)
        {
            if (data.GetTagItem("url.path") is string path && path.StartsWith(HealthEndpoints.Prefix, StringComparison.Ordinal))
            {
                data.ActivityTraceFlags &= ~ActivityTraceFlags.Recorded;
            }
        }
    }
}
