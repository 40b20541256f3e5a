using Microsoft.Extensions.Options;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>
/// Whether it is worth while to publish to a stream now. After a failure that concerns the stream as a whole its rows wait in the
/// table; once the pause is over one row goes as a probe, and its success lets all others follow. So an outage costs
/// one publish per pause instead of one per row, and nothing is held in memory meanwhile.
/// </summary>
internal sealed class StreamGates(IOptions<RelayOptions> options, TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Closed> _closed = new(StringComparer.Ordinal);

    /// <summary>Names of the streams that are left alone, with the reason.</summary>
    public IReadOnlyDictionary<string, string> Unavailable
    {
        get
        {
            lock (_gate)
            {
                return _closed.ToDictionary(gate => gate.Key, gate => gate.Value.Reason, StringComparer.Ordinal);
            }
        }
    }

    /// <summary>What a publish would meet; asking changes nothing.</summary>
    /// <param name="gate">See <see cref="Destination"/>.</param>
    public GateState State(string gate)
    {
        lock (_gate)
        {
            return !_closed.TryGetValue(gate, out var closed) ? GateState.Open
                : closed.Probing || time.GetUtcNow() < closed.Until ? GateState.Closed
                : GateState.Probe;
        }
    }

    /// <summary>True where a publish may be tried; behind a closed gate that is so for one probe at a time.</summary>
    public bool MayPublish(string gate)
    {
        lock (_gate)
        {
            var state = State(gate);
            if (state is GateState.Probe)
            {
                _closed[gate].Probing = true;
            }

            return state is not GateState.Closed;
        }
    }

    /// <summary>Says that what <see cref="MayPublish"/> allowed was not sent after all: another may be the probe.</summary>
    public void Withdraw(string gate)
    {
        lock (_gate)
        {
            if (_closed.TryGetValue(gate, out var closed))
            {
                closed.Probing = false;
            }
        }
    }

    public void Observe(string gate, PublishOutcome outcome)
    {
        lock (_gate)
        {
            if (outcome is not PublishOutcome.Unavailable unavailable)
            {
                // Also a refusal shows that the stream answers.
                _closed.Remove(gate);
                return;
            }

            if (!_closed.TryGetValue(gate, out var closed))
            {
                if (!ConcernsStream(unavailable.Reason))
                {
                    return;
                }

                closed = _closed[gate] = new();
            }
            else if (!closed.Probing && time.GetUtcNow() < closed.Until)
            {
                // One of the many that were under way when the gate closed: not another failure.
                return;
            }

            closed.Failures++;
            closed.Probing = false;
            closed.Reason = $"{unavailable.Reason}: {unavailable.Message}";
            closed.Until = time.GetUtcNow() + RetryPause.After(closed.Failures, options.Value.RetryMinimum, options.Value.RetryMaximum);
        }
    }

    // A server error may be about this one message: it must not hold up the others (the row itself waits longer each time).
    private static bool ConcernsStream(UnavailableReason reason) => reason is not UnavailableReason.ServerError;

    private sealed class Closed
    {
        public int Failures { get; set; }

        public bool Probing { get; set; }

        public DateTimeOffset Until { get; set; }

        public string Reason { get; set; } = "";
    }
}

/// <summary>Whether rows may go to a stream.</summary>
internal enum GateState
{
    /// <summary>All of them.</summary>
    Open,

    /// <summary>One, to see whether the stream answers again.</summary>
    Probe,

    /// <summary>None for now.</summary>
    Closed,
}
