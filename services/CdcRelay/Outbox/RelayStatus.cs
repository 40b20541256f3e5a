namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>What the relay is doing, for health and metrics.</summary>
internal sealed class RelayStatus
{
    private readonly Lock _gate = new();
    private RelayPhase _phase = new RelayPhase.Starting("not started yet");
    private string? _recovering;
    private IReadOnlyDictionary<string, string> _unavailable = new Dictionary<string, string>();

    public RelayPhase Phase
    {
        get
        {
            lock (_gate)
            {
                return _phase;
            }
        }
    }

    /// <summary>Why rows may be missing from the stream although the WAL is read: a slot was lost and the scan has not been through yet.</summary>
    public string? Recovering
    {
        get
        {
            lock (_gate)
            {
                return _recovering;
            }
        }
    }

    /// <summary>Streams that are left alone at the moment, with the reason.</summary>
    public IReadOnlyDictionary<string, string> UnavailableStreams
    {
        get
        {
            lock (_gate)
            {
                return _unavailable;
            }
        }
    }

    /// <summary>WAL the server keeps because the slot has not moved past it.</summary>
    public long LagBytes { get; private set; }

    /// <summary>Pending rows that wait for another try.</summary>
    public long ParkedRows { get; private set; }

    public void Failed(string reason) => Set(new RelayPhase.Starting(reason));

    public void Standby(string leader) => Set(new RelayPhase.Standby(leader));

    public void Polling(string reason) => Set(new RelayPhase.Polling(reason));

    public void Streaming(string slot) => Set(new RelayPhase.Streaming(slot));

    public void SlotLost(string reason)
    {
        lock (_gate)
        {
            _recovering = reason;
        }
    }

    public void ScannedThrough()
    {
        lock (_gate)
        {
            _recovering = null;
        }
    }

    public void Measured(long lagBytes, long parkedRows, IReadOnlyDictionary<string, string> unavailable)
    {
        lock (_gate)
        {
            (LagBytes, ParkedRows, _unavailable) = (lagBytes, parkedRows, unavailable);
        }
    }

    private void Set(RelayPhase phase)
    {
        lock (_gate)
        {
            _phase = phase;
        }
    }
}

/// <summary>Where the relay is between its start and reading the WAL.</summary>
internal abstract record RelayPhase
{
    /// <summary>Not working; the reason is what the last attempt failed with.</summary>
    internal sealed record Starting(string Reason) : RelayPhase;

    /// <summary>Another relay works.</summary>
    internal sealed record Standby(string Leader) : RelayPhase;

    /// <summary>Rows are found by polling the table.</summary>
    internal sealed record Polling(string Reason) : RelayPhase;

    /// <summary>Rows come through the slot.</summary>
    internal sealed record Streaming(string Slot) : RelayPhase;
}
