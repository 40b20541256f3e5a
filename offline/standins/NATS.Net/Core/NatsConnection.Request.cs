using System.Runtime.CompilerServices;
using NATS.Client.Core.Internal;

namespace NATS.Client.Core;

public partial class NatsConnection
{
    public async ValueTask<NatsMsg<TReply>> RequestAsync<TRequest, TReply>(
        string subject,
        TRequest? data,
        NatsHeaders? headers = default,
        INatsSerialize<TRequest>? requestSerializer = default,
        INatsDeserialize<TReply>? replySerializer = default,
        NatsPubOpts? requestOpts = default,
        NatsSubOpts? replyOpts = default,
        CancellationToken cancellationToken = default)
    {
        if (!Opts.SkipSubjectValidation)
        {
            SubjectRules.CheckSubject(subject);
        }

        using var activity = Telemetry.HasListeners() ? Telemetry.StartSend(this, "request", subject, null) : null;
        try
        {
            var reply = await RequestOnceAsync(subject, data, headers, requestSerializer, replySerializer, replyOpts?.Timeout ?? Opts.RequestTimeout, cancellationToken).ConfigureAwait(false);

            // In direct mode the caller looks at HasNoResponders itself.
            return reply.HasNoResponders && Opts.RequestReplyMode == NatsRequestReplyMode.SharedInbox && replyOpts?.ThrowIfNoResponders != false
                ? throw new NatsNoRespondersException()
                : reply.IsEmpty && replyOpts?.StopOnEmptyMsg == true ? throw new NatsNoReplyException() : reply;
        }
        catch (Exception e)
        {
            Telemetry.SetException(activity, e);
            throw;
        }
    }

    public ValueTask<NatsMsg<TReply>> RequestAsync<TReply>(string subject, INatsDeserialize<TReply>? replySerializer = default, NatsSubOpts? replyOpts = default, CancellationToken cancellationToken = default) =>
        RequestAsync<object, TReply>(subject, null, null, null, replySerializer, null, replyOpts, cancellationToken);

    public IAsyncEnumerable<NatsMsg<TReply>> RequestManyAsync<TRequest, TReply>(
        string subject,
        TRequest? data,
        NatsHeaders? headers = default,
        INatsSerialize<TRequest>? requestSerializer = default,
        INatsDeserialize<TReply>? replySerializer = default,
        NatsPubOpts? requestOpts = default,
        NatsSubOpts? replyOpts = default,
        CancellationToken cancellationToken = default)
    {
        if (!Opts.SkipSubjectValidation)
        {
            SubjectRules.CheckSubject(subject);
        }

        return ManyAsync(subject, data, headers, requestSerializer, replySerializer, requestOpts, replyOpts, cancellationToken);
    }

