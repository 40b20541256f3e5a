namespace RuleEngineNats.Entities;

/// <summary>The table of an entity.</summary>
public sealed class EntityTable
{
    /// <summary>The last column of every table: when the document was accepted, so that an upsert overwrites older rows only.</summary>
    public const string IngestedAt = "ingested_at";

    /// <summary>Its name, unquoted.</summary>
    public required string Name { get; init; }

    /// <summary>The entity whose rows it has.</summary>
    public required string Entity { get; init; }

    /// <summary>What the definition says about the entity.</summary>
    public string? Doc { get; init; }

    /// <summary>All columns in the order of the table; <see cref="IngestedAt"/> is the last.</summary>
    public required IReadOnlyList<EntityColumn> Columns { get; init; }

    /// <summary>The columns that a row of <see cref="EntityRows"/> has values for, in its order: all but a generated key and <see cref="IngestedAt"/>.</summary>
    public required IReadOnlyList<EntityColumn> RowColumns { get; init; }

    /// <summary>Columns of the primary key.</summary>
    public required IReadOnlyList<string> PrimaryKey { get; init; }

    /// <summary>Columns that tell rows apart: what an upsert conflicts on. Empty where rows are only added.</summary>
    public required IReadOnlyList<string> Unicity { get; init; }

    /// <summary>Its foreign keys; what they refer to comes earlier in <see cref="EntityCatalog.Tables"/>.</summary>
    public required IReadOnlyList<EntityForeignKey> ForeignKeys { get; init; }

    /// <summary>Its indexes besides those of the primary key and of <see cref="Unicity"/>.</summary>
    public required IReadOnlyList<EntityIndex> Indexes { get; init; }

    /// <summary>The subject that each row is published to as an event; null for none.</summary>
    public string? Publish { get; init; }
}

/// <summary>A column of an entity's table.</summary>
/// <param name="Name">Its name, unquoted.</param>
/// <param name="Field">The field whose value it has; null for a generated key and <see cref="EntityTable.IngestedAt"/>.</param>
/// <param name="Kind">What a value is in this process.</param>
/// <param name="Type">Its PostgreSQL type as <c>format_type</c> prints it, such as <c>character varying(40)</c>.</param>
/// <param name="Nullable">Whether it may be NULL.</param>
/// <param name="Generated">Whether PostgreSQL makes its value (an identity).</param>
/// <param name="Doc">What the definition says about the field.</param>
public sealed record EntityColumn(string Name, string? Field, EntityValueKind Kind, string Type, bool Nullable, bool Generated, string? Doc);

/// <summary>A foreign key of one column.</summary>
/// <param name="Name">Name of the constraint.</param>
/// <param name="Column">The column that refers.</param>
/// <param name="Table">The table referred to.</param>
/// <param name="References">The column referred to.</param>
public sealed record EntityForeignKey(string Name, string Column, string Table, string References);

/// <summary>An index.</summary>
/// <param name="Name">Its name, unquoted.</param>
/// <param name="Columns">Its columns.</param>
/// <param name="Unique">Whether no two rows may be alike in them.</param>
/// <param name="Method"><c>btree</c>, <c>hash</c> or <c>gin</c>.</param>
public sealed record EntityIndex(string Name, IReadOnlyList<string> Columns, bool Unique, string Method);
