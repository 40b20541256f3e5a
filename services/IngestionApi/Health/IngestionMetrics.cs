using System.Diagnostics.Metrics;
using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.IngestionApi.Health;

/// <summary>What this process counts, for /stats and as metrics: under the names that the ingestion plan gives them.</summary>
internal static class IngestionMetrics
{
    private static readonly Counter<long> Received = Telemetry.Meter.CreateCounter<long>(
        "ingestion_messages_total", "{document}", "Documents that were sent here, single ones and those of batches.");

    private static readonly Counter<long> Queued = Telemetry.Meter.CreateCounter<long>(
        "ingestion_messages_queued", "{document}", "Documents that were accepted: they are stored in the stream.");

    private static readonly Counter<long> Failed = Telemetry.Meter.CreateCounter<long>(
        "ingestion_messages_failed", "{document}", "Documents that were not accepted, by code.");

    private static readonly Histogram<double> Latency = Telemetry.Meter.CreateHistogram<double>(
        "ingestion_latency_seconds", "s", "Time from a document's last byte to its acknowledgement by the stream.",
        advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] });

    private static long _accepted;
    private static long _rejected;
    private static long _unavailable;

    public static long AcceptedHere => Interlocked.Read(ref _accepted);

    public static long RejectedHere => Interlocked.Read(ref _rejected);

    public static long UnavailableHere => Interlocked.Read(ref _unavailable);

    public static void Accepted(TimeSpan latency)
    {
        AcceptedLines(1);
        Latency.Record(latency.TotalSeconds);
    }

    public static void AcceptedLines(int count)
    {
        Interlocked.Add(ref _accepted, count);
        Received.Add(count);
        Queued.Add(count);
    }

    public static void Refused(Refusal refusal)
    {
        Interlocked.Increment(ref refusal.IsUnavailable ? ref _unavailable : ref _rejected);
        Received.Add(1);
        Failed.Add(1, new KeyValuePair<string, object?>("ingestion.code", refusal.Code));
    }
}
