using NpgsqlTypes;

namespace RuleEngineNats.ChangeCapture.Events;

/// <summary>
/// The place of an event in what a slot brings: the same after every restart. Events come in the order of their positions.
/// </summary>
/// <param name="CommitLsn">Of the transaction's commit; of the message itself for a logical message outside of transactions.</param>
/// <param name="Index">0 for Begin, then 1 and up for the changes, filtered ones included, and Commit after the last.</param>
internal readonly record struct EventPosition(ulong CommitLsn, long Index) : IComparable<EventPosition>
{
    /// <summary>Index of a logical message outside of transactions: it ends where the record of a commit may begin.</summary>
    public const long BeforeTransaction = -1;

    /// <summary>The position of what comes next in the same transaction.</summary>
    public EventPosition Next => this with { Index = Index + 1 };

    public int CompareTo(EventPosition other)
        => CommitLsn == other.CommitLsn ? Index.CompareTo(other.Index) : CommitLsn.CompareTo(other.CommitLsn);

    public static bool operator <=(EventPosition left, EventPosition right) => left.CompareTo(right) <= 0;

    public static bool operator >=(EventPosition left, EventPosition right) => left.CompareTo(right) >= 0;

    public static bool operator <(EventPosition left, EventPosition right) => left.CompareTo(right) < 0;

    public static bool operator >(EventPosition left, EventPosition right) => left.CompareTo(right) > 0;

    /// <summary>As PostgreSQL writes it, e.g. <c>0/16B2D50</c>.</summary>
    public static string Text(ulong lsn) => new NpgsqlLogSequenceNumber(lsn).ToString();

    public override string ToString() => $"commit {Text(CommitLsn)}, index {Index}";

    /// <summary>The event's Nats-Msg-Id: <c>slot:commit LSN:index</c>, and behind it what is described where it is a description.</summary>
    public string MessageId(string slot, string? described)
        => described is null ? $"{slot}:{Text(CommitLsn)}:{Index}" : $"{slot}:{Text(CommitLsn)}:{Index}:{described}";

    /// <summary>The position in a message id of this slot's; null where it is another's. A description lies just before its position.</summary>
    public static EventPosition? Parse(string messageId, string slot)
    {
        if (messageId.Split(':') is not [var name, var lsn, var index, .. var rest] || name != slot
            || !NpgsqlLogSequenceNumber.TryParse(lsn, out var commitLsn) || !long.TryParse(index, out var number))
        {
            return null;
        }

        return new((ulong)commitLsn, rest.Length == 0 ? number : number - 1);
    }
}
