using Microsoft.Extensions.Logging;
using NpgsqlTypes;
using RuleEngineNats.ChangeCapture.Filters;
using RuleEngineNats.ChangeCapture.Guard;
using RuleEngineNats.ChangeCapture.Outputs;

namespace RuleEngineNats.ChangeCapture.Replication;

/// <summary>From preparing the slot to the end of a session, as often as it takes. The guard watches all the while, also while outputs are not there yet.</summary>
internal sealed partial class CaptureAttempt(
    CaptureOptions options, CaptureSource source, CaptureFilter filter, EventPipeline pipeline, IReadOnlyList<ChangeOutput> outputs, CaptureStatus status, ILoggerFactory loggers, TimeProvider time)
{
    private readonly ILogger _logger = loggers.CreateLogger<Capture>();
    private readonly ConfirmedWal _wal = new();
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
        _opening ??= Task.WhenAll(outputs.Select(output => output.OpenAsync(identity, stopping)));
        await await Task.WhenAny(_opening, guarding);
        var notes = new ReadSlotNote(options.Slot, pipeline, status, time);
        await using var session = new CaptureSession(options, connection, pipeline, new(filter, pipeline, _wal, notes, options.SpoolDirectory), _wal, time);
        status.Is(CaptureState.Capturing, null);
        Capturing(options.Slot);
        await session.RunAsync(start, Task.WhenAny([guarding, .. outputs.Select(output => output.Completion)]).Unwrap(), stopping);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "capturing from slot {Slot}")]
    private partial void Capturing(string slot);
}
