using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ChangeCapture.Guard;

/// <summary>The captures of this process in the meter that all services share, each with its slot as a tag.</summary>
internal static class CaptureMetrics
{
    private static readonly ConcurrentDictionary<string, CaptureStatus> Captures = new();

    static CaptureMetrics()
    {
        Telemetry.Meter.CreateObservableCounter("rule.cdc.events", () => Measure(status => status.Events), "{event}", "Events written to the outputs");
        Telemetry.Meter.CreateObservableGauge("rule.cdc.slot.held", () => Measure(status => status.Slot?.HeldBytes), "By", "WAL that the server keeps for the slot");
        Telemetry.Meter.CreateObservableGauge("rule.cdc.slot.behind", () => Measure(status => status.Slot?.BehindBytes), "By", "WAL written since what is confirmed");
        Telemetry.Meter.CreateObservableGauge("rule.cdc.slot.safe", () => Measure(status => status.Slot?.SafeBytes), "By", "WAL that may be written before the slot is in danger");
        Telemetry.Meter.CreateObservableGauge("rule.cdc.slot.lost", () => Measure(status => status.Slot is { } slot ? slot.IsLost ? 1 : 0 : null), "{slot}", "1 when the slot has lost its WAL");
        Telemetry.Meter.CreateObservableGauge("rule.cdc.lag", () => Seconds(), "s", "Time of the last heartbeat from PostgreSQL through the slot");
    }

    public static void Add(string slot, CaptureStatus status) => Captures[slot] = status;

    public static void Remove(string slot) => Captures.TryRemove(slot, out _);

    private static IEnumerable<Measurement<long>> Measure(Func<CaptureStatus, long?> value)
        => from capture in Captures let measured = value(capture.Value) where measured is not null select new Measurement<long>(measured.Value, Tag(capture.Key));

    private static IEnumerable<Measurement<double>> Seconds()
        => from capture in Captures let lag = capture.Value.Lag where lag is not null select new Measurement<double>(lag.Value.TotalSeconds, Tag(capture.Key));

    private static KeyValuePair<string, object?> Tag(string slot) => new("slot", slot);
}
