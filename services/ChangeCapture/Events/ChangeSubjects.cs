using System.Buffers;
using System.Text;
using RuleEngineNats.ChangeCapture.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Events;

/// <summary>
/// Where an event goes: <c>{prefix}.{schema}.{table}.{insert|update|delete|read|truncate|relation}</c>, and
/// <c>{prefix}.transactions.{begin|commit|origin|type|message|changes|oversized|snapshot|gap}.event</c> for what concerns no table.
/// </summary>
internal sealed class ChangeSubjects(string prefix)
{
    private const string Transactions = "transactions";

    private static readonly SearchValues<byte> Plain = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"u8);

    private readonly Dictionary<(string Schema, string Table), string[]> _tables = [];

    public string Begin { get; } = $"{prefix}.{Transactions}.begin.event";

    public string Commit { get; } = $"{prefix}.{Transactions}.commit.event";

    public string Snapshot { get; } = $"{prefix}.{Transactions}.snapshot.event";

    /// <summary>Of rows that a snapshot read.</summary>
    public string Read(string schema, string table) => Table(schema, table)[(int)RowOperation.Read];

    public string Of(WalMessage message) => message switch
    {
        WalMessage.Begin => Begin,
        WalMessage.Commit => Commit,
        WalMessage.Row row => Table(row.Relation.Schema, row.Relation.Name)[(int)row.Operation],
        WalMessage.Truncate truncate => Table(truncate.Relations[0].Schema, truncate.Relations[0].Name)[4],
        WalMessage.RelationDescription description => Table(description.Relation.Schema, description.Relation.Name)[5],
        WalMessage.TypeDescription => $"{prefix}.{Transactions}.type.event",
        WalMessage.Origin => $"{prefix}.{Transactions}.origin.event",
        WalMessage.Snapshot => Snapshot,
        WalMessage.Logical => $"{prefix}.{Transactions}.message.event",
        WalMessage.Gap => $"{prefix}.{Transactions}.gap.event",
        TransactionPart => $"{prefix}.{Transactions}.changes.event",
        OversizedEvent => $"{prefix}.{Transactions}.oversized.event",
        _ => throw new ArgumentOutOfRangeException(nameof(message), message.GetType().Name, "not an event"),
    };

    /// <summary>
    /// An identifier as one token: its UTF-8 bytes other than A-Z, a-z, 0-9, <c>_</c> and <c>-</c> as <c>%XX</c>, which every URL decoder turns back.
    /// </summary>
    public static string Token(string identifier)
    {
        var bytes = Encoding.UTF8.GetBytes(identifier);
        if (bytes.AsSpan().IndexOfAnyExcept(Plain) < 0)
        {
            return identifier;
        }

        var token = new StringBuilder(bytes.Length * 2);
        foreach (var value in bytes)
        {
            _ = Plain.Contains(value) ? token.Append((char)value) : token.Append('%').Append(value.ToString("X2"));
        }

        return token.ToString();
    }

    /// <summary>A schema as a token. One named <c>transactions</c> is escaped as well, so that <c>{prefix}.transactions.&gt;</c> is never about tables.</summary>
    public static string SchemaToken(string schema) => schema == Transactions ? "%74ransactions" : Token(schema);

    // The operations of rows come first, in their order.
    private string[] Table(string schema, string name)
    {
        var key = (schema, name);
        if (!_tables.TryGetValue(key, out var subjects))
        {
            var table = $"{prefix}.{SchemaToken(schema)}.{Token(name)}";
            _tables[key] = subjects = [$"{table}.insert", $"{table}.update", $"{table}.delete", $"{table}.read", $"{table}.truncate", $"{table}.relation"];
        }

        return subjects;
    }
}
