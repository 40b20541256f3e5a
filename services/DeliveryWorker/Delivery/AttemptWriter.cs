using System.Threading.Channels;
using Microsoft.Extensions.Options;
using Npgsql;
using RuleEngineNats.DeliveryWorker.Isolation;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>
/// Makes attempts durable. While one transaction commits, what comes in forms the next, so a single delivery waits for one commit and a thousand
/// at once share a few. An attempt that cannot be written for want of PostgreSQL waits for it: its event stays unacknowledged and in progress.
/// It keeps no connection to itself: where PostgreSQL has fewer than all workers together want, one is enough for all that a worker does.
/// </summary>
internal sealed partial class AttemptWriter(
    NpgsqlDataSource database, Circuits circuits, IOptions<DeliveryOptions> options, TimeProvider time, ILogger<AttemptWriter> logger) : BackgroundService
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    /// <summary>Whether attempts can be recorded; while they cannot, no event should be taken.</summary>
    public bool IsConnected { get; private set; }

    // As long as the deliveries that may be under way, which are bounded.
    private readonly Channel<Pending> _waiting = Channel.CreateUnbounded<Pending>(new() { SingleReader = true });

    /// <summary>Completes when the attempt is committed.</summary>
    public async Task RecordAsync(AttemptRecord record, CancellationToken cancellationToken)
    {
        var pending = new Pending(record, new(TaskCreationOptions.RunContinuationsAsynchronously));
        await _waiting.Writer.WriteAsync(pending, cancellationToken);
        await pending.Written.Task.WaitAsync(cancellationToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        // The pumps have stopped before: what waits now is all there will be.
        _waiting.Writer.TryComplete();
        if (ExecuteTask is { } running)
        {
            await running.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await base.StopAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await ConnectedAsync(0, static _ => Task.CompletedTask, stoppingToken);
        var batch = new List<Pending>();
        while (await _waiting.Reader.WaitToReadAsync(stoppingToken))
        {
            while (batch.Count < options.Value.WriteBatch && _waiting.Reader.TryRead(out var pending))
            {
                batch.Add(pending);
            }

            await WriteAsync(batch, stoppingToken);
            batch.Clear();
        }
    }

    private async Task WriteAsync(List<Pending> batch, CancellationToken cancellationToken)
    {
        try
        {
            await ConnectedAsync(
                batch.Count, connection => AttemptBatch.WriteAsync(connection, [.. batch.Select(pending => pending.Record)], circuits, cancellationToken), cancellationToken);
            batch.ForEach(pending => pending.Written.TrySetResult());
        }
        catch (PostgresException e) when (IsAboutContent(e))
        {
            LogContentRefused(batch.Count, e.SqlState, e.MessageText);
            await WriteOneByOneAsync(batch, e, cancellationToken);
        }
    }

    // Tries until PostgreSQL has taken it, or says that it never will.
    private async Task ConnectedAsync(int waiting, Func<NpgsqlConnection, Task> write, CancellationToken cancellationToken)
    {
        for (var pause = FirstPause; ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            try
            {
                await using var connection = await database.OpenConnectionAsync(cancellationToken);
                await write(connection);
                IsConnected = true;
                return;
            }
            catch (Exception e) when ((e is NpgsqlException or TimeoutException or IOException) && !(e is PostgresException refused && IsAboutContent(refused)))
            {
                IsConnected = false;
                LogUnavailable(waiting, pause.TotalMilliseconds, e.Message);
                await Task.Delay(pause, time, cancellationToken);
            }
        }
    }

    // One attempt that PostgreSQL will not take must not hold up the others, nor be lost: it goes in without what could offend.
    private async Task WriteOneByOneAsync(List<Pending> batch, PostgresException reason, CancellationToken cancellationToken)
    {
        if (batch.Count > 1)
        {
            foreach (var pending in batch)
            {
                await WriteAsync([pending], cancellationToken);
            }

            return;
        }

        var single = batch[0];
        if (single.Reduced)
        {
            single.Written.TrySetException(new InvalidOperationException("PostgreSQL refuses the attempt: " + reason.MessageText, reason));
            return;
        }

        var attempt = single.Record.Attempt is { } made ? made with { ResponseBody = null, ResponseHeaders = null } : null;
        // Without what an absent body is called, the call would be one with an empty body.
        var headers = single.Record.Event.BodyMissing is null ? [] : single.Record.Event.Headers.Where(header => header.Key.StartsWith("rule-", StringComparison.Ordinal));
        var record = single.Record with { Attempt = attempt, Event = single.Record.Event with { Headers = [.. headers], TraceParent = null } };
        await WriteAsync([single with { Record = record, Reduced = true }], cancellationToken);
    }

    // Classes 22 (data) and 23 (integrity) are about a row; everything else is about the database, which comes back.
    private static bool IsAboutContent(PostgresException exception)
        => exception.SqlState.StartsWith("22", StringComparison.Ordinal) || exception.SqlState.StartsWith("23", StringComparison.Ordinal);

    private sealed record Pending(AttemptRecord Record, TaskCompletionSource Written, bool Reduced = false);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Count} attempts were refused by PostgreSQL ({SqlState}: {Reason}) and are written one by one")]
    private partial void LogContentRefused(int count, string sqlState, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Count} attempts wait for PostgreSQL, next try in {PauseMs} ms: {Reason}")]
    private partial void LogUnavailable(int count, double pauseMs, string reason);
}
