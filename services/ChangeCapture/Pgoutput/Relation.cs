using System.Text;

namespace RuleEngineNats.ChangeCapture.Pgoutput;

/// <summary>A table as the server described it for the rows that follow.</summary>
internal sealed class Relation(uint id, string schema, string name, char replicaIdentity, Column[] columns)
{
    public uint Id { get; } = id;

    public string Schema { get; } = schema;

    public string Name { get; } = name;

    /// <summary><c>d</c> default, <c>n</c> nothing, <c>f</c> full, <c>i</c> index: pg_class.relreplident.</summary>
    public char ReplicaIdentity { get; } = replicaIdentity;

    public IReadOnlyList<Column> Columns { get; } = columns;

    public byte[] SchemaUtf8 { get; } = Encoding.UTF8.GetBytes(schema);

    public byte[] NameUtf8 { get; } = Encoding.UTF8.GetBytes(name);

    /// <summary>The types that were described for its columns: those that are not built in.</summary>
    public IReadOnlyList<WalMessage.TypeDescription> Types { get; set; } = [];

    /// <summary>Whether its rows are wanted.</summary>
    public bool Included { get; set; } = true;

    /// <summary>Which of its rows are wanted; null for all.</summary>
    public Predicate<WalMessage.Row>? Wanted { get; set; }

    /// <summary>Whether rows of the one look like rows of the other.</summary>
    public bool Describes(Relation other)
        => (Id, Schema, Name, ReplicaIdentity) == (other.Id, other.Schema, other.Name, other.ReplicaIdentity) && Columns.SequenceEqual(other.Columns);
}

/// <summary>A column of a <see cref="Relation"/>.</summary>
/// <param name="TypeId">The OID of its type.</param>
/// <param name="TypeModifier">pg_attribute.atttypmod; -1 where it has none.</param>
/// <param name="IsKey">Part of the replica identity.</param>
internal sealed record Column(string Name, uint TypeId, int TypeModifier, bool IsKey)
{
    public byte[] NameUtf8 { get; } = Encoding.UTF8.GetBytes(Name);

    /// <summary>What is shown of it.</summary>
    public ColumnTreatment Treatment { get; set; }

    public bool Equals(Column? other) => other is not null && (Name, TypeId, TypeModifier, IsKey) == (other.Name, other.TypeId, other.TypeModifier, other.IsKey);

    public override int GetHashCode() => HashCode.Combine(Name, TypeId);
}

/// <summary>What is shown of a column's values.</summary>
internal enum ColumnTreatment
{
    /// <summary>The value.</summary>
    Show,

    /// <summary>Neither value nor name.</summary>
    Drop,

    /// <summary>A hash of the value: equal values stay equal.</summary>
    Hash,

    /// <summary>That there is a value.</summary>
    Mask,
}

/// <summary>One value of a row, in PostgreSQL's text format. It is as short-lived as the message it came in.</summary>
internal readonly record struct Value(ValueKind Kind, ReadOnlyMemory<byte> Text);

/// <summary>What the server sent for a column.</summary>
internal enum ValueKind
{
    /// <summary>NULL; in a key, also a column that is not part of it.</summary>
    Null,

    /// <summary>The value is stored apart (TOAST), did not change, and was not sent.</summary>
    UnchangedToast,

    /// <summary>A value.</summary>
    Text,
}
