using RuleEngineNats.ChangeCapture.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Events;

/// <summary>Goes in the place of a change that a stream does not take because of its size.</summary>
/// <param name="Lsn">Of the change itself.</param>
/// <param name="Operation"><c>insert</c>, <c>update</c>, <c>delete</c> or <c>message</c>.</param>
/// <param name="Relation">The table; null for a logical message.</param>
/// <param name="Key">The replica identity's columns, as far as they are short.</param>
/// <param name="Prefix">Of a logical message.</param>
internal sealed record OversizedEvent(ulong Lsn, string Operation, Relation? Relation, Value[] Key, string? Prefix) : WalMessage
{
    /// <summary>A change that is no longer than this has no such event: it would not be shorter.</summary>
    public const int LeastBytes = 1024;

    // REPLICA IDENTITY FULL makes every column a part of the key.
    private const int MostKeyBytes = 16 * 1024;

    /// <summary>Bytes of the change as it should have been stored.</summary>
    public int Bytes { get; init; }

    /// <summary>Bytes that the stream takes, headers included.</summary>
    public int Limit { get; init; }

    /// <summary>SHA-256 of the change as it should have been stored, in lower-case hexadecimal.</summary>
    public string Sha256 { get; init; } = "";

    /// <summary>What would go in the place of a change; null for what is no change.</summary>
    public static OversizedEvent? Of(in ChangeEvent change) => change.Message switch
    {
        Row row => new(change.Lsn, Name(row.Operation), row.Relation, KeyOf(row.Relation, (row.New ?? row.Old)!), null),
        Logical message => new(change.Lsn, "message", null, [], message.Prefix),
        _ => null,
    };

    private static string Name(RowOperation operation) => operation switch
    {
        RowOperation.Insert => "insert",
        RowOperation.Update => "update",
        _ => "delete",
    };

    // The row is gone when the stream refuses it.
    private static Value[] KeyOf(Relation relation, Value[] row)
    {
        var key = new Value[row.Length];
        var bytes = 0;
        for (var index = 0; index < row.Length; index++)
        {
            var taken = relation.Columns[index].IsKey && (bytes += row[index].Text.Length) <= MostKeyBytes;
            key[index] = taken ? row[index] with { Text = row[index].Text.ToArray() } : new(ValueKind.UnchangedToast, default);
        }

        return key;
    }
}
