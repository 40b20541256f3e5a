using NATS.Client.Core;
using NATS.Client.JetStream.Models;

namespace NATS.Client.JetStream;

public sealed class NatsJSContextFactory : INatsJSContextFactory
{
    public INatsJSContext CreateContext(INatsConnection connection) =>
        new NatsJSContext(connection as NatsConnection ?? throw new ArgumentException("Connection must be a NatsConnection"));

    public INatsJSContext CreateContext(INatsConnection connection, NatsJSOpts opts) =>
        new NatsJSContext(connection as NatsConnection ?? throw new ArgumentException("Connection must be a NatsConnection"), opts);
}

/// <summary>JetStream over one connection.</summary>
public partial class NatsJSContext : INatsJSContext
{
    public NatsJSContext(INatsConnection connection)
        : this(connection, new NatsJSOpts(connection.Opts))
    {
    }

    public NatsJSContext(INatsConnection connection, NatsJSOpts opts)
    {
        Connection = connection;
        Opts = opts;
    }

    public INatsConnection Connection { get; }

    public NatsJSOpts Opts { get; }

    public ValueTask<AccountInfoResponse> GetAccountInfoAsync(CancellationToken cancellationToken = default) =>
        JSRequestResponseAsync<object, AccountInfoResponse>($"{Opts.Prefix}.INFO", null, cancellationToken);

    public string NewBaseInbox() => NatsConnection.NewInbox(Connection.Opts.InboxPrefix);

    public async ValueTask<PubAckResponse> PublishAsync<T>(string subject, T? data, INatsSerialize<T>? serializer = default, NatsJSPubOpts? opts = default, NatsHeaders? headers = default, CancellationToken cancellationToken = default)
    {
        var result = await TryPublishAsync(subject, data, serializer, opts, headers, cancellationToken).ConfigureAwait(false);
        return result.Success ? result.Value : throw result.Error;
    }

    public async ValueTask<NatsResult<PubAckResponse>> TryPublishAsync<T>(string subject, T? data, INatsSerialize<T>? serializer = default, NatsJSPubOpts? opts = default, NatsHeaders? headers = default, CancellationToken cancellationToken = default)
    {
        headers = WithPublishHeaders(opts, headers);
        opts ??= NatsJSPubOpts.Default;
        for (var attempt = 0; attempt < opts.RetryAttempts; attempt++)
        {
            NatsMsg<PubAckResponse> reply;
            try
            {
                reply = await RequestAsync(subject, data, headers, serializer, NatsJSJsonSerializer<PubAckResponse>.Default, cancellationToken).ConfigureAwait(false);
            }
            catch (NatsNoReplyException)
            {
                return NatsJSPublishNoResponseException.Default;
            }
            catch (NatsException e) when (Connection.Opts.RequestReplyMode == NatsRequestReplyMode.Direct)
            {
                return e;
            }

            if (!reply.HasNoResponders)
            {
                return reply.Data is { } ack ? ack : new NatsJSException("No response data received");
            }

            // No stream listens there, or its leader is being elected: the second passes.
            await Task.Delay(opts.RetryWaitBetweenAttempts, cancellationToken).ConfigureAwait(false);
        }

        return NatsJSPublishNoResponseException.Default;
    }

    public async ValueTask<NatsJSPublishConcurrentFuture> PublishConcurrentAsync<T>(string subject, T? data, INatsSerialize<T>? serializer = default, NatsJSPubOpts? opts = default, NatsHeaders? headers = default, CancellationToken cancellationToken = default)
    {
        headers = WithPublishHeaders(opts, headers);
        var sub = await Connection.CreateRequestSubAsync<T, PubAckResponse>(
            subject,
            data,
            headers,
            serializer,
            NatsJSJsonSerializer<PubAckResponse>.Default,
            opts ?? NatsJSPubOpts.Default,
            new NatsSubOpts { Timeout = Opts.RequestTimeout, ThrowIfNoResponders = true },
            cancellationToken).ConfigureAwait(false);
        return new NatsJSPublishConcurrentFuture(sub);
    }

