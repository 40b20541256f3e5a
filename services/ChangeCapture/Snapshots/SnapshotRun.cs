using RuleEngineNats.ChangeCapture.Filters;

namespace RuleEngineNats.ChangeCapture.Snapshots;

/// <summary>A snapshot that was asked for, and how far it is. It outlives the connections it is read with.</summary>
/// <param name="Id">Where it was asked for.</param>
/// <param name="Initial">The start of a capture asked for it.</param>
/// <param name="Resumed">An earlier process began it: the outputs know how far it came.</param>
internal sealed record SnapshotRun(string Id, bool Initial, bool Resumed, IReadOnlyList<SnapshotTable> Tables)
{
    /// <summary>Why it cannot be completed, where that is known before it is read.</summary>
    public string? Error { get; init; }

    public static SnapshotRun Of(SnapshotEvent started, bool resumed)
        => new(started.Id, started.Initial, resumed, [.. started.Tables.Select(name => NamePattern.Parse(name, NamePattern.Table).Pattern!.Names).Select(names => new SnapshotTable(names[0], names[1]))]);

    public long Rows => Tables.Sum(table => table.Rows);

    public int TablesDone => Tables.Count(table => table.IsDone);

    public string TableNames => string.Join(", ", Tables.Select(table => table.FullName));

    public SnapshotEvent Ended(string? error) => new(
        Id, error is null ? SnapshotEvent.Completed : SnapshotEvent.Failed, Initial, [.. Tables.Select(table => table.FullName)], Rows, error);
}

/// <summary>A table of a snapshot, and how far it was read. Moves on where its rows are written, so that an interruption repeats none.</summary>
internal sealed class SnapshotTable(string schema, string name)
{
    public string Schema => schema;

    public string Name => name;

    /// <summary>As a pattern that fits it alone.</summary>
    public string FullName { get; } = $"{NamePattern.Literal(schema)}.{NamePattern.Literal(name)}";

    /// <summary>The key of the last row that was written; null where none was.</summary>
    public IReadOnlyList<KeyColumn>? After { get; private set; }

    /// <summary>The rows that were read.</summary>
    public long Rows { get; private set; }

    /// <summary>PostgreSQL's estimate; null where it has none, or before the first chunk.</summary>
    public long? EstimatedRows { get; set; }

    public bool IsDone { get; set; }

    /// <summary>Whether the outputs were asked how far an earlier process came.</summary>
    public bool IsPlaced { get; set; }

    public void GoOnBehind(ReadPlace place) => (After, Rows) = (place.Key, place.Rows);

    public void Settle(TableChunk chunk)
    {
        if (chunk.Settled > 0)
        {
            After = chunk.KeyOf(chunk.Rows[chunk.Settled - 1]);
            Rows += chunk.Settled;
        }

        IsDone = chunk.IsLast && chunk.Settled == chunk.Rows.Count;
    }
}
