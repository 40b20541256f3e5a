using Microsoft.Extensions.Options;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.IngestionWorker.Upkeep;

/// <summary>
/// Makes room in <see cref="StreamNames.Messages"/> before it is full: removes what every durable of the stream has acknowledged, and nothing else. Below that documents stay,
/// so that they can be looked at.
/// </summary>
internal sealed partial class TrimStream(
    NatsConnections connections, IngestionWorkerOptions options, IOptions<IngestStreamOptions> streams, TimeProvider time, ILogger<TrimStream> logger) : BackgroundService
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    private long _depth;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        IngestionMetrics.ObserveDepth(() => Interlocked.Read(ref _depth));
        using var timer = new PeriodicTimer(Every, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                try
                {
                    await LookAsync(new NatsJSContext(connections.Get(streams.Value.Config).Next()), stoppingToken);
                }
                catch (Exception e) when (e is NatsException or TimeoutException)
                {
                    LogNotLooked(e.Message);
                }
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The service stops.
        }
    }

    private async Task LookAsync(NatsJSContext context, CancellationToken cancellationToken)
    {
        var stream = await context.GetStreamAsync(StreamNames.Messages, cancellationToken: cancellationToken);
        List<ConsumerInfo> consumers = [];
        await foreach (var consumer in context.ListConsumersAsync(StreamNames.Messages, cancellationToken))
        {
            consumers.Add(consumer.Info);
        }

        var ours = consumers.Find(consumer => consumer.Name == ConsumerNames.IngestionWorker);
        Interlocked.Exchange(ref _depth, ours is null ? 0 : (long)ours.NumPending + ours.NumAckPending);
        if (Removable(stream.Info, consumers, options.TrimAt) is { } floor)
        {
            var answer = await stream.PurgeAsync(new StreamPurgeRequest { Seq = floor + 1 }, cancellationToken);
            LogRemoved(answer.Purged, floor, stream.Info.State.Bytes);
        }
    }

    /// <summary>The sequence up to which messages may be removed now; null when there is no need, or nothing that may be.</summary>
    public static ulong? Removable(StreamInfo stream, IReadOnlyCollection<ConsumerInfo> consumers, double trimAt)
    {
        // Ephemeral ones are somebody's look; a durable that has read nothing yet keeps everything.
        var durables = consumers.Where(consumer => !string.IsNullOrEmpty(consumer.Config.DurableName)).ToArray();
        if (stream.Config.MaxBytes <= 0 || stream.State.Bytes < stream.Config.MaxBytes * trimAt || !Array.Exists(durables, consumer => consumer.Name == ConsumerNames.IngestionWorker))
        {
            return null;
        }

        var floor = durables.Min(consumer => consumer.AckFloor.StreamSeq);
        return floor >= stream.State.FirstSeq ? floor : null;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "removed {Messages} stored messages up to {Sequence}: the stream had {Bytes} bytes")]
    private partial void LogRemoved(long messages, ulong sequence, long bytes);

    [LoggerMessage(Level = LogLevel.Debug, Message = "the stream could not be looked at: {Reason}")]
    private partial void LogNotLooked(string reason);
}
