using System.CommandLine;
using RuleEngineNats.ChangeCapture;

namespace RuleEngineNats.PgoutputStream;

/// <summary>The options of the command line for rows that were there before the capture.</summary>
internal sealed class SnapshotFlags
{
    private readonly Option<string> _mode = new("--snapshot") { Description = "Read the rows that are there already: never, initial (when the slot is created) or always (at each start). One that was interrupted goes on.", DefaultValueFactory = _ => "never" };
    private readonly Option<string[]> _tables = CaptureFlags.List("--snapshot-table", "Tables to read: schema.table with * and ?. Default: all that are captured.");
    private readonly Option<int> _parallelism = new("--snapshot-parallelism") { Description = "Tables to read at once, 1 to 16.", DefaultValueFactory = _ => 2 };
    private readonly Option<int> _chunkRows = new("--snapshot-chunk-rows") { Description = "Rows to read at once, 1 to 100,000.", DefaultValueFactory = _ => 2000 };

    public IReadOnlyList<Option> All => [_mode, _tables, _parallelism, _chunkRows];

    public void Read(ParseResult result, CaptureOptions options, List<string> problems)
    {
        options.Snapshot = CaptureFlags.Choice(result.GetValue(_mode)!, "--snapshot: '{0}' is none of {1}", problems,
            ("never", SnapshotMode.Never), ("initial", SnapshotMode.Initial), ("always", SnapshotMode.Always));
        CaptureFlags.Add(options.SnapshotTables, result.GetValue(_tables));
        options.SnapshotParallelism = result.GetValue(_parallelism);
        options.SnapshotChunkRows = result.GetValue(_chunkRows);
    }
}
