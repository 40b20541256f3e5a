namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>
/// Decides from which transaction on the next scan has to look.
/// </summary>
/// <remarks>
/// Why no late commit is missed: <c>enqueued_xid</c> is the transaction's own number, and a snapshot's xmin is at or below the number
/// of every transaction that is still running or not yet begun, prepared ones included. So a row that becomes visible after the
/// snapshot has a number at or above its xmin, whatever its publish_id (drawn early, or from a cached sequence range) and whatever
/// its timestamps. Rows below xmin are all visible, and the scan that used this snapshot has parked the pending ones among
/// them, except those the relay holds in flight: the mark stays at or below these.
/// </remarks>
internal static class LowWaterMark
{
    public static ulong After(ulong current, ulong snapshotXmin, IEnumerable<ulong> xidsInFlight)
    {
        var mark = snapshotXmin;
        foreach (var xid in xidsInFlight)
        {
            mark = Math.Min(mark, xid);
        }

        // Beyond the snapshot it is another cluster's: the database was restored into this one.
        return current > snapshotXmin ? mark : Math.Max(mark, current);
    }
}
