namespace RuleEngineNats.Entities;

/// <summary>What a document was read into: rows, or violations.</summary>
public sealed class EntityReading
{
    internal EntityReading(Entity? entity, IReadOnlyList<EntityRows> rows, IReadOnlyList<Violation> violations)
        => (Entity, Rows, Violations) = (entity, rows, violations);

    /// <summary>The root entity it was read as; null where none was found.</summary>
    public Entity? Entity { get; }

    /// <summary>The rows of each table that gets some, in the order of <see cref="EntityCatalog.Tables"/>; empty when there are violations.</summary>
    public IReadOnlyList<EntityRows> Rows { get; }

    /// <summary>All that is wrong; empty when it is fine.</summary>
    public IReadOnlyList<Violation> Violations { get; }

    /// <summary>Whether there are no violations.</summary>
    public bool IsValid => Violations.Count == 0;
}

/// <summary>Rows for one table.</summary>
public sealed class EntityRows
{
    private readonly EntityValue[] _values;

    internal EntityRows(EntityTable table, int count, EntityValue[] values) => (Table, Count, _values) = (table, count, values);

    /// <summary>The table.</summary>
    public EntityTable Table { get; }

    /// <summary>How many rows there are.</summary>
    public int Count { get; }

    /// <summary>The values of one row, in the order of <see cref="EntityTable.RowColumns"/>.</summary>
    public ReadOnlySpan<EntityValue> this[int row] => _values.AsSpan(row * Table.RowColumns.Count, Table.RowColumns.Count);
}
