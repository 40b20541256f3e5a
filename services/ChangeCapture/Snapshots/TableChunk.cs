using RuleEngineNats.ChangeCapture.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Snapshots;

/// <summary>What belongs to a place in the WAL.</summary>
internal abstract record MarkedContent
{
    private readonly TaskCompletionSource _written = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Ends when the outputs have it.</summary>
    public Task Written => _written.Task;

    public virtual void SetWritten() => _written.TrySetResult();
}

/// <summary>That a snapshot begins or ends.</summary>
internal sealed record Announcement(SnapshotEvent Event) : MarkedContent;

/// <summary>Rows that were read from a table, on their way to the place in the WAL where they hold.</summary>
/// <param name="Run">The snapshot they are of.</param>
/// <param name="Table">Their table.</param>
/// <param name="Description">The table as it was when they were read.</param>
/// <param name="Window">What changes meanwhile.</param>
/// <param name="Rows">In the order of the key.</param>
/// <param name="IsLast">Nothing is behind them.</param>
internal sealed record TableChunk(
    SnapshotRun Run, SnapshotTable Table, TableDescription Description, TableWindow Window, IReadOnlyList<ReadRow> Rows, bool IsLast) : MarkedContent
{
    /// <summary>How many rows, from the first, are settled at the mark: those behind them are read again.</summary>
    public int Settled { get; set; }

    /// <summary>Those of the settled ones that no change has replaced already, and their places among them.</summary>
    public IReadOnlyList<(ReadRow Row, int Index)> Kept { get; set; } = [];

    public IReadOnlyList<KeyColumn> KeyOf(ReadRow row) => [.. Description.Key.Select((part, index) => new KeyColumn(part.Name, row.Key[index]))];

    /// <summary>The key goes into a header only if all of it may be seen.</summary>
    public ReadPlace PlaceOf(ReadRow row, int index) => new(
        Run.Id, Table.Rows + index + 1,
        Description.Key.All(part => Description.Relation.Columns.Any(column => column.Name == part.Name && column.Treatment is ColumnTreatment.Show)) ? KeyOf(row) : null);

    public override void SetWritten()
    {
        Table.Settle(this);
        base.SetWritten();
    }
}

/// <param name="Key">Its key in PostgreSQL's text format.</param>
/// <param name="Values">Of the relation's columns.</param>
internal sealed record ReadRow(string[] Key, Value[] Values);
