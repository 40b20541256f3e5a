using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ChangeCapture.Snapshots;

/// <summary>Says how far a snapshot is: to whoever asked, in metrics, and now and then in the log.</summary>
internal sealed partial class SnapshotReport(string slot, IProgress<SnapshotProgress>? progress, TimeProvider time, ILoggerFactory loggers)
{
    private static readonly TimeSpan LogInterval = TimeSpan.FromSeconds(10);

    private static readonly Counter<long> RowsRead = Telemetry.Meter.CreateCounter<long>("rule.cdc.snapshot.rows", "{row}", "Rows that snapshots have read, by slot.");

    private static readonly UpDownCounter<int> Active = Telemetry.Meter.CreateUpDownCounter<int>(
        "rule.cdc.snapshot.active", "{snapshot}", "Snapshots that were asked for and have not ended, by slot.");

    private readonly ILogger _logger = loggers.CreateLogger<SnapshotReport>();

    // Apart, for whoever shows progress in another way.
    private readonly ILogger _progressLogger = loggers.CreateLogger<SnapshotProgress>();
    private readonly KeyValuePair<string, object?> _slot = new("rule.cdc.slot", slot);
    private long _logged = time.GetTimestamp();

    public void Began(SnapshotRun run)
    {
        Active.Add(1, _slot);
        Begins(_logger, run.Id, run.TableNames);
        foreach (var table in run.Tables)
        {
            Say(run, table, table.IsDone ? SnapshotState.Completed : SnapshotState.Waiting);
        }
    }

    public void Read(SnapshotRun run, SnapshotTable table, int rows)
    {
        RowsRead.Add(rows, _slot);
        Say(run, table, table.IsDone ? SnapshotState.Completed : SnapshotState.Reading);
        if (time.GetElapsedTime(_logged) > LogInterval)
        {
            _logged = time.GetTimestamp();
            Reading(_progressLogger, run.Id, run.Rows, run.TablesDone, run.Tables.Count);
        }
    }

    public void Ended(SnapshotRun run, string? error)
    {
        Active.Add(-1, _slot);
        if (error is null)
        {
            Completed(_logger, run.Id, run.Rows, run.Tables.Count);
            return;
        }

        Failed(_logger, run.Id, error);
        foreach (var table in run.Tables.Where(table => !table.IsDone))
        {
            Say(run, table, SnapshotState.Failed);
        }
    }

    /// <summary>A request that cannot be done, or is none.</summary>
    public void Refused(string request, string problem) => Refuses(_logger, request, problem);

    private void Say(SnapshotRun run, SnapshotTable table, SnapshotState state)
        => progress?.Report(new(run.Id, table.FullName, state, table.Rows, table.EstimatedRows));

    [LoggerMessage(Level = LogLevel.Information, Message = "snapshot {Id} of {Tables}")]
    private static partial void Begins(ILogger logger, string id, string tables);

    [LoggerMessage(Level = LogLevel.Information, Message = "snapshot {Id}: {Rows} rows read, {Done} of {Tables} tables done")]
    private static partial void Reading(ILogger logger, string id, long rows, int done, int tables);

    [LoggerMessage(Level = LogLevel.Information, Message = "snapshot {Id} is complete: {Rows} rows of {Tables} tables")]
    private static partial void Completed(ILogger logger, string id, long rows, int tables);

    [LoggerMessage(Level = LogLevel.Error, Message = "snapshot {Id} failed: {Error}")]
    private static partial void Failed(ILogger logger, string id, string error);

    [LoggerMessage(Level = LogLevel.Error, Message = "a snapshot was asked for ({Request}) and cannot be done: {Problem}")]
    private static partial void Refuses(ILogger logger, string request, string problem);
}
