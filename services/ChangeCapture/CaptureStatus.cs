using RuleEngineNats.ChangeCapture.Guard;

namespace RuleEngineNats.ChangeCapture;

/// <summary>What a capture is doing, for whoever watches it. Safe to read at any time.</summary>
public sealed class CaptureStatus
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<string, string> _stopped = new(StringComparer.Ordinal);
    private CaptureState _state;
    private string? _reason;
    private string? _warning;
    private SlotHealth? _slot;
    private TimeSpan? _lag;
    private long _events;

    /// <summary>Where it is.</summary>
    public CaptureState State
    {
        get
        {
            lock (_gate)
            {
                return _state is CaptureState.Capturing && _stopped.Count > 0 ? CaptureState.Stopped : _state;
            }
        }
    }

    /// <summary>Why it does not capture, or which outputs stand still and why; null while all is well.</summary>
    public string? Reason
    {
        get
        {
            lock (_gate)
            {
                return _reason ?? (_stopped.Count > 0 ? string.Join("; ", _stopped.Select(output => $"{output.Key}: {output.Value}")) : null);
            }
        }
    }

    /// <summary>What the WAL guard says of the slot; null while it has nothing to say.</summary>
    public string? Warning
    {
        get
        {
            lock (_gate)
            {
                return _warning;
            }
        }
    }

    /// <summary>The slot as it was when the guard last looked; null before it has.</summary>
    public SlotHealth? Slot
    {
        get
        {
            lock (_gate)
            {
                return _slot;
            }
        }
    }

    /// <summary>How long the last heartbeat took from PostgreSQL through the slot; null before the first.</summary>
    public TimeSpan? Lag
    {
        get
        {
            lock (_gate)
            {
                return _lag;
            }
        }
    }

    /// <summary>Events written to the outputs since the start.</summary>
    public long Events => Interlocked.Read(ref _events);

    internal void Is(CaptureState state, string? reason)
    {
        lock (_gate)
        {
            (_state, _reason) = (state, reason);
        }
    }

    internal void OutputStopped(string output, string reason)
    {
        lock (_gate)
        {
            _stopped[output] = reason;
        }
    }

    internal void OutputGoesOn(string output)
    {
        lock (_gate)
        {
            _stopped.Remove(output);
        }
    }

    internal void Looked(SlotHealth slot, string? warning)
    {
        lock (_gate)
        {
            (_slot, _warning) = (slot, warning);
        }
    }

    internal void Heartbeat(TimeSpan lag)
    {
        lock (_gate)
        {
            _lag = lag;
        }
    }

    internal void Written(long events) => Interlocked.Exchange(ref _events, events);
}

/// <summary>Where a capture is.</summary>
public enum CaptureState
{
    /// <summary>Preparing the slot and the outputs.</summary>
    Starting,

    /// <summary>Reading the slot.</summary>
    Capturing,

    /// <summary>An output takes nothing: nothing is lost, WAL is held.</summary>
    Stopped,

    /// <summary>PostgreSQL is away; it is tried again.</summary>
    Interrupted,

    /// <summary>Over: stopped, or it cannot go on.</summary>
    Ended,
}
