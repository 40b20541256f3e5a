using System.Buffers;
using System.Threading.Channels;
using NATS.Client.Core;
using NATS.Client.Core.Internal;
using NATS.Client.JetStream.Models;

namespace NATS.Client.JetStream;

/// <summary>What consume and fetch share: an inbox, a channel of messages, pull requests, a watch on silence.</summary>
internal abstract class Pull<T> : NatsSubBase
{
    private readonly INatsDeserialize<T> _serializer;
    private readonly NatsJSPriorityGroupOpts? _group;
    private readonly Notifications? _notifications;
    private readonly Timer _watch;
    private readonly string _nextSubject;
    private long _lastHeard = Environment.TickCount64;
    private int _busy;

    protected Pull(NatsJSContext context, NatsJSConsumer consumer, PullPlan plan, INatsDeserialize<T> serializer, NatsJSPriorityGroupOpts? group, Func<INatsJSNotification, CancellationToken, Task>? handler, NatsSubOpts opts, CancellationToken cancellationToken)
        : base(context.Connection, context.Connection.SubscriptionManager, context.NewBaseInbox(), null, opts, CancellationToken.None)
    {
        Context = context;
        Consumer = consumer;
        Plan = plan;
        Cancellation = cancellationToken;
        _serializer = serializer;
        _group = group;
        _nextSubject = $"{context.Opts.Prefix}.CONSUMER.MSG.NEXT.{consumer.Info.StreamName}.{consumer.Info.Name}";
        Channel = System.Threading.Channels.Channel.CreateBounded<NatsJSMsg<T>>(
            Connection.GetBoundedChannelOpts(opts.ChannelOpts),
            dropped => Connection.OnMessageDropped(this, Channel?.Reader.Count ?? 0, dropped.Msg));
        Msgs = new ActivityEndingReader<NatsJSMsg<T>>(Channel.Reader);
        _notifications = handler is null ? null : new Notifications(handler, e => Channel.Writer.TryComplete(e), cancellationToken);
        _watch = new Timer(static s => ((Pull<T>)s!).OnWatch(), this, Timeout.Infinite, Timeout.Infinite);
    }

    public ChannelReader<NatsJSMsg<T>> Msgs { get; }

    protected NatsJSContext Context { get; }

    protected NatsJSConsumer Consumer { get; }

    protected PullPlan Plan { get; }

    protected CancellationToken Cancellation { get; }

    protected Channel<NatsJSMsg<T>> Channel { get; }

    private long SilenceLimit => (long)(Plan.IdleHeartbeat * 2).TotalMilliseconds;

    /// <summary>While the caller works on a message, silence is not the server's fault.</summary>
    public void BeginUserWork() => Volatile.Write(ref _busy, 1);

    public void EndUserWork()
    {
        Heard();
        Volatile.Write(ref _busy, 0);
    }

    public void StartWatch()
    {
        Heard();
        if (Plan.IdleHeartbeat > TimeSpan.Zero)
        {
            var period = Math.Max(100, SilenceLimit / 8);
            _watch.Change(period, period);
        }
    }

    public ValueTask SendAsync(ConsumerGetnextRequest request, CancellationToken cancellationToken) =>
        Connection.PublishAsync(_nextSubject, request, replyTo: Subject, serializer: NatsJSJsonSerializer<ConsumerGetnextRequest>.Default, cancellationToken: cancellationToken);

    public ConsumerGetnextRequest NewRequest(long batch, long maxBytes) => new()
    {
        Batch = batch,
        MaxBytes = maxBytes,
        IdleHeartbeat = Plan.IdleHeartbeat,
        Expires = Plan.Expires,
        Group = _group?.Group,
        MinPending = _group?.MinPending ?? 0,
        MinAckPending = _group?.MinAckPending ?? 0,
        Priority = _group?.Priority ?? 0,
        Id = Consumer.PinId,
    };

