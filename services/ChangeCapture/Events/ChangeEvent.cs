using RuleEngineNats.ChangeCapture.Pgoutput;
using RuleEngineNats.ChangeCapture.Snapshots;

namespace RuleEngineNats.ChangeCapture.Events;

/// <summary>An event on its way to the outputs, valid until it has been formatted.</summary>
/// <param name="Message">What happened.</param>
/// <param name="Position">Where.</param>
/// <param name="Lsn">Of the change itself.</param>
/// <param name="Transaction">Null for a logical message outside of transactions.</param>
internal readonly record struct ChangeEvent(WalMessage Message, EventPosition Position, ulong Lsn, TransactionSummary? Transaction)
{
    public const string RelationKind = "relation:";
    public const string TypeKind = "type:";

    /// <summary>Of a row that a snapshot read: where it lies in the table.</summary>
    public ReadPlace? Place { get; init; }

    /// <summary>What a description describes, null for other events: descriptions have no index of their own, since each session repeats them.</summary>
    public string? Described => Message switch
    {
        WalMessage.RelationDescription description => RelationKind + description.Relation.Id,
        WalMessage.TypeDescription type => TypeKind + type.Id,
        WalMessage.Origin => "origin",
        _ => null,
    };
}

/// <summary>What each event of a transaction has in common.</summary>
/// <param name="CommitTime">Microseconds since 2000-01-01 UTC.</param>
internal sealed record TransactionSummary(uint Xid, ulong CommitLsn, long CommitTime);
