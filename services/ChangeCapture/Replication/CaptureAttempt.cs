using Microsoft.Extensions.Logging;
using NpgsqlTypes;
using RuleEngineNats.ChangeCapture.Filters;
using RuleEngineNats.ChangeCapture.Guard;
using RuleEngineNats.ChangeCapture.Outputs;
using RuleEngineNats.ChangeCapture.Snapshots;

namespace RuleEngineNats.ChangeCapture.Replication;

/// <summary>From preparing the slot to the end of a session, as often as it takes. The guard watches all the while, also while outputs are not there yet.</summary>
internal sealed partial class CaptureAttempt(
    CaptureOptions options, CaptureSource source, CaptureFilter filter, EventPipeline pipeline, IReadOnlyList<ChangeOutput> outputs, CaptureStatus status, IProgress<SnapshotProgress>? progress,
    ILoggerFactory loggers, TimeProvider time)
{
    private readonly ILogger _logger = loggers.CreateLogger<Capture>();
    private readonly ConfirmedWal _wal = new();
    private SnapshotQueue? _snapshots;
    private readonly WalGuard _guard = new(options, source, status, time, loggers.CreateLogger<WalGuard>());
    private Task? _opening;
    private long? _behind;

    public async Task RunAsync(CancellationToken stopping)
    {
        if (_behind is { } behind)
        {
            _wal.MovedTo((ulong)await source.PassBacklogAsync(behind, stopping));
            pipeline.Drop();
            _behind = null;
        }

        var start = await source.PrepareAsync(stopping);
        using var ended = new CancellationTokenSource();
        var guarding = _guard.RunAsync(ended.Token);
        try
        {
            await CaptureAsync(start, guarding, stopping);
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

    private async Task CaptureAsync(NpgsqlLogSequenceNumber? start, Task guarding, CancellationToken stopping)
    {
        await using var connection = source.CreateReplication();
        await connection.Open(stopping);
        var identity = await CaptureSession.IdentifyAsync(connection, stopping);
        _snapshots ??= new(options, source, filter, outputs, _wal, new(options.Slot, progress, time, loggers), time, loggers.CreateLogger<SnapshotQueue>());
        _opening ??= OpenAsync(identity, _snapshots, stopping);
        await await Task.WhenAny(_opening, guarding);
        await _snapshots.AskAsync(stopping);
        var transactions = new TransactionReader(filter, pipeline, _wal, new(options.Slot, pipeline, status, time), _snapshots, options.SpoolDirectory);
        await using var session = new CaptureSession(options, source, connection, pipeline, transactions, _wal, time);
        status.Is(CaptureState.Capturing, null);
        Capturing(options.Slot);

        // A stop ends the session in order, snapshots with it: they are not stopped before.
        using var ended = new CancellationTokenSource();
        var reading = _snapshots.RunAsync(ended.Token);
        try
        {
            await session.RunAsync(start, Task.WhenAny([guarding, reading, .. outputs.Select(output => output.Completion)]).Unwrap(), stopping);
        }
        finally
        {
            await ended.CancelAsync();
            await reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task OpenAsync(SourceIdentity identity, SnapshotQueue snapshots, CancellationToken stopping)
    {
        await Task.WhenAll(outputs.Select(output => output.OpenAsync(identity, stopping)));
        await snapshots.OpenAsync(stopping);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "capturing from slot {Slot}")]
    private partial void Capturing(string slot);
}
