using System.Collections.Concurrent;
using MassTransit.Transports;
using Microsoft.Extensions.Options;
using RuleEngineNats.Consumers;
using RuleEngineNats.DeliveryWorker.Routing;

namespace RuleEngineNats.DeliveryWorker.Queue;

/// <summary>
/// Takes calls that are due out of PostgreSQL, no more than can start at once. It polls: 100 ms while there is work, growing to 1 s without. NOTIFY in the
/// transaction that queues would take a lock all of them share and cost 63 % of their throughput at 16 writers.
/// </summary>
internal sealed partial class QueuePump(
    CallQueue calls, Routes routes, IReceiveEndpointDispatcher<DeliverCall> dispatcher, Drain drain, IOptions<DeliveryOptions> options, TimeProvider time,
    ILogger<QueuePump> logger) : BackgroundService
{
    private static readonly TimeSpan AfterFailure = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim _slots = new(options.Value.QueueConcurrency);
    private readonly ConcurrentDictionary<long, Task> _inWork = new();

    /// <summary>Null while the last look at the queue went well.</summary>
    public string? Problem { get; private set; }

    public override void Dispose()
    {
        _slots.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var pause = options.Value.QueuePollBusy;
        while (!drain.Stop.IsCancellationRequested)
        {
            try
            {
                var (asked, got) = await ClaimAsync(drain.Stop);
                Problem = null;
                pause = NextPause(pause, got);
                if (got < asked || asked == 0)
                {
                    await Task.Delay(pause, time, drain.Stop);
                }
            }
            catch (OperationCanceledException) when (drain.Stop.IsCancellationRequested)
            {
                break;
            }
            catch (Exception e)
            {
                Problem = e.Message;
                LogFailed(e.Message);
                await Task.Delay(AfterFailure, time, drain.Stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        await Task.WhenAll(_inWork.Values);
    }

    private TimeSpan NextPause(TimeSpan pause, int got)
    {
        var idle = options.Value.QueuePollIdle;
        return got > 0 ? options.Value.QueuePollBusy : pause * 2 < idle ? pause * 2 : idle;
    }

    private async Task<(int Asked, int Got)> ClaimAsync(CancellationToken cancellationToken)
    {
        await _slots.WaitAsync(cancellationToken);
        var free = 1;
        while (_slots.Wait(0, CancellationToken.None))
        {
            free++;
        }

        var started = 0;
        try
        {
            var webhooks = routes.Current.EndpointIds;
            // Not cancelled by a stop: rows that were leased but never read would wait for the end of their lease.
            var claimed = webhooks.Length == 0 ? [] : await calls.ClaimAsync(webhooks, free, options.Value.Lease, drain.Abort);
            foreach (var call in claimed)
            {
                started++;
                Start(call);
            }

            return (free, claimed.Count);
        }
        finally
        {
            if (free > started)
            {
                _slots.Release(free - started);
            }
        }
    }

    private void Start(LeasedCall call)
    {
        var finished = new TaskCompletionSource();
        _inWork[call.CallId] = finished.Task;
        _ = DeliverAsync(call, finished);
    }

    private async Task DeliverAsync(LeasedCall call, TaskCompletionSource finished)
    {
        try
        {
            await dispatcher.Dispatch(Hosting.NoBody, Hosting.NoHeaders, drain.Abort, call);
        }
        catch (Exception e)
        {
            await ReleaseAsync(call, e);
        }
        finally
        {
            _slots.Release();
            _inWork.TryRemove(call.CallId, out _);
            finished.TrySetResult();
        }
    }

    private async Task ReleaseAsync(LeasedCall call, Exception reason)
    {
        if (!drain.Abort.IsCancellationRequested)
        {
            LogNotRecorded(call.CallId, reason.Message);
            return; // Its lease ends; taking it up at once would repeat what failed just now.
        }

        try
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2), time);
            await calls.ReleaseAsync(call.CallId, limit.Token);
        }
        catch (Exception e)
        {
            LogNotRecorded(call.CallId, e.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "the queue could not be read: {Reason}")]
    private partial void LogFailed(string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "call {CallId} ended without a record and is taken up again after its lease: {Reason}")]
    private partial void LogNotRecorded(long callId, string reason);
}
