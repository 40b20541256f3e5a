namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>
/// Decides how far the slot may be confirmed: up to the end of the last transaction before which every row is settled. Settled means
/// that the table says all there is to know: stored, refused, or pending for the scan to find.
/// </summary>
internal sealed class WalProgress
{
    private readonly Lock _gate = new();
    private readonly Queue<Transaction> _transactions = new();
    private ulong _confirmed;

    /// <summary>How many transactions wait for a row of theirs, or of one before them.</summary>
    public int Outstanding
    {
        get
        {
            lock (_gate)
            {
                return _transactions.Count;
            }
        }
    }

    /// <summary>Everything that ends at or before this position is settled; 0 until that is known of anything.</summary>
    public ulong Confirmed
    {
        get
        {
            lock (_gate)
            {
                return _confirmed;
            }
        }
    }

    /// <summary>The WAL brought the begin of a transaction; transactions come in the order of their commits.</summary>
    public Transaction Begin()
    {
        var transaction = new Transaction(this);
        lock (_gate)
        {
            _transactions.Enqueue(transaction);
        }

        return transaction;
    }

    /// <summary>
    /// The server has sent all it has up to <paramref name="received"/>. With nothing outstanding that is settled as well, so an idle
    /// outbox does not hold back the WAL of a busy server.
    /// </summary>
    /// <param name="received">Must have been read before this call: a transaction that came in between is then outstanding here.</param>
    public void Idle(ulong received)
    {
        lock (_gate)
        {
            if (_transactions.Count == 0 && received > _confirmed)
            {
                _confirmed = received;
            }
        }
    }

    private void Advance()
    {
        while (_transactions.TryPeek(out var first) && first is { EndLsn: > 0, Unsettled: 0 })
        {
            _transactions.Dequeue();
            _confirmed = Math.Max(_confirmed, first.EndLsn);
        }
    }

    internal sealed class Transaction(WalProgress progress)
    {
        public ulong EndLsn { get; private set; }

        public int Unsettled { get; private set; }

        public void RowTaken()
        {
            lock (progress._gate)
            {
                Unsettled++;
            }
        }

        public void RowSettled()
        {
            lock (progress._gate)
            {
                if (--Unsettled == 0)
                {
                    progress.Advance();
                }
            }
        }

        /// <summary>The WAL brought the end of this transaction: no further row of it will come.</summary>
        public void Ended(ulong endLsn)
        {
            lock (progress._gate)
            {
                EndLsn = endLsn;
                progress.Advance();
            }
        }
    }
}
