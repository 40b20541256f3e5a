using System.Diagnostics.Metrics;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker;

/// <summary>What the worker counts, under OpenTelemetry names.</summary>
internal static class DeliveryMetrics
{
    private static readonly Histogram<double> Duration = Telemetry.Meter.CreateHistogram<double>(
        "rule.delivery.duration", "s", "Time of one HTTP attempt, by outcome.",
        advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] });

    private static readonly UpDownCounter<int> Active = Telemetry.Meter.CreateUpDownCounter<int>("rule.delivery.active", "{request}", "HTTP attempts under way.");
    private static readonly Counter<long> Skipped = Telemetry.Meter.CreateCounter<long>(
        "rule.delivery.skipped", "{delivery}", "Deliveries that were not repeated because their outcome is recorded or the other path has them.");

    private static readonly Counter<long> SpilledEvents = Telemetry.Meter.CreateCounter<long>(
        "rule.delivery.spilled", "{event}", "Events left to the queue because their endpoint could not take them, by reason: concurrency, rate_limit, circuit_open.");

    private static readonly Counter<long> DetachedAttempts = Telemetry.Meter.CreateCounter<long>(
        "rule.delivery.detached", "{attempt}", "Attempts that took so long that they went on without holding a place of their stream.");

    public static void Spilled(string reason) => SpilledEvents.Add(1, new KeyValuePair<string, object?>("rule.delivery.reason", reason));

    public static void Detached() => DetachedAttempts.Add(1);

    /// <summary>Reports the circuits that are open over all workers.</summary>
    public static void ObserveCircuits(Func<int> open)
        => Telemetry.Meter.CreateObservableGauge("rule.delivery.circuits_open", open, "{endpoint}", "Endpoints whose circuit is open.");

    private static readonly Counter<long> Filtered = Telemetry.Meter.CreateCounter<long>(
        "rule.delivery.filtered", "{delivery}", "Deliveries that were not made because the webhook's content_filter does not let the event through.");

    public static void Attempted(DeliveryOutcome outcome, TimeSpan duration)
        => Duration.Record(duration.TotalSeconds, new("rule.delivery.outcome", outcome.Code), new("http.response.status_code", outcome.Status));

    public static void SkippedDeliveries(int count) => Skipped.Add(count);

    public static void FilteredDeliveries(int count) => Filtered.Add(count);

    public static InFlight Sending()
    {
        Active.Add(1);
        return default;
    }

    public readonly struct InFlight : IDisposable
    {
        public void Dispose() => Active.Add(-1);
    }
}
