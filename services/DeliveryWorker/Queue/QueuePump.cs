using System.Collections.Concurrent;
using MassTransit.Transports;
using Microsoft.Extensions.Options;
using RuleEngineNats.Consumers;
using RuleEngineNats.DeliveryWorker.Ordering;

namespace RuleEngineNats.DeliveryWorker.Queue;

/// <summary>
/// Takes calls that are due out of PostgreSQL, of each endpoint no more than it may have. It polls: 100 ms while there is work, growing to 1 s without, and
/// looks again as soon as a place comes free. NOTIFY in the transaction that queues would take a lock all of them share and cost 63 % of their throughput at 16 writers.
/// </summary>
internal sealed partial class QueuePump(
    CallQueue calls, ClaimCalls claims, ClaimPlan plan, ClaimOrdered ordered, IReceiveEndpointDispatcher<DeliverCall> dispatcher, Drain drain,
    IOptions<DeliveryOptions> options, TimeProvider time, ILogger<QueuePump> logger) : BackgroundService
{
    private static readonly TimeSpan AfterFailure = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<long, Task> _inWork = new();
    private readonly SemaphoreSlim _ended = new(0);
    private int _places = options.Value.QueueConcurrency;

    /// <summary>Null while the last look at the queue went well.</summary>
    public string? Problem { get; private set; }

    public override void Dispose()
    {
        _ended.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var pause = options.Value.QueuePollBusy;
        while (!drain.Stop.IsCancellationRequested)
        {
            try
            {
                var (found, got) = await ClaimAsync(drain.Stop);
                Problem = null;
                pause = found > 0 ? options.Value.QueuePollBusy : pause * 2 < options.Value.QueuePollIdle ? pause * 2 : options.Value.QueuePollIdle;
                if (got == 0)
                {
                    await WaitAsync(pause, drain.Stop);
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

    // Until the pause is over, or a call that ended makes room.
    private async Task WaitAsync(TimeSpan pause, CancellationToken cancellationToken)
    {
        if (_inWork.IsEmpty)
        {
            await Task.Delay(pause, time, cancellationToken);
        }
        else
        {
            await _ended.WaitAsync(pause, cancellationToken);
        }

        while (_ended.Wait(0, CancellationToken.None))
        {
        }
    }

    private async Task<(int Found, int Got)> ClaimAsync(CancellationToken cancellationToken)
    {
        var places = Volatile.Read(ref _places);
        if (places <= 0)
        {
            return (1, 0);
        }

        var due = await claims.FindDueAsync(cancellationToken);
        var shares = await plan.MakeAsync(due, places, cancellationToken);
        if (shares.Count == 0)
        {
            return (due.Count, 0);
        }

        // Not cancelled by a stop: rows that were leased but never read would wait for the end of their lease.
        var unordered = shares.Where(share => !share.Ordered).ToArray();
        List<LeasedCall> claimed = [.. unordered.Length == 0 ? [] : await claims.ClaimAsync(unordered, options.Value.Lease, drain.Abort)];
        claimed.AddRange(await ordered.RunAsync(shares, drain.Abort));
        plan.Spend(shares, claimed);
        foreach (var call in claimed)
        {
            Start(call);
        }

        return (due.Count, claimed.Count);
    }

    private void Start(LeasedCall call)
    {
        Interlocked.Decrement(ref _places);
        var finished = new TaskCompletionSource();
        _inWork[call.CallId] = finished.Task;
        _ = DeliverAsync(call, finished);
    }

    private async Task DeliverAsync(LeasedCall call, TaskCompletionSource finished)
    {
        var early = false;
        try
        {
            var dispatch = dispatcher.Dispatch(Hosting.NoBody, Hosting.NoHeaders, drain.Abort, call);
            await dispatch.WaitAsync(options.Value.DetachAfter, time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            // What takes long holds no place of other endpoints' calls; its lease is in the table.
            if (!dispatch.IsCompleted && _inWork.Count <= options.Value.MaxDetached)
            {
                early = true;
                GivePlaceBack();
            }

            await dispatch;
        }
        catch (Exception) when (drain.Abort.IsCancellationRequested)
        {
            await calls.GiveBackAsync(call.CallId);
        }
        catch (Exception e)
        {
            calls.LeaveToLease(call.CallId, e);
        }
        finally
        {
            _inWork.TryRemove(call.CallId, out _);
            if (!early)
            {
                GivePlaceBack();
            }

            finished.TrySetResult();
        }
    }

    private void GivePlaceBack()
    {
        Interlocked.Increment(ref _places);
        _ended.Release();
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "the queue could not be read: {Reason}")]
    private partial void LogFailed(string reason);
}
