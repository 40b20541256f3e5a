using Microsoft.Extensions.Options;
using Npgsql;
using RuleEngineNats.Consumers;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Replays;

/// <summary>Takes replays that were asked for, and those of workers that died, and carries them out.</summary>
internal sealed partial class ReplayWorker(
    ReplayRows rows, RunReplay run, ConfigWatcher configuration, Drain drain, IOptions<ReplayOptions> options, TimeProvider time, ILogger<ReplayWorker> logger) : BackgroundService
{
    private static readonly TimeSpan LastWord = TimeSpan.FromSeconds(2);

    private readonly List<Task> _running = [];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!drain.Stop.IsCancellationRequested)
        {
            try
            {
                _running.RemoveAll(task => task.IsCompleted);
                while (_running.Count < options.Value.Concurrency && configuration.HasSnapshot && await rows.ClaimAsync(options.Value.Lease, drain.Stop) is { } replay)
                {
                    _running.Add(CarryOutAsync(replay));
                }
            }
            catch (NpgsqlException e)
            {
                LogNotClaimed(e.Message);
            }
            catch (OperationCanceledException) when (drain.Stop.IsCancellationRequested)
            {
                break;
            }

            await Task.Delay(options.Value.PollEvery, time, drain.Stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await Task.WhenAll(_running);
    }

    private async Task CarryOutAsync(Replay replay)
    {
        LogTaken(replay.Id, replay.WebhookId, replay.Stream, replay.Next);
        await using var lease = new ReplayLease(rows, replay, options.Value, time, drain.Stop);
        try
        {
            if (await run.RunAsync(replay, lease) is { } problem)
            {
                LogFailed(replay.Id, problem);
                await rows.FailAsync(replay, problem, lease.Token);
            }
            else
            {
                LogDone(replay.Id);
            }
        }
        catch (OperationCanceledException) when (lease.Lost)
        {
            LogLost(replay.Id);
        }
        catch (OperationCanceledException) when (drain.Stop.IsCancellationRequested)
        {
            await ReleaseAsync(replay, TimeSpan.Zero, null);
        }
        catch (Exception e)
        {
            LogInterrupted(replay.Id, e.Message);
            await ReleaseAsync(replay, options.Value.RetryAfter, e.Message);
        }
    }

    private async Task ReleaseAsync(Replay replay, TimeSpan after, string? error)
    {
        try
        {
            using var limit = new CancellationTokenSource(LastWord, time);
            await rows.ReleaseAsync(replay, after, error, limit.Token);
        }
        catch (Exception e) when (e is NpgsqlException or OperationCanceledException)
        {
            LogNotClaimed(e.Message); // Its lease ends.
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "replay {ReplayId} of webhook {WebhookId} reads stream {Stream} from {Next}")]
    private partial void LogTaken(long replayId, int webhookId, string stream, ulong? next);

    [LoggerMessage(Level = LogLevel.Information, Message = "replay {ReplayId} is done")]
    private partial void LogDone(long replayId);

    [LoggerMessage(Level = LogLevel.Information, Message = "replay {ReplayId} was cancelled, or another worker has it")]
    private partial void LogLost(long replayId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "replay {ReplayId} failed: {Reason}")]
    private partial void LogFailed(long replayId, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "replay {ReplayId} was interrupted and will go on: {Reason}")]
    private partial void LogInterrupted(long replayId, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "replays could not be read or written: {Reason}")]
    private partial void LogNotClaimed(string reason);
}
