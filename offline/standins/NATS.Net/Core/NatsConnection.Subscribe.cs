using System.Runtime.CompilerServices;
using NATS.Client.Core.Internal;

namespace NATS.Client.Core;

public partial class NatsConnection
{
    public IAsyncEnumerable<NatsMsg<T>> SubscribeAsync<T>(string subject, string? queueGroup = default, INatsDeserialize<T>? serializer = default, NatsSubOpts? opts = default, CancellationToken cancellationToken = default)
    {
        CheckSubscription(subject, queueGroup);
        return ReadAsync(subject, queueGroup, serializer ?? Opts.SerializerRegistry.GetDeserializer<T>(), opts, cancellationToken);
    }

    public ValueTask<INatsSub<T>> SubscribeCoreAsync<T>(string subject, string? queueGroup = default, INatsDeserialize<T>? serializer = default, NatsSubOpts? opts = default, CancellationToken cancellationToken = default)
    {
        CheckSubscription(subject, queueGroup);
        return CreateAsync(subject, queueGroup, serializer ?? Opts.SerializerRegistry.GetDeserializer<T>(), opts, cancellationToken);
    }

    public async ValueTask AddSubAsync(NatsSubBase sub, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(sub);
        ThrowIfDisposed();
        if (ConnectionState != NatsConnectionState.Open)
        {
            await ConnectAsync().AsTask().WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        if (sub.Subject.StartsWith(InboxPrefix, StringComparison.Ordinal))
        {
            await Inbox.RegisterAsync(sub, cancellationToken).ConfigureAwait(false);
            return;
        }

        SubscribeNow(sub);
        await sub.ReadyAsync().ConfigureAwait(false);
    }

    public async ValueTask<TimeSpan> PingAsync(CancellationToken cancellationToken = default)
    {
        ThrowIfDisposed();
        if (ConnectionState != NatsConnectionState.Open)
        {
            await ConnectAsync().AsTask().WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        var started = System.Diagnostics.Stopwatch.GetTimestamp();
        var pong = _link?.PingAsync(Outbox) ?? Task.FromCanceled(new CancellationToken(canceled: true));
        await pong.WaitAsync(cancellationToken).ConfigureAwait(false);
        return System.Diagnostics.Stopwatch.GetElapsedTime(started);
    }

    /// <summary>Registers first: an answer, or a reconnect, may come at once.</summary>
    internal int SubscribeNow(NatsSubBase sub)
    {
        var sid = Subs.Register(sub);
        Outbox.Subscribe(sid, sub.Subject, sub.QueueGroup, sub.Opts?.MaxMsgs, Opts.SubjectEncoding);
        return sid;
    }

    private void CheckSubscription(string subject, string? queueGroup)
    {
        // At the call, not when the enumeration starts.
        if (!Opts.SkipSubjectValidation)
        {
            SubjectRules.CheckSubject(subject);
            SubjectRules.CheckQueueGroup(queueGroup);
        }
    }

    private async ValueTask<INatsSub<T>> CreateAsync<T>(string subject, string? queueGroup, INatsDeserialize<T> serializer, NatsSubOpts? opts, CancellationToken cancellationToken)
    {
        var sub = NewSub(subject, queueGroup, serializer, opts, cancellationToken);
        await AddSubAsync(sub, cancellationToken).ConfigureAwait(false);
        return sub;
    }

    private async IAsyncEnumerable<NatsMsg<T>> ReadAsync<T>(string subject, string? queueGroup, INatsDeserialize<T> serializer, NatsSubOpts? opts, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var sub = NewSub(subject, queueGroup, serializer, opts, cancellationToken);
        await AddSubAsync(sub, cancellationToken).ConfigureAwait(false);
        sub.MarkReaderActive();
        try
        {
            // Cancellation completes the channel; what is in it by then is still given out.
            await foreach (var msg in sub.Msgs.ReadAllAsync(CancellationToken.None).ConfigureAwait(false))
            {
                yield return msg;
            }
        }
        finally
        {
            sub.MarkReaderInactive();
        }
    }

    private NatsSub<T> NewSub<T>(string subject, string? queueGroup, INatsDeserialize<T> serializer, NatsSubOpts? opts, CancellationToken cancellationToken) =>
        new(this, subject.StartsWith(InboxPrefix, StringComparison.Ordinal) ? Inbox : Subs, subject, queueGroup, opts, serializer, cancellationToken);
}