    public async ValueTask<TResponse> JSRequestResponseAsync<TRequest, TResponse>(string subject, TRequest? request, CancellationToken cancellationToken = default)
        where TRequest : class
        where TResponse : class
    {
        var result = await ApiAsync<TRequest, TResponse>(subject, request, cancellationToken).ConfigureAwait(false);
        return result.Value ?? throw new NatsJSApiException(result.Error ?? new ApiError { Description = "Unknown state" });
    }

    /// <summary>The answer with the server's error in it, so that a caller may expect a 404.</summary>
    internal async ValueTask<ApiResult<TResponse>> ApiAsync<TRequest, TResponse>(string subject, TRequest? request, CancellationToken cancellationToken)
        where TRequest : class
        where TResponse : class
    {
        NatsMsg<ApiResult<TResponse>> reply;
        try
        {
            reply = await RequestAsync(subject, request, null, NatsJSJsonSerializer<TRequest>.Default, ApiResultSerializer<TResponse>.Default, cancellationToken).ConfigureAwait(false);
        }
        catch (NatsNoReplyException)
        {
            throw new NatsJSApiNoResponseException(NatsSubEndReason.Timeout);
        }

        if (reply.HasNoResponders)
        {
            throw new NatsNoRespondersException();
        }

        return reply.Error is { } error
            ? throw error
            : reply.IsEmpty ? throw new NatsJSException("Buffer is empty") : reply.Data;
    }

    internal static void CheckStreamName(string? name, string parameter = "stream")
    {
        ArgumentNullException.ThrowIfNull(name, parameter);
        if (name.Length == 0)
        {
            throw new ArgumentException("The value cannot be an empty string.", parameter);
        }

        if (name.AsSpan().IndexOfAny(" .") >= 0)
        {
            throw new ArgumentException("Stream name cannot contain ' ', '.'", parameter);
        }
    }

    private static NatsHeaders? WithPublishHeaders(NatsJSPubOpts? opts, NatsHeaders? headers)
    {
        if (opts is null)
        {
            return headers;
        }

        Set("Nats-Msg-Id", opts.MsgId);
        Set("Nats-Expected-Last-Msg-Id", opts.ExpectedLastMsgId);
        Set("Nats-Expected-Stream", opts.ExpectedStream);
        Set("Nats-Expected-Last-Sequence", opts.ExpectedLastSequence?.ToString());
        Set("Nats-Expected-Last-Subject-Sequence", opts.ExpectedLastSubjectSequence?.ToString());
        Set("Nats-Expected-Last-Subject-Sequence-Subject", opts.ExpectedLastSubjectSequenceSubject);
        return headers;

        void Set(string name, string? value)
        {
            if (value is not null)
            {
                headers ??= [];
                headers[name] = value;
            }
        }
    }

    private ValueTask<NatsMsg<TReply>> RequestAsync<TRequest, TReply>(string subject, TRequest? data, NatsHeaders? headers, INatsSerialize<TRequest>? serializer, INatsDeserialize<TReply> deserializer, CancellationToken cancellationToken)
    {
        if (Connection is NatsConnection own)
        {
            return own.RequestOnceAsync(subject, data, headers, serializer, deserializer, Opts.RequestTimeout, cancellationToken);
        }

        // Another implementation of the interface, for instance a pool's or a test's.
        return Connection.RequestAsync(subject, data, headers, serializer, deserializer, replyOpts: new NatsSubOpts { Timeout = Opts.RequestTimeout, ThrowIfNoResponders = false }, cancellationToken: cancellationToken);
    }
}

/// <summary>A publish whose acknowledgement is awaited later. Dispose it.</summary>
public readonly struct NatsJSPublishConcurrentFuture : IAsyncDisposable
{
    private readonly NatsSub<PubAckResponse> _sub;

    public NatsJSPublishConcurrentFuture(NatsSub<PubAckResponse> sub) => _sub = sub;

    public async ValueTask<PubAckResponse> GetResponseAsync(CancellationToken cancellationToken = default)
    {
        await foreach (var msg in _sub.Msgs.ReadAllAsync(cancellationToken).ConfigureAwait(false))
        {
            return msg.Data ?? throw new NatsJSException("No response data received");
        }

        throw new NatsJSPublishNoResponseException();
    }

    public ValueTask DisposeAsync() => _sub.DisposeAsync();
}
