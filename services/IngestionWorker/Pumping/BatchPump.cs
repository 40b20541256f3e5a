using System.Threading.Channels;
using Microsoft.Extensions.Options;
using NATS.Client.Core;
using NATS.Client.JetStream;
using RuleEngineNats.Consumers;
using RuleEngineNats.Contracts;
using RuleEngineNats.IngestionWorker.Tables;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.IngestionWorker.Pumping;

/// <summary>
/// Takes documents off <see cref="StreamNames.Messages"/> in batches. It fetches as many as the batches in work and one more may have, and reports all of them as in work
/// until they are settled. A batch has what has come when its turn comes, so it grows with the load.
/// </summary>
internal sealed partial class BatchPump(
    NatsConnections connections, OpenConsumer open, RunBatches batches, EntityTables tables, Drain drain, IngestionWorkerOptions options,
    IOptions<IngestStreamOptions> streams, TimeProvider time, ILogger<BatchPump> logger) : BackgroundService, ICountedPump, ICountedPumps
{
    private const int MaxAckPending = 50_000;

    private static readonly NatsJSFetchOpts Pull = new() { Expires = TimeSpan.FromSeconds(30), IdleHeartbeat = TimeSpan.FromSeconds(5) };
    private static readonly TimeSpan AfterFailure = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan StillComing = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(500);

    private readonly HeldMessages _held = new(options, time, logger);
    private int _reconnects;
    private int _lookedAfter;

    public string Consumer => ConsumerNames.IngestionWorker;

    public string Stream => StreamNames.Messages;

    public PumpCount Count => batches.Count;

    /// <summary>Null while the consumer is there and being pulled from.</summary>
    public string? Problem { get; private set; } = "not started";

    /// <summary>How the consumer on the server differs from what this worker would make, or null.</summary>
    public string? Difference { get; private set; }

    IReadOnlyList<ICountedPump> ICountedPumps.Pumps => [this];

    private string Config => streams.Value.Config;

    public async Task<long> ReadPendingAsync(CancellationToken cancellationToken)
        => (long)(await new NatsJSContext(connections.Get(Config).Next()).GetConsumerAsync(Stream, Consumer, cancellationToken)).Info.NumPending;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var finished = new CancellationTokenSource();
        var progress = _held.ReportProgressAsync(finished.Token);
        while (!drain.Stop.IsCancellationRequested)
        {
            try
            {
                await tables.WaitForFirstAsync(drain.Stop);
                await PullAsync(connections.Get(Config));
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

        await finished.CancelAsync();
        await progress;
    }

    // Returns when the consumer has to be made anew, or the configuration names other servers; what was taken is settled by then.
    private async Task PullAsync(Messaging.NatsConnectionPool pool)
    {
        using var use = pool.Begin();
        using var pulling = CancellationTokenSource.CreateLinkedTokenSource(drain.Stop);
        var connection = pool.Next();
        connection.ConnectionOpened += OnReconnected;
        var arrived = Channel.CreateUnbounded<Arrival>(new() { SingleWriter = true });
        var running = Task.CompletedTask;
        try
        {
            var context = new NatsJSContext(connection);
            var consumer = await OpenAsync(context, pulling.Token);
            var stream = await context.GetStreamAsync(Stream, cancellationToken: pulling.Token);
            var settle = new SettleBatch(new ConfirmAcks(() => Volatile.Read(ref _reconnects), time, drain.Abort), time, logger);
            running = batches.RunAsync(arrived.Reader, _held, settle, $"{stream.Info.Created:O}", pulling.Token);
            await Task.WhenAll(FetchAsync(consumer, arrived.Writer, pulling), LookAsync(context, pool, pulling));
        }
        finally
        {
            await pulling.CancelAsync();
            arrived.Writer.Complete();
            await running;
            connection.ConnectionOpened -= OnReconnected;
        }
    }

    private async Task<INatsJSConsumer> OpenAsync(NatsJSContext context, CancellationToken cancellationToken)
    {
        var definition = SharedConsumer.Definition(Consumer, options.AckWait, StreamNames.IngestSubjectPrefix + ">") with { MaxAckPending = MaxAckPending };
        var consumer = await open.RunAsync(context, Config, Stream, definition, cancellationToken);
        var differences = SharedConsumer.Differences(consumer.Info.Config, definition);
        Difference = differences.Count == 0 ? null : string.Join(", ", differences);
        Problem = null;
        LogPulling(Stream, Difference ?? "as it should be");
        return consumer;
    }

    private async Task FetchAsync(INatsJSConsumer consumer, ChannelWriter<Arrival> arrived, CancellationTokenSource pulling)
    {
        var stop = pulling.Token;
        // What the server has sent already is read before a request is ended: the driver would drop it, and nobody else would have it before ack_wait.
        using var reading = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
        await using var ending = stop.Register(() => reading.CancelAfter(StillComing));
        try
        {
            while (!stop.IsCancellationRequested)
            {
                var asked = await _held.RoomAsync(stop);
                var since = time.GetTimestamp();
                var got = 0;
                await foreach (var message in consumer.FetchAsync<byte[]>(Pull with { MaxMsgs = asked }, cancellationToken: reading.Token))
                {
                    got++;
                    var arrival = new Arrival(message, time.GetTimestamp());
                    _held.Add(arrival);
                    Count.Delivered(again: arrival.Delivery > 1);
                    arrived.TryWrite(arrival);
                    if (stop.IsCancellationRequested)
                    {
                        reading.CancelAfter(StillComing);
                    }
                }

                // An answer at once without a message is a refusal: see whether the consumer is still there.
                if (got == 0 && time.GetElapsedTime(since) < AfterFailure)
                {
                    await Task.Delay(AfterFailure, time, stop);
                    await consumer.RefreshAsync(stop);
                }
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Nothing more is to be taken.
        }
        finally
        {
            await pulling.CancelAsync();
        }
    }

    // A server that comes back may have lost messages that the consumer remembers: it would skip what is stored in their place.
    private async Task LookAsync(NatsJSContext context, Messaging.NatsConnectionPool pool, CancellationTokenSource pulling)
    {
        while (!pulling.IsCancellationRequested)
        {
            await Task.Delay(LookEvery, time, pulling.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (connections.Get(Config) != pool || await IsDueAsync(context, pulling.Token))
            {
                await pulling.CancelAsync();
            }
        }
    }

    private async Task<bool> IsDueAsync(NatsJSContext context, CancellationToken cancellationToken)
    {
        var reconnects = Volatile.Read(ref _reconnects);
        if (reconnects == _lookedAfter || cancellationToken.IsCancellationRequested)
        {
            return false;
        }

        try
        {
            var due = await open.IsDueAsync(context, Config, Stream, Consumer, cancellationToken);
            _lookedAfter = reconnects;
            return due;
        }
        catch (Exception e) when (e is NatsException or Npgsql.NpgsqlException or OperationCanceledException)
        {
            LogNotLooked(e.Message);
            return false;
        }
    }

    private ValueTask OnReconnected(object? sender, NatsEventArgs arguments)
    {
        Interlocked.Increment(ref _reconnects);
        return default;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "pulling from stream {Stream}; the consumer is {Differences}")]
    private partial void LogPulling(string stream, string differences);

    [LoggerMessage(Level = LogLevel.Warning, Message = "documents cannot be taken: {Reason}")]
    private partial void LogFailed(string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "whether the consumer has to be made anew is not known yet: {Reason}")]
    private partial void LogNotLooked(string reason);
}
