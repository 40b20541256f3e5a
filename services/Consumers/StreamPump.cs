using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using NATS.Client.Core;
using NATS.Client.JetStream;

namespace RuleEngineNats.Consumers;

/// <summary>
/// Takes one stream's messages to the consumer. It asks the server for as many as can start at once and for a few that follow them (half as many, at most
/// 32: without them the places were empty for a fifth of the time), so little ages in a buffer here while another worker is idle; all of it is reported as
/// in work. A message is acknowledged when the consumer returns, and the server confirms that it took the acknowledgement.
/// </summary>
internal sealed partial class StreamPump(
    string config, string stream, Func<INatsConnection> connection, OpenConsumer open, PumpWork work, Drain drain, TimeProvider time, ILogger<StreamPump> logger) : ICountedPump, IDisposable
{
    private static readonly NatsJSFetchOpts Pull = new() { Expires = TimeSpan.FromSeconds(30), IdleHeartbeat = TimeSpan.FromSeconds(5) };
    private static readonly TimeSpan AfterFailure = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan AckTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ClockDifference = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _slots = new(work.Concurrency + Ahead(work));
    private readonly SemaphoreSlim _places = new(work.Concurrency);
    private readonly ConcurrentDictionary<ulong, InWork> _inWork = new();
    private CancellationTokenSource _pulling = new();
    private volatile Task _pulled = Task.CompletedTask;
    private long _lastKey;
    private long _countedFrom;
    private volatile bool _restarting;
    private int _reconnects;
    private int _lookedAfter;

    public string Config => config;

    public string Stream => stream;

    /// <summary>Null while the consumer is there and being pulled from.</summary>
    public string? Problem { get; private set; } = "not started";

    public PumpCount Count { get; } = new();

    /// <summary>How the consumer on the server differs from what this worker would make, or null.</summary>
    public string? Difference { get; private set; }

    public void Dispose()
    {
        _slots.Dispose();
        _places.Dispose();
        _pulling.Dispose();
    }

    /// <summary>
    /// After a reconnect, when the server may have lost messages that the consumer remembers, or when the reconciler has found that it did: where the
    /// consumer has to be made anew, stops pulling, finishes what is in work, and opens it again.
    /// </summary>
    public async Task LookAsync(bool asked, CancellationToken cancellationToken)
    {
        var reconnects = Volatile.Read(ref _reconnects);
        if (!asked && reconnects == _lookedAfter)
        {
            return;
        }

        if (await open.IsDueAsync(new NatsJSContext(connection()), config, stream, work.Definition.Name!, cancellationToken))
        {
            lock (_slots)
            {
                _restarting = true;
                _pulling.Cancel();
            }
        }

        _lookedAfter = reconnects;
    }

    public async Task<long> ReadPendingAsync(CancellationToken cancellationToken)
        => (long)(await new NatsJSContext(connection()).GetConsumerAsync(stream, work.Definition.Name!, cancellationToken)).Info.NumPending;

    /// <summary>The sequence up to which every message of the stream is acknowledged.</summary>
    public async Task<long> ReadAckFloorAsync(CancellationToken cancellationToken)
        => (long)(await new NatsJSContext(connection()).GetConsumerAsync(stream, work.Definition.Name!, cancellationToken)).Info.AckFloor.StreamSeq;

    /// <summary>Runs until the token says stop, then until everything in work is finished or given back.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        using var finished = new CancellationTokenSource();
        var progress = ReportProgressAsync(finished.Token);
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await PullAsync(stop);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                break;
            }
            catch (OperationCanceledException) when (_restarting)
            {
                await Task.WhenAll(_inWork.Values.Select(item => item.Finished.Task));
            }
            catch (Exception e)
            {
                Problem = e.Message;
                LogFailed(stream, e.Message);
                await Task.Delay(AfterFailure, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        await Task.WhenAll(_inWork.Values.Select(item => item.Finished.Task));
        await finished.CancelAsync();
        await progress;
    }

    private async Task PullAsync(CancellationToken stop)
    {
        var current = connection();
        var pulled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _pulled = pulled.Task;
        current.ConnectionOpened += OnReconnected;
        lock (_slots)
        {
            _pulling.Dispose();
            _pulling = CancellationTokenSource.CreateLinkedTokenSource(stop);
        }

        try
        {
            await PullAsync(new NatsJSContext(current), _pulling.Token);
        }
        finally
        {
            current.ConnectionOpened -= OnReconnected;
            pulled.SetResult();
        }
    }

    // A server that lost power comes back with acknowledgements of up to two minutes forgotten.
    private ValueTask OnReconnected(object? sender, NatsEventArgs arguments)
    {
        CountFrom(time.GetUtcNow() + ClockDifference);
        Interlocked.Increment(ref _reconnects);
        return default;
    }

    private void CountFrom(DateTimeOffset moment)
        => Interlocked.Exchange(ref _countedFrom, Math.Max(moment.UtcTicks, Interlocked.Read(ref _countedFrom)));

    private async Task PullAsync(NatsJSContext context, CancellationToken stop)
    {
        _restarting = false;
        var consumer = await open.RunAsync(context, config, stream, work.Definition, stop);
        if (work.Definition.FilterSubject is { } filter && SharedConsumer.Filter(consumer.Info.Config) is var actual && actual != filter)
        {
            throw new InvalidOperationException($"the server's consumer {work.Definition.Name} has the filter '{actual}' instead of '{filter}': delete it, or give yours another name");
        }

        // A consumer made anew begins at the oldest message, whatever its predecessor had delivered; and what waits here may have been delivered from
        // the servers that the configuration named before.
        CountFrom(time.GetUtcNow() + ClockDifference);
        ReportDifferences(SharedConsumer.Differences(consumer.Info.Config, work.Definition));
        Problem = null;
        LogPulling(stream);
        var acks = new ConfirmAcks(() => Volatile.Read(ref _reconnects), time, drain.Abort);
        var since = time.GetTimestamp();
        while (!stop.IsCancellationRequested)
        {
            var asked = await TakeSlotsAsync(stop);
            var got = 0;
            try
            {
                if (time.GetElapsedTime(since) > OpenConsumer.Gap / 2)
                {
                    await RefreshAsync(consumer, stop);
                }

                since = time.GetTimestamp();
                await foreach (var message in consumer.FetchAsync<byte[]>(Pull with { MaxMsgs = asked }, cancellationToken: stop))
                {
                    got++;
                    Start(message, acks);
                }
            }
            finally
            {
                if (asked > got)
                {
                    _slots.Release(asked - got);
                }
            }

            // An answer at once without a message is a refusal: see whether the consumer is still there.
            if (got == 0 && time.GetElapsedTime(since) < AfterFailure)
            {
                await Task.Delay(AfterFailure, time, stop);
                await RefreshAsync(consumer, stop);
            }
        }
    }

    private static int Ahead(PumpWork work) => Math.Min(32, work.Concurrency / 2);

    private async Task RefreshAsync(INatsJSConsumer consumer, CancellationToken cancellationToken)
    {
        await consumer.RefreshAsync(cancellationToken);
        CountFrom(consumer.Info.Created);
    }

    // One request for many messages costs as much as one for one. When few slots are free, a moment brings more.
    private async Task<int> TakeSlotsAsync(CancellationToken stop)
    {
        await _slots.WaitAsync(stop);
        var taken = 1;
        if (_slots.CurrentCount < work.Concurrency / 4)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(1), time, CancellationToken.None);
        }

        while (_slots.Wait(0, CancellationToken.None))
        {
            taken++;
        }

        return taken;
    }

    private void Start(INatsJSMsg<byte[]> message, ConfirmAcks acks)
    {
        var item = new InWork(message, acks, time.GetTimestamp());
        var key = (ulong)Interlocked.Increment(ref _lastKey);
        _inWork[key] = item;
        _ = HandleAsync(key, item);
    }

    private async Task HandleAsync(ulong key, InWork item)
    {
        try
        {
            var (begun, failure) = await ConsumeAsync(item.Message);
            await (failure is null ? AckAsync(item) : GiveBackAsync(item.Message, failure, atOnce: !begun || drain.Abort.IsCancellationRequested));
        }
        finally
        {
            _inWork.TryRemove(key, out _);
            _slots.Release();
            item.Finished.TrySetResult();
        }
    }

    private async Task<(bool Begun, Exception? Failure)> ConsumeAsync(INatsJSMsg<byte[]> message)
    {
        try
        {
            await _places.WaitAsync(drain.Stop);
        }
        catch (OperationCanceledException e)
        {
            return (false, e);
        }

        try
        {
            // What has not begun when a stop is asked for is given back. A place may come free in the same moment.
            if (drain.Stop.IsCancellationRequested)
            {
                return (false, new OperationCanceledException(drain.Stop));
            }

            var began = time.GetTimestamp();
            var delivery = message.Metadata?.NumDelivered ?? 1;
            Count.Delivered(again: delivery > 1);
            work.Redelivery.ThrowIfSpent(delivery);
            await work.HandleAsync(message, stream, new(Interlocked.Read(ref _countedFrom), TimeSpan.Zero), drain.Abort);
            Count.Processed(time.GetElapsedTime(began));
            return (true, null);
        }
        catch (Exception e)
        {
            return (true, e);
        }
        finally
        {
            _places.Release();
        }
    }

    private async Task AckAsync(InWork item)
    {
        if (await item.Acks.AckAsync(item.Message) is { } problem)
        {
            // It comes again, and its recorded outcomes are not repeated.
            LogNotAcknowledged(stream, item.Message.Metadata?.Sequence.Stream, problem);
            return;
        }

        Count.Acknowledged();
    }

    private async Task GiveBackAsync(INatsJSMsg<byte[]> message, Exception reason, bool atOnce)
    {
        var pause = atOnce ? TimeSpan.Zero : work.Redelivery.After(message.Metadata?.NumDelivered ?? 1, reason);
        if (pause is null)
        {
            LogGivenUp(work.Definition.Name, stream, message.Metadata?.Sequence.Stream, message.Metadata?.NumDelivered, reason.Message);
        }
        else if (!atOnce)
        {
            LogGivenBack(stream, message.Metadata?.Sequence.Stream, reason.Message);
        }

        if (atOnce)
        {
            // Sooner the server would give it to this worker again, and nobody else would have it before AckWait.
            await _pulled;
        }

        try
        {
            using var limit = new CancellationTokenSource(AckTimeout, time);
            await (pause is { } delay
                ? message.NakAsync(new AckOpts { NakDelay = delay, DoubleAck = true }, limit.Token)
                : message.AckTerminateAsync(new AckOpts { DoubleAck = true }, limit.Token));
        }
        catch (Exception e) when (e is NatsException or OperationCanceledException)
        {
            LogNotAcknowledged(stream, message.Metadata?.Sequence.Stream, e.Message);
        }
    }

    private async Task ReportProgressAsync(CancellationToken finished)
    {
        using var timer = new PeriodicTimer(work.ProgressEvery / 4, time);
        try
        {
            while (await timer.WaitForNextTickAsync(finished))
            {
                foreach (var item in _inWork.Values)
                {
                    if (time.GetElapsedTime(item.Reported) >= work.ProgressEvery)
                    {
                        item.Reported = time.GetTimestamp();
                        await ReportProgressAsync(item.Message, finished);
                    }
                }
            }
        }
        catch (OperationCanceledException) when (finished.IsCancellationRequested)
        {
            // Nothing is in work any more.
        }
    }

    private async Task ReportProgressAsync(INatsJSMsg<byte[]> message, CancellationToken cancellationToken)
    {
        try
        {
            await message.AckProgressAsync(cancellationToken: cancellationToken);
        }
        catch (NatsException e)
        {
            LogNoProgress(stream, e.Message);
        }
    }

    private void ReportDifferences(IReadOnlyList<string> differences)
    {
        Difference = differences.Count == 0 ? null : string.Join(", ", differences);
        if (Difference is { } difference)
        {
            LogDiffers(stream, difference);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "pulling from stream {Stream}")]
    private partial void LogPulling(string stream);

    [LoggerMessage(Level = LogLevel.Warning, Message = "stream {Stream} cannot be pulled from: {Reason}")]
    private partial void LogFailed(string stream, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "the consumer of stream {Stream} differs and is used as it is: {Differences}")]
    private partial void LogDiffers(string stream, string differences);

    [LoggerMessage(Level = LogLevel.Warning, Message = "message {Sequence} of stream {Stream} is given back: {Reason}")]
    private partial void LogGivenBack(string stream, ulong? sequence, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "consumer {Consumer} gives up message {Sequence} of stream {Stream} after delivery {Delivery}; it stays in the stream: {Reason}")]
    private partial void LogGivenUp(string? consumer, string stream, ulong? sequence, ulong? delivery, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "message {Sequence} of stream {Stream} is settled but the server did not confirm it: {Reason}")]
    private partial void LogNotAcknowledged(string stream, ulong? sequence, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "progress on stream {Stream} could not be reported: {Reason}")]
    private partial void LogNoProgress(string stream, string reason);
}
