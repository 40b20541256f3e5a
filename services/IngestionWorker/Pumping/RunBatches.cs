using System.Threading.Channels;
using MassTransit.Transports;
using RuleEngineNats.Consumers;
using RuleEngineNats.IngestionWorker.Storing;

namespace RuleEngineNats.IngestionWorker.Pumping;

/// <summary>Makes batches of what has arrived and takes each through MassTransit's pipeline to <see cref="StoreBatch"/>, several at once; then settles its messages.</summary>
internal sealed partial class RunBatches(
    IReceiveEndpointDispatcher<StoreBatch> dispatcher, Drain drain, IngestionWorkerOptions options, TimeProvider time, ILogger<RunBatches> logger)
{
    private static readonly byte[] NoBody = [.. "{}"u8];
    private static readonly IReadOnlyDictionary<string, object> NoHeaders = new Dictionary<string, object>();
    private static readonly TimeSpan AfterFailure = TimeSpan.FromSeconds(5);

    public PumpCount Count { get; } = new();

    /// <summary>Runs until the token says stop and all that was begun is settled; what was not begun is given back.</summary>
    public async Task RunAsync(ChannelReader<Arrival> arrived, HeldMessages held, SettleBatch settle, string streamId, CancellationToken stop)
    {
        using var places = new SemaphoreSlim(options.Concurrency);
        var running = new HashSet<Task>();
        try
        {
            while (true)
            {
                await places.WaitAsync(stop);
                var batch = await NextAsync(arrived, stop);
                running.RemoveWhere(task => task.IsCompleted);
                running.Add(RunAsync(batch));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ChannelClosedException)
        {
            // What has come and not begun is another worker's.
            await Task.WhenAll(running);
            List<Arrival> left = [];
            await foreach (var arrival in arrived.ReadAllAsync(CancellationToken.None))
            {
                left.Add(arrival);
            }

            await settle.RunAsync(left);
            held.Remove(left);
        }

        async Task RunAsync(List<Arrival> batch)
        {
            try
            {
                await StoreAsync(batch, settle, streamId);
            }
            finally
            {
                held.Remove(batch);
                places.Release();
            }
        }
    }

    private async Task<List<Arrival>> NextAsync(ChannelReader<Arrival> arrived, CancellationToken stop)
    {
        var batch = new List<Arrival>(options.BatchSize) { await arrived.ReadAsync(stop) };
        var bytes = batch[0].Bytes;
        Task? delay = null;
        while (batch.Count < options.BatchSize && bytes < options.BatchBytes && !stop.IsCancellationRequested)
        {
            if (arrived.TryRead(out var arrival))
            {
                bytes += arrival.Bytes;
                batch.Add(arrival);
                continue;
            }

            delay ??= Task.Delay(options.BatchDelay, time, CancellationToken.None);
            var more = arrived.WaitToReadAsync(CancellationToken.None).AsTask();
            if (await Task.WhenAny(delay, more) == delay || !await more)
            {
                break;
            }
        }

        return batch;
    }

    private async Task StoreAsync(List<Arrival> batch, SettleBatch settle, string streamId)
    {
        // What seems to end every process that takes it goes alone, in an order of its own each time: what it took along gets past it.
        var suspects = batch.Where(arrival => arrival.Delivery > options.MaxDeliveries / 2).ToArray();
        Random.Shared.Shuffle(suspects);
        await StoreTogetherAsync(suspects.Length == 0 ? batch : [.. batch.Except(suspects)], settle, streamId);
        foreach (var suspect in suspects)
        {
            await StoreTogetherAsync([suspect], settle, streamId);
        }
    }

    private async Task StoreTogetherAsync(List<Arrival> batch, SettleBatch settle, string streamId)
    {
        if (batch.Count == 0)
        {
            return;
        }

        var began = time.GetTimestamp();
        batch.Sort(static (one, other) => one.Sequence.CompareTo(other.Sequence));
        try
        {
            await dispatcher.Dispatch(NoBody, NoHeaders, CancellationToken.None, new ArrivedBatch(batch, streamId));
            Count.Processed(time.GetElapsedTime(began), batch.Count);
        }
        catch (Exception e)
        {
            if (!drain.Abort.IsCancellationRequested)
            {
                LogFailed(e, batch.Count);
            }

            foreach (var arrival in batch.Where(arrival => arrival.Settlement.Pause is not null))
            {
                arrival.Settlement = Settlement.Again(drain.Abort.IsCancellationRequested ? TimeSpan.Zero : AfterFailure);
            }
        }

        Count.Acknowledged(await settle.RunAsync(batch));
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "a batch of {Documents} documents failed and comes again")]
    private partial void LogFailed(Exception exception, int documents);
}