    public override async ValueTask DisposeAsync()
    {
        try
        {
            if (Connection is NatsConnection own && Connection.Opts.DrainSubscriptionsOnDispose)
            {
                await DrainAsync(own.Subs.BeginDrain).ConfigureAwait(false);
            }

            await base.DisposeAsync().ConfigureAwait(false);
        }
        finally
        {
            await _watch.DisposeAsync().ConfigureAwait(false);
            if (_notifications is not null)
            {
                await _notifications.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    protected void WriteRequest(ReconnectCommands commands, ConsumerGetnextRequest request) =>
        commands.Publish(_nextSubject, Subject, request, NatsJSJsonSerializer<ConsumerGetnextRequest>.Default);

    protected override async ValueTask ReceiveInternalAsync(string subject, string? replyTo, ReadOnlySequence<byte>? headersBuffer, ReadOnlySequence<byte> payloadBuffer)
    {
        Heard();
        if (subject == Subject)
        {
            // On the inbox itself come only the server's own words.
            var headers = new NatsHeaders();
            if (headersBuffer is not { } raw)
            {
                throw new NatsJSException("No header found");
            }

            Connection.HeaderParser.ParseHeaders(new SequenceReader<byte>(raw), headers);
            OnStatus(headers);
            return;
        }

        var msg = new NatsJSMsg<T>(NatsMsg<T>.Build(subject, replyTo, headersBuffer, payloadBuffer, Connection, Connection.HeaderParser, _serializer), Context);
        if (msg.Headers is { } msgHeaders && msgHeaders.TryGetLastValue("Nats-Pin-Id", out var pin) && pin.Length > 0)
        {
            Consumer.PinId = pin;
        }

        OnMessage(msg.Size);
        if (!Channel.Writer.TryWrite(msg))
        {
            await Channel.Writer.WriteAsync(msg).ConfigureAwait(false);
        }

        ResetSlowConsumer(Channel.Reader.Count);
        AfterMessage();
    }

    protected override void TryComplete() => Channel?.Writer.TryComplete();

    protected abstract void OnStatus(NatsHeaders headers);

    protected abstract void OnSilence();

    protected virtual void OnMessage(int size)
    {
    }

    protected virtual void AfterMessage()
    {
    }

    protected void Notify(INatsJSNotification notification) => _notifications?.Post(notification);

    protected void OnPinMismatch()
    {
        Consumer.PinId = null;
        Notify(NatsJSPinIdMismatchNotification.Default);
    }

    protected void End(Exception exception)
    {
        Channel.Writer.TryComplete(exception);
        EndSubscription(NatsSubEndReason.JetStreamError);
    }

    // 400 and 404 always; of the 409s those that the next request would meet again.
    protected static bool IsTerminal(NatsHeaders headers) =>
        headers.Code is 400 or 404
        || (headers.Code == 409
            && (headers.Message is NatsHeaders.Messages.ConsumerDeleted or NatsHeaders.Messages.ConsumerIsPushBased
                || Array.Exists(
                    ["Exceeded MaxRequestBatch", "Exceeded MaxRequestExpires", "Exceeded MaxRequestMaxBytes", "Consumer is push based", "Exceeded MaxWaiting"],
                    text => headers.MessageText.StartsWith(text, StringComparison.OrdinalIgnoreCase))));

    private void Heard() => Volatile.Write(ref _lastHeard, Environment.TickCount64);

    private void OnWatch()
    {
        if (Volatile.Read(ref _busy) == 0 && Environment.TickCount64 - Volatile.Read(ref _lastHeard) >= SilenceLimit)
        {
            Heard();
            Notify(NatsJSTimeoutNotification.Default);
            OnSilence();
        }
    }

    /// <summary>Handlers are user code: they run one after the other, beside the messages.</summary>
    private sealed class Notifications : IAsyncDisposable
    {
        private readonly Channel<INatsJSNotification> _queue = System.Threading.Channels.Channel.CreateBounded<INatsJSNotification>(
            new BoundedChannelOptions(128) { FullMode = BoundedChannelFullMode.DropOldest });

        private readonly Task _loop;

        public Notifications(Func<INatsJSNotification, CancellationToken, Task> handler, Action<Exception> onError, CancellationToken cancellationToken) =>
            _loop = Task.Run(
                async () =>
                {
                    try
                    {
                        await foreach (var notification in _queue.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
                        {
                            try
                            {
                                await handler(notification, cancellationToken).ConfigureAwait(false);
                            }
                            catch (Exception e)
                            {
                                onError(e);
                            }
                        }
                    }
                    catch (OperationCanceledException)
                    {
                        // The consume that these are about has ended.
                    }
                },
                CancellationToken.None);

        public void Post(INatsJSNotification notification) => _queue.Writer.TryWrite(notification);

        public async ValueTask DisposeAsync()
        {
            _queue.Writer.TryComplete();
            await _loop.ConfigureAwait(false);
        }
    }
}
