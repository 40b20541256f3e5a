using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Trace;

namespace RuleEngineNats.ServiceDefaults;

internal static class Telemetry
{
    // The runtime and HttpClient report by themselves since .NET 9, without a package; ASP.NET Core 10 names its spans and fills them in only with one.
    private static readonly string[] Sources = ["RuleEngineNats", "System.Net.Http", "NATS.Net", "Npgsql"];

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
            telemetry.WithTracing(tracing => tracing.AddSource(Sources).AddAspNetCoreInstrumentation().AddProcessor<HousekeepingIsNoTrace>());
            telemetry.UseOtlpExporter();
        }
    }

    /// <summary>
    /// Probes come every few seconds, and statements of a service's own loops (claims, marks, leases) many a second: they would bury the traces that
    /// matter. What is part of a request or an event has its span above it and stays.
    /// </summary>
    private sealed class HousekeepingIsNoTrace : BaseProcessor<Activity>
    {
        public override void OnEnd(Activity data)
        {
            var top = data;
            while (top.Parent is { } parent)
            {
                top = parent;
            }

            if (IsProbe(top) || IsLoneStatement(top))
            {
                data.ActivityTraceFlags &= ~ActivityTraceFlags.Recorded;
            }
        }

        private static bool IsProbe(Activity top)
            => top.GetTagItem("url.path") is string path && path.StartsWith(HealthEndpoints.Prefix, StringComparison.Ordinal);

        private static bool IsLoneStatement(Activity top) => top.Source.Name == "Npgsql" && top.ParentSpanId == default;
    }
}
