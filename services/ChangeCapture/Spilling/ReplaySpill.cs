using System.Text;
using Microsoft.Extensions.Logging;
using RuleEngineNats.ChangeCapture.Outputs;
using RuleEngineNats.ChangeCapture.Replication;

namespace RuleEngineNats.ChangeCapture.Spilling;

/// <summary>Brings what is on disk to the outputs, in its order, and deletes it when they have it; the file of the running session while it is written.</summary>
/// <param name="earlier">The files of earlier sessions.</param>
/// <param name="session">The running session's.</param>
/// <param name="wal">What the slot would be confirmed by: while a snapshot holds it, its request must not be deleted.</param>
/// <param name="read">Makes the reader of one file.</param>
internal sealed partial class ReplaySpill(
    IReadOnlyList<string> earlier, SpillFile session, SourceIdentity source, EventPipeline pipeline, ConfirmedWal wal, Func<ConfirmedWal, TransactionReader> read,
    CaptureOptions options, TimeProvider time, ILogger logger)
{
    private const int SyncEvery = 4096;

    private readonly TaskCompletionSource _caughtUp = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly long _before = pipeline.LastOrdinal;
    private byte[] _buffer = [];

    /// <summary>Ends when the outputs take what comes as fast as it comes: the session is not needed any more.</summary>
    public Task CaughtUp => _caughtUp.Task;

    /// <summary>Ends the capture where a file is not this PostgreSQL's: positions of two do not compare.</summary>
    public void Check()
    {
        foreach (var path in earlier)
        {
            using var file = Open(path);
            if (SpillRecord.TryRead(file, ref _buffer, out _, out var message) && Encoding.UTF8.GetString(message.Span) is var of && of != source.ToString())
            {
                throw new CaptureException($"SpillDirectory: {path} has changes of PostgreSQL {of} (system identifier and timeline), and this is {source}: connect to that one, or move the file away; what it has is missing then");
            }
        }
    }

    /// <summary>Ends when everything is stored and deleted, the session's file sealed.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        foreach (var path in earlier)
        {
            await ReplayAsync(path, null, cancellationToken);
            if (!wal.Held)
            {
                File.Delete(path);
            }
        }

        while (session.Bytes == 0 && !session.IsSealed)
        {
            await IdleAsync(_before, session.Grown, cancellationToken);
        }

        if (session.Bytes > 0)
        {
            await ReplayAsync(session.Path, session, cancellationToken);
        }

        foreach (var path in earlier.Append(session.Path))
        {
            File.Delete(path);
        }

        Stored(options.Slot);
    }

    /// <param name="growing">Null for a file that nobody writes to.</param>
    private async Task ReplayAsync(string path, SpillFile? growing, CancellationToken cancellationToken)
    {
        var replayed = new ConfirmedWal();
        using var transactions = read(replayed);
        await using var file = Open(path);

        // Which PostgreSQL it is of.
        SpillRecord.TryRead(file, ref _buffer, out _, out _);
        long? met = null;
        for (var count = 1L; ; count++)
        {
            // In this order: nothing is written behind a seal.
            var (isSealed, grown) = (growing?.IsSealed != false, growing?.Grown);
            var start = file.Position;
            if (start < (growing?.Bytes ?? long.MaxValue) && SpillRecord.TryRead(file, ref _buffer, out var lsn, out var message))
            {
                await transactions.HandleAsync(lsn, message, cancellationToken);
                if (count % SyncEvery == 0)
                {
                    await SyncAsync(replayed, cancellationToken);
                }
            }
            else if (isSealed)
            {
                if (file.Length > start)
                {
                    Torn(path, file.Length - start, start);
                }

                break;
            }
            else
            {
                met ??= Math.Max(_before, replayed.LastOrdinal);
                await SyncAsync(replayed, cancellationToken);
                await IdleAsync(met.Value, grown!, cancellationToken);
            }
        }

        await pipeline.SettleAsync(replayed.LastOrdinal, time, cancellationToken);
    }

    // The end was met before: what was read then is stored meanwhile, or the outputs still stand still and memory alone has it.
    private async Task IdleAsync(long met, Task grown, CancellationToken cancellationToken)
    {
        await pipeline.FlushAsync(cancellationToken);
        await pipeline.SyncAsync(cancellationToken);
        await Task.WhenAny(grown, Task.Delay(options.ConfirmInterval, time, cancellationToken));
        cancellationToken.ThrowIfCancellationRequested();
        if (pipeline.FirstUnsettled > met && !wal.Held)
        {
            _caughtUp.TrySetResult();
        }
    }

    // What is stored need not be remembered; nobody is told how far that is.
    private async Task SyncAsync(ConfirmedWal replayed, CancellationToken cancellationToken)
    {
        await pipeline.SyncAsync(cancellationToken);
        replayed.Advance(0, () => pipeline.FirstUnsettled);
    }

    private static FileStream Open(string path) => new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 64 * 1024, FileOptions.SequentialScan);

    [LoggerMessage(Level = LogLevel.Warning, Message = "the last {Bytes} bytes of {Path}, from {Position} on, are no whole messages: when they were written, the process or the system ended. They were not confirmed, and come again")]
    private partial void Torn(string path, long bytes, long position);

    [LoggerMessage(Level = LogLevel.Information, Message = "what slot {Slot} had on disk is stored and deleted")]
    private partial void Stored(string slot);
}
