using System.Diagnostics.Metrics;
using RuleEngineNats.CdcRelay.Reconciliation;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>Counters and gauges of the outbox, in the meter that all services share.</summary>
internal sealed class RelayMetrics
{
    private readonly Counter<long> _rows;
    private readonly Histogram<double> _latency;
    private readonly Counter<long> _reconciled;

    public RelayMetrics(RelayStatus status)
    {
        _rows = Telemetry.Meter.CreateCounter<long>("rule.relay.rows", "{row}", "Rows marked, by outcome");
        _latency = Telemetry.Meter.CreateHistogram<double>("rule.relay.latency", "s", "From the caller's commit to the PubAck");
        _reconciled = Telemetry.Meter.CreateCounter<long>("rule.reconciler.rows", "{row}", "Stored rows compared with their stream, by result");
        Telemetry.Meter.CreateObservableGauge("rule.relay.lag", () => status.LagBytes, "By", "WAL that the server keeps for the relay's slot");
        Telemetry.Meter.CreateObservableGauge("rule.relay.pending", () => status.ParkedRows, "{row}", "Pending rows that wait for another try");
    }

    public void Marked(Mark mark)
    {
        _rows.Add(1, new KeyValuePair<string, object?>("outcome", mark.Outcome.GetType().Name));
        if (mark.Outcome is PublishOutcome.Stored)
        {
            _latency.Record(mark.Latency.TotalSeconds);
        }
    }

    public void Reconciled(in RunCounts run)
    {
        Add("compared", run.Checked);
        Add("missing", run.Missing);
        Add("republished", run.Republished);
        Add("found_elsewhere", run.Duplicates);
        Add("unrecoverable", run.Unrecoverable);

        void Add(string result, long rows) => _reconciled.Add(rows, new KeyValuePair<string, object?>("result", result));
    }
}
