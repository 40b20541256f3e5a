using System.Globalization;
using RuleEngineNats.ChangeCapture;

namespace RuleEngineNats.PgoutputStream;

/// <summary>A line on a terminal that says how far the snapshots are. The log has the same where there is no terminal.</summary>
internal sealed class SnapshotBar(TextWriter terminal, TimeProvider time) : IProgress<SnapshotProgress>
{
    private const int Width = 24;

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    private readonly Dictionary<string, SnapshotProgress> _tables = [];
    private long _drawn;

    public void Report(SnapshotProgress value)
    {
        if (_tables.Values.Any(table => table.SnapshotId != value.SnapshotId))
        {
            _tables.Clear();
        }

        _tables[value.Table] = value;
        var ended = _tables.Values.All(table => table.State is SnapshotState.Completed or SnapshotState.Failed);
        if (ended || time.GetElapsedTime(_drawn) > Interval)
        {
            _drawn = time.GetTimestamp();
            // Back to the start of the line, so that a line of the log takes its place.
            terminal.Write(ended ? $"\r\e[2K{Text(_tables.Values)}\n" : $"\r\e[2K{Text(_tables.Values)}\r");
        }
    }

    /// <summary>E.g. <c>snapshot [############------------]  50 % 1,000 of about 2,000 rows, 1 of 2 tables: public.users</c>.</summary>
    internal static string Text(IReadOnlyCollection<SnapshotProgress> tables)
    {
        var read = tables.Sum(table => table.RowsRead);
        var done = tables.Count(table => table.State is SnapshotState.Completed);
        // What is done has as many rows as were read; an estimate may be too low.
        var all = tables.Sum(table => table.State is SnapshotState.Completed ? table.RowsRead : Math.Max(table.RowsRead, table.EstimatedRows ?? 0));
        var part = done == tables.Count ? 1 : Math.Min(0.99, all == 0 ? 0 : (double)read / all);
        var filled = (int)(part * Width);
        var reading = string.Join(", ", tables.Where(table => table.State is SnapshotState.Reading).Select(table => table.Table));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"snapshot [{new string('#', filled)}{new string('-', Width - filled)}] {part * 100,3:0} % {read:#,0} of about {all:#,0} rows, {done} of {tables.Count} tables{(reading.Length > 0 ? $": {reading}" : "")}");
    }
}