    public async ValueTask<NatsSub<TReply>> CreateRequestSubAsync<TRequest, TReply>(
        string subject,
        TRequest? data,
        NatsHeaders? headers = default,
        INatsSerialize<TRequest>? requestSerializer = default,
        INatsDeserialize<TReply>? replySerializer = default,
        NatsPubOpts? requestOpts = default,
        NatsSubOpts? replyOpts = default,
        CancellationToken cancellationToken = default)
    {
        if (!Opts.SkipSubjectValidation)
        {
            SubjectRules.CheckSubject(subject);
        }

        var replyTo = NewInbox();
        var sub = new NatsSub<TReply>(this, Inbox, replyTo, null, replyOpts, replySerializer ?? Opts.SerializerRegistry.GetDeserializer<TReply>());
        await AddSubAsync(sub, cancellationToken).ConfigureAwait(false);
        try
        {
            await PublishAsync(subject, data, headers, replyTo, requestSerializer, requestOpts, cancellationToken).ConfigureAwait(false);
            return sub;
        }
        catch
        {
            await sub.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>One request, one answer, whatever it says; <see cref="NatsNoReplyException"/> when none comes in time.</summary>
    internal async ValueTask<NatsMsg<TReply>> RequestOnceAsync<TRequest, TReply>(
        string subject,
        TRequest? data,
        NatsHeaders? headers,
        INatsSerialize<TRequest>? requestSerializer,
        INatsDeserialize<TReply>? replySerializer,
        TimeSpan timeout,
        CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (ConnectionState != NatsConnectionState.Open)
        {
            // As with the genuine client, PublishTimeoutOnDisconnected limits this wait in direct mode only.
            await (Opts.RequestReplyMode == NatsRequestReplyMode.Direct ? ConnectForCommandAsync(cancellationToken) : ConnectAsync().AsTask().WaitAsync(cancellationToken)).ConfigureAwait(false);
        }

        await Inbox.EnsureAsync(cancellationToken).ConfigureAwait(false);
        var slot = ReplySlot<TReply>.Rent(this, replySerializer ?? Opts.SerializerRegistry.GetDeserializer<TReply>(), timeout, cancellationToken);
        try
        {
            await PublishAsync(subject, data, headers, slot.Subject, requestSerializer, null, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            slot.Abandon();
            throw;
        }

        return await slot.Task.ConfigureAwait(false);
    }

    private async IAsyncEnumerable<NatsMsg<TReply>> ManyAsync<TRequest, TReply>(
        string subject,
        TRequest? data,
        NatsHeaders? headers,
        INatsSerialize<TRequest>? requestSerializer,
        INatsDeserialize<TReply>? replySerializer,
        NatsPubOpts? requestOpts,
        NatsSubOpts? replyOpts,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        replyOpts ??= new NatsSubOpts();
        replyOpts = replyOpts with
        {
            StopOnEmptyMsg = replyOpts.StopOnEmptyMsg ?? true,
            Timeout = replyOpts.Timeout ?? Opts.RequestTimeout,
            ThrowIfNoResponders = replyOpts.ThrowIfNoResponders ?? true,
        };
        await using var sub = await CreateRequestSubAsync(subject, data, headers, requestSerializer, replySerializer, requestOpts, replyOpts, cancellationToken).ConfigureAwait(false);
        await foreach (var msg in sub.Msgs.ReadAllAsync(cancellationToken).ConfigureAwait(false))
        {
            yield return msg;
        }
    }
}

public static class NatsRequestExtensions
{
    public static ValueTask<NatsMsg<TReply>> RequestAsync<TRequest, TReply>(
        this INatsConnection nats,
        in NatsMsg<TRequest> msg,
        INatsSerialize<TRequest>? requestSerializer = default,
        INatsDeserialize<TReply>? replySerializer = default,
        NatsPubOpts? requestOpts = default,
        NatsSubOpts? replyOpts = default,
        CancellationToken cancellationToken = default)
    {
        RefuseReplyTo(msg.ReplyTo);
        return nats.RequestAsync(msg.Subject, msg.Data, msg.Headers, requestSerializer, replySerializer, requestOpts, replyOpts, cancellationToken);
    }

    internal static void RefuseReplyTo(string? replyTo)
    {
        if (!string.IsNullOrWhiteSpace(replyTo))
        {
            throw new NatsException("Can't set reply-to for a request");
        }
    }
}

public static class NatsRequestManyExtensions
{
    public static IAsyncEnumerable<NatsMsg<TReply>> RequestManyAsync<TRequest, TReply>(
        this INatsConnection nats,
        NatsMsg<TRequest> msg,
        INatsSerialize<TRequest>? requestSerializer = default,
        INatsDeserialize<TReply>? replySerializer = default,
        NatsPubOpts? requestOpts = default,
        NatsSubOpts? replyOpts = default,
        CancellationToken cancellationToken = default)
    {
        NatsRequestExtensions.RefuseReplyTo(msg.ReplyTo);
        return nats.RequestManyAsync(msg.Subject, msg.Data, msg.Headers, requestSerializer, replySerializer, requestOpts, replyOpts, cancellationToken);
    }
}
