using Microsoft.Extensions.Options;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.IngestionApi.Streams;

/// <summary>Asks nats-server about the streams of ingestion and the worker's consumer.</summary>
internal sealed class LookAtStream(NatsConnections connections, IOptions<IngestStreamOptions> options, TimeProvider time)
{
    private const int NoMessage = 10037;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>Whether a publish would find a connection.</summary>
    public bool IsConnected => connections.Get(options.Value.Config).IsHealthy;

    /// <summary>Most bytes of a message with its headers; null while nobody is connected.</summary>
    public int? MaxPayload
    {
        get
        {
            var pool = connections.Get(options.Value.Config);
            return pool.IsHealthy && pool.Next().ServerInfo is { MaxPayload: > 0 and var bytes } ? bytes : null;
        }
    }

    /// <summary>Looks at <see cref="StreamNames.Messages"/>; null where nats-server does not answer.</summary>
    public Task<StreamLook?> LookAsync(CancellationToken cancellationToken) => AskAsync(static async (context, limit) =>
    {
        var consumer = await FindConsumerAsync(context, limit);
        var stream = (await context.GetStreamAsync(StreamNames.Messages, cancellationToken: limit)).Info;
        return new StreamLook(
            stream.State.Bytes, stream.Config.MaxBytes, stream.State.Messages, (long?)consumer?.NumPending, consumer?.NumAckPending ?? 0, consumer?.AckFloor.StreamSeq ?? 0, stream.State.LastSeq);
    }, cancellationToken);

    /// <summary>Whether the worker's consumer has nothing left; null where that is not known.</summary>
    public async Task<bool?> IsDoneAsync(CancellationToken cancellationToken)
        => await AskAsync(static async (context, limit) => await FindConsumerAsync(context, limit), cancellationToken) is { } consumer
            ? consumer is { NumPending: 0, NumAckPending: 0 }
            : null;

    /// <summary>When the oldest document that is not acknowledged was accepted; null where there is none.</summary>
    public Task<DateTimeOffset?> OldestAsync(StreamLook look, CancellationToken cancellationToken) => AskAsync(
        async (context, limit) => (await GetAsync(context, StreamNames.Messages, new() { Seq = look.AckFloor + 1, NextBySubj = ">" }, limit)) is { } message
            ? message.Time : (DateTimeOffset?)null,
        cancellationToken);

    /// <summary>A message of a stream by its sequence.</summary>
    /// <exception cref="NatsException">nats-server does not answer.</exception>
    /// <returns>Null where the stream has none there.</returns>
    public async Task<StoredMessage?> GetAsync(string stream, ulong sequence, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Patience);
        var pool = connections.Get(options.Value.Config);
        using var use = pool.Begin();
        try
        {
            return await GetAsync(new NatsJSContext(pool.Next()), stream, new() { Seq = sequence }, limit.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new NatsException("no answer in time");
        }
    }

    private static async Task<StoredMessage?> GetAsync(NatsJSContext context, string stream, StreamMsgGetRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return (await (await context.GetStreamAsync(stream, cancellationToken: cancellationToken)).GetAsync(request, cancellationToken)).Message;
        }
        catch (NatsJSApiException e) when (e.Error.ErrCode == NoMessage)
        {
            return null;
        }
    }

    private static async Task<ConsumerInfo?> FindConsumerAsync(NatsJSContext context, CancellationToken cancellationToken)
    {
        try
        {
            return (await context.GetConsumerAsync(StreamNames.Messages, ConsumerNames.IngestionWorker, cancellationToken)).Info;
        }
        catch (NatsJSApiException e) when (e.Error.Code == 404)
        {
            return null;
        }
    }

    private async Task<T?> AskAsync<T>(Func<NatsJSContext, CancellationToken, Task<T>> ask, CancellationToken cancellationToken)
    {
        var pool = connections.Get(options.Value.Config);
        using var use = pool.Begin();
        if (!pool.IsHealthy)
        {
            return default;
        }

        using var patience = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            return await ask(new NatsJSContext(pool.Next()), either.Token);
        }
        catch (Exception e) when (e is NatsException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return default;
        }
    }
}
