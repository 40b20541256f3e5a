using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using Npgsql;
using RuleEngineNats.DeliveryWorker.Queue;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>
/// Attempts that take long. Each goes on as a leased call: the row stands for it should this process die, and its event can be acknowledged, so that a slow
/// endpoint holds no place of the stream. A stop waits for them.
/// </summary>
internal sealed partial class DetachedAttempts(CallQueue calls, AttemptWriter writer, IOptions<DeliveryOptions> options, ILogger<DetachedAttempts> logger) : IHostedService
{
    private readonly ConcurrentDictionary<long, Task> _running = new();

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    // The pumps have stopped before: none is added any more.
    public Task StopAsync(CancellationToken cancellationToken) => Task.WhenAll(_running.Values).WaitAsync(cancellationToken);

    /// <summary>Takes a first attempt over. False when there are too many, or a call of this event is there already: then whoever began it waits for its end.</summary>
    public async Task<bool> TryTakeAsync(Endpoint endpoint, OutgoingEvent outgoing, Task<AttemptRecord> attempt, CancellationToken cancellationToken)
    {
        if (!HasRoom || await OpenAsync(endpoint, outgoing, cancellationToken) is not { } callId)
        {
            return false;
        }

        Follow(callId, attempt);
        return true;
    }

    /// <summary>Takes the attempt of a leased call over. False when there are too many.</summary>
    public bool TryTake(long callId, Task<AttemptRecord> attempt)
    {
        if (!HasRoom)
        {
            return false;
        }

        Follow(callId, attempt);
        return true;
    }

    private bool HasRoom => _running.Count < options.Value.MaxDetached;

    private void Follow(long callId, Task<AttemptRecord> attempt)
    {
        DeliveryMetrics.Detached();
        var finished = new TaskCompletionSource();
        _running[callId] = finished.Task;
        _ = FinishAsync(callId, attempt, finished);
    }

    private async Task<long?> OpenAsync(Endpoint endpoint, OutgoingEvent outgoing, CancellationToken cancellationToken)
    {
        try
        {
            return await calls.OpenLeasedAsync(endpoint.Id, outgoing, options.Value.Lease, cancellationToken);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or IOException)
        {
            LogNotTaken(outgoing.EventId, endpoint.Id, e.Message);
            return null;
        }
    }

    private async Task FinishAsync(long callId, Task<AttemptRecord> attempt, TaskCompletionSource finished)
    {
        try
        {
            var record = await attempt;
            var change = record.Change switch
            {
                CallChange.Open open => new CallChange.Fail(open.RetryIn, open.Error),
                CallChange.Nothing => new CallChange.Succeed(),
                var ofCall => ofCall,
            };
            await writer.RecordAsync(record with { Event = record.Event with { CallId = callId }, Change = change }, CancellationToken.None);
        }
        catch (OperationCanceledException)
        {
            await calls.GiveBackAsync(callId);
        }
        catch (Exception e)
        {
            calls.LeaveToLease(callId, e);
        }
        finally
        {
            _running.TryRemove(callId, out _);
            finished.TrySetResult();
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "the attempt of event {EventId} to webhook {WebhookId} keeps its place in the stream: {Reason}")]
    private partial void LogNotTaken(string eventId, int webhookId, string reason);
}
