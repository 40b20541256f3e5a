using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Npgsql;
using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.ChangeCapture.Filters;
using RuleEngineNats.ChangeCapture.Outputs;
using RuleEngineNats.ChangeCapture.Pgoutput;
using RuleEngineNats.ChangeCapture.Replication;

namespace RuleEngineNats.ChangeCapture.Snapshots;

/// <summary>The snapshots of a slot, one after another, in the order in which they were asked for.</summary>
/// <remarks>
/// 1. A request comes as a logical message in the WAL; the event that says so is stored at its place, and a later start finds it (<see cref="OpenAsync"/>).
/// 2. Tables are read chunk by chunk (<see cref="ReadTable"/>); each chunk's transaction leaves a mark in the WAL.
/// 3. The reader of the WAL meets the mark (<see cref="MeetAsync"/>), and the chunk's rows are events there: behind what committed before, ahead of what comes after.
/// 4. The last mark stands for the end.
/// </remarks>
internal sealed partial class SnapshotQueue
{
    // What PostgreSQL says when the same statement will fail again: no such column, no privilege, not a value of this type, not on this server.
    private static readonly HashSet<string> FinalClasses = ["0A", "22", "25", "42", "55"];

    private readonly CaptureOptions _options;
    private readonly CaptureSource _source;
    private readonly IReadOnlyList<ChangeOutput> _outputs;
    private readonly ConfirmedWal _wal;
    private readonly SnapshotReport _report;
    private readonly SnapshotTables _tables;
    private readonly ReadTable _readTable;
    private readonly SnapshotMarks _marks;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Dictionary<string, SnapshotEvent> _announced = [];
    private readonly Channel<SnapshotRun> _waiting = Channel.CreateUnbounded<SnapshotRun>();
    private readonly List<SnapshotRun> _unfinished = [];
    private SnapshotRun? _current;
    private bool _asked;

    public SnapshotQueue(
        CaptureOptions options, CaptureSource source, CaptureFilter filter, IReadOnlyList<ChangeOutput> outputs, ConfirmedWal wal, SnapshotReport report,
        TimeProvider time, ILogger<SnapshotQueue> logger)
    {
        (_options, _source, _outputs, _wal, _report) = (options, source, outputs, wal, report);
        (_time, _logger, _marks) = (time, logger, new(options.Slot));
        _tables = new(options, filter);
        _readTable = new(options, source, filter, _marks, time, logger);
    }

    /// <summary>Goes on with what an earlier process left unfinished.</summary>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        var unfinished = new List<SnapshotEvent>();
        foreach (var output in _outputs)
        {
            foreach (var said in await output.FindSnapshotsAsync(cancellationToken))
            {
                // The first of each is the one at the place of its request.
                _announced.TryAdd(said.Id, said);
                unfinished.RemoveAll(started => started.Id == said.Id);
                if (said.State == SnapshotEvent.Started)
                {
                    unfinished.Add(said);
                }
            }
        }

