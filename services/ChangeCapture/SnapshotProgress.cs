namespace RuleEngineNats.ChangeCapture;

/// <summary>How far the snapshot of a table is.</summary>
/// <param name="SnapshotId">The snapshot: where in the WAL it was asked for.</param>
/// <param name="Table">The table, as <c>schema.table</c>; a name with other characters than a-z, 0-9 and _ in double quotes.</param>
/// <param name="State">What happens with it.</param>
/// <param name="RowsRead">Rows that were read and are with the outputs, those of earlier processes included.</param>
/// <param name="EstimatedRows">How many PostgreSQL thinks there are; null while that is not known.</param>
public sealed record SnapshotProgress(string SnapshotId, string Table, SnapshotState State, long RowsRead, long? EstimatedRows);

/// <summary>What happens with a table of a snapshot.</summary>
public enum SnapshotState
{
    /// <summary>It will be read.</summary>
    Waiting,

    /// <summary>It is read.</summary>
    Reading,

    /// <summary>It is read to its end.</summary>
    Completed,

    /// <summary>The snapshot failed before its end.</summary>
    Failed,
}
