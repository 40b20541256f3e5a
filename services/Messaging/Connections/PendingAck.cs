using System.Threading.Tasks.Sources;

namespace RuleEngineNats.Messaging;

/// <summary>
/// One awaited acknowledgement. It keeps its reply subject and is used again after an answer; after a timeout or a lost connection it is
/// thrown away, because an answer may still come and must not complete the next publish.
/// </summary>
internal sealed class PendingAck(long number, string replySubject) : IValueTaskSource<PubAck>
{
    // Low bit: waiting. The rest counts the uses, so that whoever decided to end an earlier use cannot end this one.
    private long _state;
    private ManualResetValueTaskSourceCore<PubAck> _completion;

    public long Number { get; } = number;

    public string ReplySubject { get; } = replySubject;

    /// <summary>Timestamp (TimeProvider) at which the wait ends.</summary>
    public long Deadline { get; private set; }

    /// <summary>Identifies the current use while it waits; 0 when it does not.</summary>
    public long Use
    {
        get
        {
            var state = Volatile.Read(ref _state);
            return (state & 1) == 1 ? state : 0;
        }
    }

    public void Begin(long deadline)
    {
        _completion.Reset();
        Deadline = deadline;
        Volatile.Write(ref _state, _state + 1);
    }

    public ValueTask<PubAck> WaitAsync() => new(this, _completion.Version);

    public bool TryComplete(in PubAck ack) => Use is var use && use != 0 && TryComplete(use, ack);

    public bool TryComplete(long use, in PubAck ack)
    {
        if (Interlocked.CompareExchange(ref _state, use + 1, use) != use)
        {
            return false;
        }

        // An answer is followed up on the thread that read it: the publisher's next await gives the thread back, and a hop to the pool for every
        // acknowledgement would cost more than what it has to do. The other ends come from timers and callbacks, which are not to be held up.
        _completion.RunContinuationsAsynchronously = ack.Kind != AckKind.Answered;
        _completion.SetResult(ack);
        return true;
    }

    PubAck IValueTaskSource<PubAck>.GetResult(short token) => _completion.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<PubAck>.GetStatus(short token) => _completion.GetStatus(token);

    void IValueTaskSource<PubAck>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
        => _completion.OnCompleted(continuation, state, token, flags);
}
