using System.Threading.Channels;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.Serializers.Json;

namespace NATS.Net;

public static class NatsClientExtensions
{
    public static INatsJSContext CreateJetStreamContext(this INatsClient client) => new NatsJSContext(client.Connection);

    public static INatsJSContext CreateJetStreamContext(this INatsConnection connection) => new NatsJSContext(connection);

    public static INatsJSContext CreateJetStreamContext(this INatsClient client, NatsJSOpts opts) => new NatsJSContext(client.Connection, opts);

    public static INatsJSContext CreateJetStreamContext(this INatsConnection connection, NatsJSOpts opts) => new NatsJSContext(connection, opts);
}

/// <summary>Bytes, text and numbers as they are, anything else as JSON.</summary>
public static class NatsClientDefaultSerializer<T>
{
    public static readonly INatsSerializer<T> Default = new NatsSerializerBuilder<T>()
        .Add(new NatsRawSerializer<T>())
        .Add(new NatsUtf8PrimitivesSerializer<T>())
        .Add(new NatsJsonSerializer<T>())
        .Build();
}

public class NatsClientDefaultSerializerRegistry : INatsSerializerRegistry
{
    public static readonly NatsClientDefaultSerializerRegistry Default = new();

    public INatsSerialize<T> GetSerializer<T>() => NatsClientDefaultSerializer<T>.Default;

    public INatsDeserialize<T> GetDeserializer<T>() => NatsClientDefaultSerializer<T>.Default;
}

/// <summary>A connection with easier defaults: JSON for what is not bytes or text, and a full channel waits instead of dropping.</summary>
public class NatsClient : INatsClient
{
    public NatsClient(string url = "nats://localhost:4222", string name = "NATS .NET Client", string? credsFile = default)
        : this(new NatsOpts { Url = url, Name = name, AuthOpts = new NatsAuthOpts { CredsFile = credsFile } })
    {
    }

    public NatsClient(NatsOpts opts, BoundedChannelFullMode pending = BoundedChannelFullMode.Wait)
    {
        if (ReferenceEquals(opts.SerializerRegistry, NatsOpts.Default.SerializerRegistry))
        {
            opts = opts with { SerializerRegistry = NatsClientDefaultSerializerRegistry.Default };
        }

        Connection = new NatsConnection(opts with { SubPendingChannelFullMode = pending });
    }

    public INatsConnection Connection { get; }

    public ValueTask ConnectAsync() => Connection.ConnectAsync();

    public ValueTask<TimeSpan> PingAsync(CancellationToken cancellationToken = default) => Connection.PingAsync(cancellationToken);

    public ValueTask PublishAsync<T>(string subject, T data, NatsHeaders? headers = default, string? replyTo = default, INatsSerialize<T>? serializer = default, NatsPubOpts? opts = default, CancellationToken cancellationToken = default) =>
        Connection.PublishAsync(subject, data, headers, replyTo, serializer, opts, cancellationToken);

    public ValueTask PublishAsync(string subject, NatsHeaders? headers = default, string? replyTo = default, NatsPubOpts? opts = default, CancellationToken cancellationToken = default) =>
        Connection.PublishAsync(subject, headers, replyTo, opts, cancellationToken);

    public IAsyncEnumerable<NatsMsg<T>> SubscribeAsync<T>(string subject, string? queueGroup = default, INatsDeserialize<T>? serializer = default, NatsSubOpts? opts = default, CancellationToken cancellationToken = default) =>
        Connection.SubscribeAsync(subject, queueGroup, serializer, opts, cancellationToken);

    public ValueTask<NatsMsg<TReply>> RequestAsync<TRequest, TReply>(string subject, TRequest? data, NatsHeaders? headers = default, INatsSerialize<TRequest>? requestSerializer = default, INatsDeserialize<TReply>? replySerializer = default, NatsPubOpts? requestOpts = default, NatsSubOpts? replyOpts = default, CancellationToken cancellationToken = default) =>
        Connection.RequestAsync(subject, data, headers, requestSerializer, replySerializer, requestOpts, replyOpts, cancellationToken);

    public ValueTask<NatsMsg<TReply>> RequestAsync<TReply>(string subject, INatsDeserialize<TReply>? replySerializer = default, NatsSubOpts? replyOpts = default, CancellationToken cancellationToken = default) =>
        Connection.RequestAsync(subject, replySerializer, replyOpts, cancellationToken);

    public ValueTask ReconnectAsync() => Connection.ReconnectAsync();

    public ValueTask DisposeAsync() => Connection.DisposeAsync();
}
