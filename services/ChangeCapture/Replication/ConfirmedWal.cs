namespace RuleEngineNats.ChangeCapture.Replication;

/// <summary>
/// Decides how far the slot may be confirmed: up to the end of the last transaction before which every event is stored by every output.
/// </summary>
internal sealed class ConfirmedWal
{
    private readonly Lock _gate = new();
    private readonly Queue<(long LastOrdinal, ulong EndLsn)> _ended = new();
    private int _open;
    private ulong _confirmed;
    private ulong _given;

    /// <summary>All events of the transactions that have ended are at or before this one.</summary>
    public long LastOrdinal { get; private set; }

    /// <summary>Nothing more is confirmed, whatever is stored: what has been read since must come again after an interruption.</summary>
    public bool Held { get; set; }

    /// <summary>A new replication session: what was open in the last comes again.</summary>
    public void Restart()
    {
        lock (_gate)
        {
            _open = 0;
        }
    }

    /// <summary>The slot itself was moved: it must never be told to go back.</summary>
    public void MovedTo(ulong lsn)
    {
        lock (_gate)
        {
            (_confirmed, _given) = (Math.Max(_confirmed, lsn), Math.Max(_given, lsn));
        }
    }

    /// <summary>The server sent the begin of a transaction, or the first changes of one that has not committed.</summary>
    public void Begin()
    {
        lock (_gate)
        {
            _open++;
        }
    }

    /// <summary>A transaction was rolled back.</summary>
    public void Abandon()
    {
        lock (_gate)
        {
            _open--;
        }
    }

    /// <summary>The end of a transaction that began has been read.</summary>
    /// <param name="lastOrdinal">All of its events are at or before this one.</param>
    public void End(ulong endLsn, long lastOrdinal)
    {
        lock (_gate)
        {
            _open--;
            _ended.Enqueue((lastOrdinal, endLsn));
            LastOrdinal = lastOrdinal;
        }
    }

    /// <summary>
    /// How far the slot may be confirmed. With nothing outstanding that is what the server has sent, keepalives included, so that an idle
    /// table does not hold back the WAL of a busy server. While a transaction is sent that has not committed, it is not: the driver has seen
    /// its end a moment before we have.
    /// </summary>
    /// <param name="received">How far the server has sent. Must have been read before this call: a transaction that came in between is outstanding here.</param>
    /// <param name="firstUnsettled">Every event before it is stored.</param>
    public ulong Advance(ulong received, Func<long> firstUnsettled)
    {
        lock (_gate)
        {
            var first = firstUnsettled();
            while (_ended.TryPeek(out var ended) && ended.LastOrdinal < first)
            {
                _ended.Dequeue();
                _confirmed = Math.Max(_confirmed, ended.EndLsn);
            }

            if (_open == 0 && _ended.Count == 0 && first == long.MaxValue)
            {
                _confirmed = Math.Max(_confirmed, received);
            }

            _given = Held ? _given : _confirmed;
            return _given;
        }
    }
}
