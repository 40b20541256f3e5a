using Microsoft.Extensions.Logging;
using Npgsql.Replication;
using NpgsqlTypes;
using RuleEngineNats.ChangeCapture.Filters;
using RuleEngineNats.ChangeCapture.Guard;
using RuleEngineNats.ChangeCapture.Outputs;
using RuleEngineNats.ChangeCapture.Snapshots;
using RuleEngineNats.ChangeCapture.Spilling;

namespace RuleEngineNats.ChangeCapture.Replication;

/// <summary>From preparing the slot to the end of a session, as often as it takes. The guard watches all the while, also while outputs are not there yet.</summary>
internal sealed partial class CaptureAttempt(
    CaptureOptions options, CaptureSource source, CaptureFilter filter, EventPipeline pipeline, IReadOnlyList<ChangeOutput> outputs, CaptureStatus status, IProgress<SnapshotProgress>? progress,
    ILoggerFactory loggers, TimeProvider time) : IDisposable
{
    private readonly ILogger _logger = loggers.CreateLogger<Capture>();
    private readonly ConfirmedWal _wal = new();
    private readonly SpillFolder? _folder = options.SpillDirectory is { } directory ? new(directory, options.Slot) : null;
    private readonly WalGuard _guard = new(options, source, status, time, loggers.CreateLogger<WalGuard>());
    private SnapshotQueue? _snapshots;
    private Task? _opening;
    private long? _behind;

    public async Task RunAsync(CancellationToken stopping)
    {
        if (_behind is { } behind && options.WalPolicy is WalPolicy.Drop)
        {
            _wal.MovedTo((ulong)await source.PassBacklogAsync(behind, stopping));
            pipeline.Drop();
            _behind = null;
        }

        var start = await source.PrepareAsync(stopping);
        _folder?.Lock();
        IReadOnlyList<string> files = _folder?.Files() ?? [];
        var spills = files.Count > 0 || _behind is not null;
        _guard.Acts = !spills;
        using var ended = new CancellationTokenSource();
        var guarding = _guard.RunAsync(ended.Token);
        try
        {
            await CaptureAsync(start, spills ? files : null, guarding, stopping);
        }
        catch (WalLimitException exception)
        {
            _behind = exception.BehindBytes;
        }
        finally
        {
            await ended.CancelAsync();
            await guarding.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public void Dispose() => _folder?.Dispose();

    /// <param name="spilled">What is on disk already, where what comes goes there as well.</param>
    private async Task CaptureAsync(NpgsqlLogSequenceNumber? start, IReadOnlyList<string>? spilled, Task guarding, CancellationToken stopping)
    {
        await using var connection = source.CreateReplication();
        await connection.Open(stopping);
        var identity = await CaptureSession.IdentifyAsync(connection, stopping);
        _snapshots ??= new(options, source, filter, outputs, _wal, new(options.Slot, progress, time, loggers), time, loggers.CreateLogger<SnapshotQueue>());
        _opening ??= OpenAsync(identity, _snapshots, stopping);
        _snapshots.BeginSession();

        // A stop ends the session in order, snapshots with it: they are not stopped before.
        using var ended = new CancellationTokenSource();
        if (spilled is null)
        {
            await await Task.WhenAny(_opening, guarding);
        }

        var reading = ReadTablesAsync(_opening, _snapshots, ended.Token);
        var over = Task.WhenAny([guarding, reading, .. outputs.Select(output => output.Completion)]).Unwrap();
        status.Is(CaptureState.Capturing, null);
        Capturing(options.Slot);
        try
        {
            await (spilled is null ? DirectlyAsync(start, connection, over, stopping) : SpillAsync(start, connection, identity, spilled, over, stopping));
        }
        finally
        {
            await ended.CancelAsync();
            await reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task DirectlyAsync(NpgsqlLogSequenceNumber? start, LogicalReplicationConnection connection, Task over, CancellationToken stopping)
    {
        using var transactions = Read(_wal);
        await using var session = new CaptureSession(options, source, connection, new DirectSink(pipeline, transactions, _wal, time), time);
        await session.RunAsync(start, over, stopping);
    }

    // The outputs may be away as long as they like: what is read goes to disk, and from there to them.
    private async Task SpillAsync(
        NpgsqlLogSequenceNumber? start, LogicalReplicationConnection connection, SourceIdentity identity, IReadOnlyList<string> earlier, Task over, CancellationToken stopping)
    {
        var room = options.WalSpillLimit - earlier.Sum(path => new FileInfo(path).Length);
        using var file = new SpillFile(_folder!.Next(earlier), _folder, identity, options, time, _logger);
        var sink = new SpillSink(file, room, options, time, _logger);
        using var ended = new CancellationTokenSource();
        var replay = new ReplaySpill(earlier, file, identity, pipeline, _wal, Read, options, time, _logger);
        replay.Check();
        var replaying = ReplayAsync(replay, ended.Token);
        over = Task.WhenAny(over, replaying).Unwrap();
        Spilling(options.Slot, _folder.Directory, earlier.Count);
        try
        {
            await using (var session = new CaptureSession(options, source, connection, sink, time))
            {
                await session.RunAsync(start, Task.WhenAny(over, replay.CaughtUp).Unwrap(), stopping);
            }

            stopping.ThrowIfCancellationRequested();
            file.Seal();
            _guard.Acts = true;
            await over.WaitAsync(stopping);
            _behind = null;
        }
        finally
        {
            _wal.MovedTo(sink.Confirmed);
            await ended.CancelAsync();
            await replaying.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private TransactionReader Read(ConfirmedWal wal) => new(filter, pipeline, wal, new(options.Slot, pipeline, status, time), _snapshots!, options.SpoolDirectory);

    private async Task ReplayAsync(ReplaySpill replay, CancellationToken cancellationToken)
    {
        await _opening!.WaitAsync(cancellationToken);
        await replay.RunAsync(cancellationToken);
    }

    private static async Task ReadTablesAsync(Task opening, SnapshotQueue snapshots, CancellationToken cancellationToken)
    {
        await opening.WaitAsync(cancellationToken);
        await snapshots.AskAsync(cancellationToken);
        await snapshots.RunAsync(cancellationToken);
    }

    private async Task OpenAsync(SourceIdentity identity, SnapshotQueue snapshots, CancellationToken stopping)
    {
        await Task.WhenAll(outputs.Select(output => output.OpenAsync(identity, stopping)));
        await snapshots.OpenAsync(stopping);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "capturing from slot {Slot}")]
    private partial void Capturing(string slot);

    [LoggerMessage(Level = LogLevel.Warning, Message = "what slot {Slot} brings is kept on disk in {Directory} until the outputs have it; {Files} files of earlier sessions are there")]
    private partial void Spilling(string slot, string directory, int files);
}
