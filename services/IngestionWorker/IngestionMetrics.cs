using System.Diagnostics.Metrics;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.IngestionWorker;

/// <summary>What the worker counts.</summary>
internal static class IngestionMetrics
{
    private static readonly Counter<long> Persisted = Telemetry.Meter.CreateCounter<long>(
        "ingestion_messages_persisted", "{document}", "Documents whose rows are committed.");

    private static readonly Counter<long> Failed = Telemetry.Meter.CreateCounter<long>(
        "ingestion_messages_failed", "{document}", "Attempts that failed, by code and by whether the document became a dead letter.");

    private static readonly Histogram<double> Latency = Telemetry.Meter.CreateHistogram<double>(
        "ingestion_db_latency_seconds", "s", "Time of one transaction that stored documents.",
        advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] });

    public static void Stored(int documents, TimeSpan time)
    {
        Persisted.Add(documents);
        Latency.Record(time.TotalSeconds);
    }

    public static void Failure(string code, bool dead) => Failed.Add(1, new("ingestion.code", code), new("ingestion.dead_letter", dead));

    /// <summary>Reports how many documents the stream has that are not settled.</summary>
    public static void ObserveDepth(Func<long> depth)
        => Telemetry.Meter.CreateObservableGauge("ingestion_queue_depth", depth, "{document}", "Documents in the stream that are not stored yet, over all workers.");
}
