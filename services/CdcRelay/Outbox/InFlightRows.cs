namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>The rows between being read and being settled, whichever path brought them.</summary>
internal sealed class InFlightRows
{
    private readonly Lock _gate = new();
    private readonly Dictionary<long, ulong?> _rows = [];
    private TaskCompletionSource? _empty;

    /// <summary>False when another path has the row in hand already.</summary>
    /// <param name="parked">The table of parked rows has it: the scan need not find it again.</param>
    public bool TryTake(OutboxRow row, bool parked)
    {
        lock (_gate)
        {
            return _rows.TryAdd(row.PublishId, parked ? null : row.Xid);
        }
    }

    public void Settle(long publishId)
    {
        lock (_gate)
        {
            _rows.Remove(publishId);
            if (_rows.Count == 0)
            {
                _empty?.TrySetResult();
            }
        }
    }

    /// <summary>Which rows are in hand at this moment, and the transactions of those that are not parked.</summary>
    public (long[] PublishIds, ulong[] Xids) Snapshot()
    {
        lock (_gate)
        {
            return ([.. _rows.Keys], [.. _rows.Values.OfType<ulong>().Distinct()]);
        }
    }

    public Task EmptyAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_rows.Count == 0)
            {
                return Task.CompletedTask;
            }

            _empty ??= new(TaskCreationOptions.RunContinuationsAsynchronously);
            return _empty.Task.WaitAsync(cancellationToken);
        }
    }
}
