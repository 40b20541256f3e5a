using System.Buffers.Binary;

namespace RuleEngineNats.ChangeCapture.Pgoutput;

/// <summary>
/// Decodes pgoutput (protocol 2, values as text) and remembers the tables that were described. Of one replication session: the server
/// describes each table again in the next.
/// </summary>
/// <param name="described">Called with each description before rows use it.</param>
/// <remarks>https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html</remarks>
internal sealed class WalDecoder(Action<Relation> described)
{
    private readonly Dictionary<uint, Relation> _relations = [];

    /// <summary>The transaction, or subtransaction, that a message inside a streamed block belongs to.</summary>
    /// <returns>Null for a message that names none.</returns>
    public static uint? StreamedXid(ReadOnlySpan<byte> message)
        => message is [(byte)'R' or (byte)'Y' or (byte)'I' or (byte)'U' or (byte)'D' or (byte)'T' or (byte)'M', _, _, _, _, ..]
            ? BinaryPrimitives.ReadUInt32BigEndian(message[1..])
            : null;

    /// <summary>The table that a message inside a streamed block describes.</summary>
    /// <returns>Null for a message that describes none.</returns>
    public static uint? StreamedRelation(ReadOnlySpan<byte> message)
        => message is [(byte)'R', _, _, _, _, _, _, _, _, ..] ? BinaryPrimitives.ReadUInt32BigEndian(message[5..]) : null;

    /// <summary>A table as it was described last.</summary>
    public Relation Find(uint id)
        => _relations.TryGetValue(id, out var relation) ? relation : throw new PgoutputException($"rows of table {id} without its description");

    /// <summary>Takes a description back into use.</summary>
    public void Keep(Relation relation) => _relations[relation.Id] = relation;

    /// <param name="streamed">Inside a streamed block, where changes begin with their transaction's id.</param>
    public WalMessage Decode(ReadOnlyMemory<byte> message, bool streamed)
    {
        var reader = new WalReader(message);
        var kind = (char)reader.Byte();
        if (streamed && StreamedXid(message.Span) is not null)
        {
            reader.UInt32();
        }

        return kind switch
        {
            'B' => new WalMessage.Begin(reader.UInt64(), reader.Int64(), reader.UInt32()),
            'C' => Commit(ref reader),
            'O' => new WalMessage.Origin(reader.UInt64(), reader.Text()),
            'R' => Describe(ref reader),
            'Y' => new WalMessage.TypeDescription(reader.UInt32(), Schema(reader.Text()), reader.Text()),
            'I' => Insert(ref reader),
            'U' => Update(ref reader),
            'D' => Delete(ref reader),
            'T' => Truncate(ref reader),
            'M' => Logical(ref reader),
            'S' => new WalMessage.StreamStart(reader.UInt32()),
            'E' => new WalMessage.StreamStop(),
            'c' => StreamCommit(ref reader),
            'A' => new WalMessage.StreamAbort(reader.UInt32(), reader.UInt32()),
            _ => throw new PgoutputException($"message type {(byte)kind} is not of protocol version 2"),
        };
    }

    // The server leaves the name of pg_catalog out.
    private static string Schema(string name) => name.Length == 0 ? "pg_catalog" : name;

    private static WalMessage.Commit Commit(ref WalReader reader)
    {
        reader.Byte();
        return new(reader.UInt64(), reader.UInt64(), reader.Int64());
    }

    private static WalMessage.StreamCommit StreamCommit(ref WalReader reader)
    {
        var xid = reader.UInt32();
        reader.Byte();
        return new(xid, reader.UInt64(), reader.UInt64(), reader.Int64());
    }

    private static WalMessage.Logical Logical(ref WalReader reader)
        => new((reader.Byte() & 1) == 1, reader.UInt64(), reader.Text(), reader.Take(reader.Int32()));

    private WalMessage.RelationDescription Describe(ref WalReader reader)
    {
        var (id, schema, name, identity) = (reader.UInt32(), Schema(reader.Text()), reader.Text(), (char)reader.Byte());
        var columns = new Column[reader.UInt16()];
        for (var index = 0; index < columns.Length; index++)
        {
            var isKey = (reader.Byte() & 1) == 1;
            columns[index] = new(reader.Text(), reader.UInt32(), reader.Int32(), isKey);
        }

        var relation = new Relation(id, schema, name, identity, columns);
        described(relation);
        _relations[id] = relation;
        return new(relation);
    }

    private WalMessage.Row Insert(ref WalReader reader)
    {
        var relation = Find(reader.UInt32());
        Expect('N', (char)reader.Byte());
        return new(RowOperation.Insert, relation, null, false, Row(ref reader, relation));
    }

    private WalMessage.Row Update(ref WalReader reader)
    {
        var relation = Find(reader.UInt32());
        var tuple = (char)reader.Byte();
        Value[]? old = null;
        var key = tuple == 'K';
        if (key || tuple == 'O')
        {
            old = Row(ref reader, relation);
            tuple = (char)reader.Byte();
        }

        Expect('N', tuple);
        return new(RowOperation.Update, relation, old, key, Row(ref reader, relation));
    }

    private WalMessage.Row Delete(ref WalReader reader)
    {
        var relation = Find(reader.UInt32());
        var tuple = (char)reader.Byte();
        if (tuple != 'O')
        {
            Expect('K', tuple);
        }

        return new(RowOperation.Delete, relation, Row(ref reader, relation), tuple == 'K', null);
    }

    private WalMessage.Truncate Truncate(ref WalReader reader)
    {
        var count = reader.UInt32();
        var options = reader.Byte();
        if (count > reader.Remaining / sizeof(uint))
        {
            throw new PgoutputException($"TRUNCATE of {count} tables in {reader.Remaining} bytes");
        }

        var relations = new Relation[count];
        for (var index = 0; index < relations.Length; index++)
        {
            relations[index] = Find(reader.UInt32());
        }

        return new(relations, (options & 1) != 0, (options & 2) != 0);
    }

    private static Value[] Row(ref WalReader reader, Relation relation)
    {
        var count = reader.UInt16();
        if (count != relation.Columns.Count)
        {
            throw new PgoutputException($"a row of {count} columns for {relation.Schema}.{relation.Name}, which has {relation.Columns.Count}");
        }

        var values = new Value[count];
        for (var index = 0; index < count; index++)
        {
            values[index] = (char)reader.Byte() switch
            {
                'n' => default,
                'u' => new(ValueKind.UnchangedToast, default),
                't' => new(ValueKind.Text, reader.Take(reader.Int32())),
                var other => throw new PgoutputException($"a value of kind {(byte)other}, not of n, u and t"),
            };
        }

        return values;
    }

    private static void Expect(char expected, char found)
    {
        if (expected != found)
        {
            throw new PgoutputException($"a row of kind {(byte)found} where {expected} belongs");
        }
    }
}
