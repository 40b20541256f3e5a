using Microsoft.Extensions.Logging;
using Npgsql;
using RuleEngineNats.ChangeCapture.Filters;
using RuleEngineNats.ChangeCapture.Guard;
using RuleEngineNats.ChangeCapture.Outputs;
using RuleEngineNats.ChangeCapture.Replication;
using RuleEngineNats.ChangeCapture.Spilling;

namespace RuleEngineNats.ChangeCapture;

/// <summary>
/// Change data capture: reads one logical replication slot and brings every change to every output, in the order of the commits. The slot is
/// confirmed only as far as all of it is stored; either side may go away and come back as often as it likes.
/// </summary>
/// <param name="options">What is captured, and where it goes.</param>
/// <param name="loggers">Where the log goes.</param>
/// <param name="time">The clock.</param>
public sealed partial class Capture(CaptureOptions options, ILoggerFactory loggers, TimeProvider time)
{
    private readonly ILogger _logger = loggers.CreateLogger<Capture>();

    /// <summary>What it is doing.</summary>
    public CaptureStatus Status { get; } = new();

    /// <summary>Is told how far snapshots are, after each chunk of rows; keeps the capture waiting while it takes note. Default: nobody.</summary>
    public IProgress<SnapshotProgress>? SnapshotProgress { get; init; }

    /// <summary>Runs until it is stopped.</summary>
    /// <exception cref="CaptureException">The options are wrong, something that they name does not exist, or the slot was lost: trying again would not help.</exception>
    public async Task RunAsync(CancellationToken stopping)
    {
        if (CaptureOptionsRules.Problems(options) is { Count: > 0 } problems)
        {
            throw new CaptureException(string.Join(Environment.NewLine, problems));
        }

        TransactionSpool.Check(options.SpoolDirectory);
        SpillFolder.Check(options.SpillDirectory);
        var filter = new CaptureFilter(options);
        var source = new CaptureSource(options, filter, new(options, time, loggers.CreateLogger<MoveSlot>()), loggers.CreateLogger<CaptureSource>());
        await using var outputs = new CaptureOutputs(options, Status, loggers, time);
        CaptureMetrics.Add(options.Slot, Status);
        try
        {
            outputs.Open();
            var pipeline = new EventPipeline(options.Slot, new(options.SubjectPrefix), outputs.All, Status, options.Oversized is OversizedPolicy.DeadLetter);
            await RunAsync(source, filter, pipeline, outputs.All, stopping);
            Status.Is(CaptureState.Ended, null);
        }
        catch (Exception exception)
        {
            Status.Is(CaptureState.Ended, exception.Message);
            throw;
        }
        finally
        {
            CaptureMetrics.Remove(options.Slot);
        }
    }

    private async Task RunAsync(CaptureSource source, CaptureFilter filter, EventPipeline pipeline, IReadOnlyList<ChangeOutput> outputs, CancellationToken stopping)
    {
        using var attempt = new CaptureAttempt(options, source, filter, pipeline, outputs, Status, SnapshotProgress, loggers, time);
        for (var failures = 0; !stopping.IsCancellationRequested;)
        {
            var began = time.GetTimestamp();
            try
            {
                await attempt.RunAsync(stopping);
            }
            catch (PostgresException exception) when (source.IsFinal(exception))
            {
                throw source.Final(exception);
            }
            catch (Exception) when (stopping.IsCancellationRequested)
            {
                break;
            }
            // The driver dereferences null when its session ends between two of its own steps; a defect of ours ends the capture.
            catch (Exception exception) when (exception is NpgsqlException or SlotStuckException or IOException or InvalidOperationException or OperationCanceledException or TimeoutException or System.Net.Sockets.SocketException or NullReferenceException { Source: "Npgsql" })
            {
                // One that fails as soon as it begins, each time, is begun less and less often.
                failures = time.GetElapsedTime(began) > options.RetryMaximum ? 1 : failures + 1;
                Status.Is(CaptureState.Interrupted, exception.Message);
                if (exception is SpoolException or SpillException or SlotStuckException)
                {
                    Left(exception.Message);
                }
                else
                {
                    Interrupted(exception.Message);
                }

                await Task.Delay(options.PauseAfter(failures), time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        Ended(options.Slot, pipeline.LastOrdinal);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "PostgreSQL is not ready: {Reason}; trying again")]
    private partial void Interrupted(string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Reason}; nothing is lost, trying again")]
    private partial void Left(string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "capture from slot {Slot} ended after {Events} events")]
    private partial void Ended(string slot, long events);
}