        foreach (var started in unfinished)
        {
            Enqueue(SnapshotRun.Of(started, resumed: true) with { Error = _source.HasCreatedSlot ? "its slot was dropped before it was complete: changes are missing" : null });
        }
    }

    /// <summary>Asks, once, for what is to be read at each start.</summary>
    public async Task AskAsync(CancellationToken cancellationToken)
    {
        if (!_asked && _options.Snapshot is SnapshotMode.Always && !_source.HasCreatedSlot && _unfinished.Count == 0)
        {
            await _source.RequestSnapshotAsync(cancellationToken);
        }

        _asked = true;
    }

    /// <summary>A replication session begins: the WAL comes again from where the slot is confirmed.</summary>
    public void BeginSession() => _marks.Clear();

    /// <summary>Reads for one session, until it is cancelled. The next goes on.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var run = _current ??= await _waiting.Reader.ReadAsync(cancellationToken);
            var error = run.Error ?? await ReadAsync(run, cancellationToken);
            await AgainAsync(() => EndAsync(run, error, cancellationToken), _ => false, cancellationToken);
        }
    }

    public void Note(uint xid, WalMessage.Row row) => _marks.Note(xid, row);

    /// <summary>What a message about snapshots is at its place in the WAL.</summary>
    /// <returns>The rows of a chunk that hold there, or an announcement; null for nothing.</returns>
    public async ValueTask<MarkedContent?> MeetAsync(ReadOnlyMemory<byte> content, EventPosition position, CancellationToken cancellationToken)
    {
        SnapshotMessage message;
        try
        {
            message = SnapshotMessage.Parse(content.Span);
        }
        catch (JsonException exception)
        {
            _report.Refused(Encoding.UTF8.GetString(content.Span), $"{exception.Message} Write {{\"slot\":\"{_options.Slot}\",\"tables\":[\"schema.table\"]}}");
            return null;
        }

        if (message.Slot != _options.Slot)
        {
            return null;
        }

        if (message.Mark is null)
        {
            return await RequestedAsync(message, $"{EventPosition.Text(position.CommitLsn)}:{position.Index}", cancellationToken);
        }

        var met = _marks.Take(message.Mark);
        if (met is TableChunk chunk)
        {
            chunk.Window.Settle(chunk);
        }

        return met;
    }

    /// <summary>A message that is not part of a transaction.</summary>
    public void Refuse() => _report.Refused("pg_logical_emit_message(false, …)", "write true: it has to be part of a transaction");

    /// <summary>The outputs have it.</summary>
    public void Written(MarkedContent content)
    {
        if (content is Announcement { Event: { State: not SnapshotEvent.Started } ended } && _current is { } run && run.Id == ended.Id)
        {
            _current = null;
            _unfinished.Remove(run);
            _report.Ended(run, ended.Error);
            HoldWal();
        }

        content.SetWritten();
        if (content is TableChunk chunk)
        {
            _report.Read(chunk.Run, chunk.Table, chunk.Settled);
        }
    }

    private async Task<Announcement?> RequestedAsync(SnapshotMessage message, string id, CancellationToken cancellationToken)
    {
        if (_announced.TryGetValue(id, out var said))
        {
            // It comes again. Where it is stored it is left out.
            return new(said);
        }

        if (message.Initial && _unfinished.Exists(run => run is { Initial: true, Error: null }))
        {
            // An interrupted start has asked for the same.
            return null;
        }

        await using var connection = _source.CreateReading();
        await connection.OpenAsync(cancellationToken);
        var patterns = message.Patterns();
        var (tables, problems) = patterns is null
            ? ([], ["tables: write a list of patterns, [\"schema.table\"], or leave it out for all that are captured"])
            : await _tables.FindAsync(connection, "tables", patterns, cancellationToken);
        var error = problems.Count == 0 ? null : string.Join("; ", problems);
        var announced = _announced[id] = new(id, error is null ? SnapshotEvent.Started : SnapshotEvent.Failed, message.Initial, error is null ? tables : patterns ?? [], 0, error);
        if (error is null)
        {
            Enqueue(SnapshotRun.Of(announced, resumed: false));
        }
        else
        {
            _report.Refused(message.ToJson(), error);
        }

        return new(announced);
    }

    private void Enqueue(SnapshotRun run)
    {
        _unfinished.Add(run);
        _report.Began(run);
        _waiting.Writer.TryWrite(run);
        HoldWal();
    }

    // Where no stream remembers it, the request comes again as long as it is not confirmed, and the snapshot begins again.
    private void HoldWal() => _wal.Held = _unfinished.Count > 0 && !_outputs.Any(output => output.RemembersSnapshots);

    /// <returns>Why it cannot be completed; null where it is read.</returns>
    private async Task<string?> ReadAsync(SnapshotRun run, CancellationToken cancellationToken)
    {
        try
        {
            await Parallel.ForEachAsync(
                run.Tables.Where(table => !table.IsDone),
                new ParallelOptions { MaxDegreeOfParallelism = _options.SnapshotParallelism, CancellationToken = cancellationToken },
                async (table, cancelled) =>
                {
                    await PlaceAsync(run, table, cancelled);
                    await AgainAsync(() => _readTable.RunAsync(run, table, cancelled), state => FinalClasses.Contains(state[..2]), cancelled);
                });
            return null;
        }
        catch (SnapshotException exception)
        {
            return exception.Message;
        }
        catch (PostgresException exception)
        {
            return $"PostgreSQL: {exception.MessageText} ({exception.SqlState})";
        }
    }

    // Replication does not suffer from what befalls another connection.
    private async Task AgainAsync(Func<Task> work, Func<string, bool> isFinal, CancellationToken cancellationToken)
    {
        for (var failures = 1; ; failures++)
        {
            try
            {
                await work();
                return;
            }
            catch (Exception exception) when (exception is NpgsqlException or IOException or TimeoutException or System.Net.Sockets.SocketException
                && !(exception is PostgresException { SqlState: var state } && isFinal(state)) && !cancellationToken.IsCancellationRequested)
            {
                Interrupted(exception.Message);
            }

            await Task.Delay(_options.PauseAfter(failures), _time, cancellationToken);
        }
    }

    // Of several streams the one that has least: the others get some rows once more, which says nothing that is not so.
    private async Task PlaceAsync(SnapshotRun run, SnapshotTable table, CancellationToken cancellationToken)
    {
        if (!run.Resumed || table.IsPlaced)
        {
            return;
        }

        var places = await Task.WhenAll(
            _outputs.Where(output => output.RemembersSnapshots).Select(output => output.FindReadAsync(run.Id, table.Schema, table.Name, cancellationToken)));
        if (places.All(place => place?.Key is not null))
        {
            table.GoOnBehind(places.MinBy(place => place!.Rows)!);
        }

        table.IsPlaced = true;
    }

    private async Task EndAsync(SnapshotRun run, string? error, CancellationToken cancellationToken)
    {
        await using var connection = _source.CreateReading();
        await connection.OpenAsync(cancellationToken);
        await _marks.WriteAsync(connection, null, new Announcement(run.Ended(error)), cancellationToken);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "a snapshot was interrupted: {Reason}; it goes on")]
    private partial void Interrupted(string reason);
}
