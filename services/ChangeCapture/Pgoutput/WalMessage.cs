using RuleEngineNats.ChangeCapture.Snapshots;

namespace RuleEngineNats.ChangeCapture.Pgoutput;

/// <summary>A message of pgoutput, protocol version 2. Times are microseconds since 2000-01-01 UTC.</summary>
internal abstract record WalMessage
{
    internal sealed record Begin(ulong CommitLsn, long CommitTime, uint Xid) : WalMessage;

    internal sealed record Commit(ulong CommitLsn, ulong EndLsn, long CommitTime) : WalMessage;

    internal sealed record Origin(ulong CommitLsn, string Name) : WalMessage;

    internal sealed record RelationDescription(Relation Relation) : WalMessage;

    internal sealed record TypeDescription(uint Id, string Schema, string Name) : WalMessage;

    /// <param name="Old">The row before, or its key alone (<paramref name="OldIsKey"/>); null where neither was sent.</param>
    /// <param name="New">The row after; null for a delete.</param>
    internal sealed record Row(RowOperation Operation, Relation Relation, Value[]? Old, bool OldIsKey, Value[]? New) : WalMessage;

    internal sealed record Truncate(Relation[] Relations, bool Cascade, bool RestartIdentity) : WalMessage;

    internal sealed record Logical(bool Transactional, ulong Lsn, string Prefix, ReadOnlyMemory<byte> Content) : WalMessage;

    /// <summary>Not the server's: what a note of the capture's own says (Guard/SlotNotes.cs).</summary>
    /// <param name="FromLsn">Up to here all changes came.</param>
    /// <param name="ToLsn">From here on they do again.</param>
    internal sealed record Gap(ulong FromLsn, ulong ToLsn, string Reason) : WalMessage;

    /// <summary>What stands in the place of a logical message about snapshots.</summary>
    internal sealed record Snapshot(SnapshotEvent Event) : WalMessage;

    internal sealed record StreamStart(uint Xid) : WalMessage;

    internal sealed record StreamStop : WalMessage;

    internal sealed record StreamCommit(uint Xid, ulong CommitLsn, ulong EndLsn, long CommitTime) : WalMessage;

    /// <param name="SubXid">The subtransaction that was rolled back; equal to <paramref name="Xid"/> for the whole.</param>
    internal sealed record StreamAbort(uint Xid, uint SubXid) : WalMessage;
}

/// <summary>What happened to a row.</summary>
internal enum RowOperation
{
    Insert,
    Update,
    Delete,

    /// <summary>Nothing: a snapshot read it.</summary>
    Read,
}
