using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using NATS.Client.Core.Internal;

namespace NATS.Client.Core;

/// <summary>A connection that any number of callers share and that comes back by itself.</summary>
public partial class NatsConnection : INatsConnection
{
    private const int MinHighWater = 512 * 1024;

    private readonly Lock _gate = new();
    private readonly ILogger<NatsConnection> _logger;
    private readonly CancellationTokenSource _disposing = new();
    private readonly BoundedChannelOptions _channelOpts;
    private readonly Channel<(Action<NatsConnection, NatsEventArgs, List<ValueTask>> Raise, NatsEventArgs Args)> _events =
        Channel.CreateUnbounded<(Action<NatsConnection, NatsEventArgs, List<ValueTask>>, NatsEventArgs)>(new UnboundedChannelOptions { SingleReader = true });

    private TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile ServerInfo? _serverInfo;
    private volatile Link? _link;
    private int _state = (int)NatsConnectionState.Closed;
    private int _disposed;

    public NatsConnection()
        : this(NatsOpts.Default)
    {
    }

    public NatsConnection(NatsOpts opts)
    {
        ArgumentNullException.ThrowIfNull(opts);
        Opts = opts.WithUrlCredentials();
        _logger = opts.LoggerFactory.CreateLogger<NatsConnection>();
        HeaderParser = new NatsHeaderParser(opts.HeaderEncoding);
        InboxPrefix = NewInbox(opts.InboxPrefix);
        Outbox = new Outbox(Math.Max(opts.WriterBufferSize, MinHighWater));
        Subs = new Subscriptions(this);
        Inbox = new Inbox(this, InboxPrefix);
        _channelOpts = new BoundedChannelOptions(opts.SubPendingChannelCapacity)
        {
            FullMode = opts.SubPendingChannelFullMode,
            SingleWriter = true,
            SingleReader = false,
            AllowSynchronousContinuations = false,
        };
        RunApart(RaiseEventsAsync);
    }

    public event AsyncEventHandler<NatsEventArgs>? ConnectionDisconnected;

    public event AsyncEventHandler<NatsEventArgs>? ConnectionOpened;

    public event AsyncEventHandler<NatsEventArgs>? ReconnectFailed;

    public event AsyncEventHandler<NatsMessageDroppedEventArgs>? MessageDropped;

    public event AsyncEventHandler<NatsSlowConsumerEventArgs>? SlowConsumerDetected;

    public event AsyncEventHandler<NatsLameDuckModeActivatedEventArgs>? LameDuckModeActivated;

    public event AsyncEventHandler<NatsServerErrorEventArgs>? ServerError;

    public INatsConnection Connection => this;

    public NatsOpts Opts { get; }

    public NatsConnectionState ConnectionState => (NatsConnectionState)Volatile.Read(ref _state);

    public INatsServerInfo? ServerInfo => _serverInfo;

    public INatsSubscriptionManager SubscriptionManager => Subs;

    public NatsHeaderParser HeaderParser { get; }

    public Func<(string Host, int Port), ValueTask<(string Host, int Port)>>? OnConnectingAsync { get; set; }

    public Func<INatsSocketConnection, ValueTask<INatsSocketConnection>>? OnSocketAvailableAsync { get; set; }

    internal string InboxPrefix { get; }

    internal Outbox Outbox { get; }

    internal Subscriptions Subs { get; }

    internal Inbox Inbox { get; }

    internal bool IsDisposed => Volatile.Read(ref _disposed) == 1;

    public virtual async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        LogDisposing(Opts.Name);
        var link = _link;
        if (Opts.DrainSubscriptionsOnDispose && ConnectionState == NatsConnectionState.Open)
        {
            await Task.WhenAll(Subs.All().Select(s => s.DrainAsync(Subs.BeginDrain).AsTask())).ConfigureAwait(false);
        }

        if (link is not null)
        {
            // What was published goes out if the server takes it at once; a stuck server must not hold up a shutdown.
            await Task.WhenAny(Outbox.IdleAsync(), Task.Delay(TimeSpan.FromSeconds(1))).ConfigureAwait(false);
        }

        await _disposing.CancelAsync().ConfigureAwait(false);
        if (link is not null)
        {
            await link.CloseAsync(new ObjectDisposedException(nameof(NatsConnection))).ConfigureAwait(false);
        }

        foreach (var sub in Subs.All())
        {
            try
            {
                await sub.DisposeAsync().ConfigureAwait(false);
            }
            catch (Exception e) when (e is NatsException)
            {
                // It had failed before; its reader was told then.
            }
        }

        Inbox.FailAll();
        _opened.TrySetCanceled();
        _events.Writer.TryComplete();
        GC.SuppressFinalize(this);
    }

    public BoundedChannelOptions GetBoundedChannelOpts(NatsSubChannelOpts? subChannelOpts) =>
        subChannelOpts is null
            ? _channelOpts
            : new BoundedChannelOptions(subChannelOpts.Capacity ?? _channelOpts.Capacity)
            {
                FullMode = subChannelOpts.FullMode ?? _channelOpts.FullMode,
                SingleWriter = _channelOpts.SingleWriter,
                SingleReader = _channelOpts.SingleReader,
                AllowSynchronousContinuations = _channelOpts.AllowSynchronousContinuations,
            };

    public void OnMessageDropped<T>(NatsSubBase natsSub, int pending, NatsMsg<T> msg)
    {
        ArgumentNullException.ThrowIfNull(natsSub);
        msg.Headers?.Activity?.Dispose();
        Push(
            static (c, a, calls) => Invoke(c.MessageDropped, c, (NatsMessageDroppedEventArgs)a, calls),
            new NatsMessageDroppedEventArgs(natsSub, pending, msg.Subject, msg.ReplyTo, msg.Headers, msg.Data));
        if (natsSub.TryMarkSlowConsumer())
        {
            Push(static (c, a, calls) => Invoke(c.SlowConsumerDetected, c, (NatsSlowConsumerEventArgs)a, calls), new NatsSlowConsumerEventArgs(natsSub));
            if (!Opts.SuppressSlowConsumerWarnings)
            {
                LogSlowConsumer(natsSub.Subject);
            }
        }
    }

    public string NewInbox() => NewInbox(InboxPrefix);

    internal static string NewInbox(string prefix) => prefix.Length == 0 ? Nuid.NewNuid() : string.Concat(prefix, ".", Nuid.NewNuid());

    /// <summary>Few different names for spans: two tokens, or just that it is an inbox.</summary>
    internal string SpanDestination(string subject)
    {
        if (subject.StartsWith(Opts.InboxPrefix, StringComparison.Ordinal))
        {
            return "inbox";
        }

        var second = subject.IndexOf('.') is >= 0 and var first ? subject.IndexOf('.', first + 1) : -1;
        return second < 0 ? subject : subject[..second];
    }

    internal void OnInfo(ServerInfo info, ServerUri uri)
    {
        _serverInfo = info;
        if (info.LameDuckMode)
        {
            Push(static (c, a, calls) => Invoke(c.LameDuckModeActivated, c, (NatsLameDuckModeActivatedEventArgs)a, calls), new NatsLameDuckModeActivatedEventArgs(uri.Uri));
        }
    }

    internal void OnServerError(string error)
    {
        var args = new NatsServerErrorEventArgs(error);
        LogServerError(args.Kind is NatsServerErrorKind.StaleConnection or NatsServerErrorKind.AuthenticationExpired
            or NatsServerErrorKind.AccountAuthenticationExpired or NatsServerErrorKind.AuthenticationRevoked ? LogLevel.Debug : LogLevel.Error, error);
        Push(static (c, a, calls) => Invoke(c.ServerError, c, (NatsServerErrorEventArgs)a, calls), args);
    }

    /// <summary>Loops live as long as the connection: they must not carry the context of whoever happened to connect first.</summary>
    internal static Task RunApart(Func<Task> loop)
    {
        if (ExecutionContext.IsFlowSuppressed())
        {
            return Task.Run(loop);
        }

        using (ExecutionContext.SuppressFlow())
        {
            return Task.Run(loop);
        }
    }

    private static void Invoke<TArgs>(AsyncEventHandler<TArgs>? handlers, NatsConnection sender, TArgs args, List<ValueTask> calls)
    {
        foreach (var handler in handlers?.GetInvocationList() ?? [])
        {
            calls.Add(((AsyncEventHandler<TArgs>)handler)(sender, args));
        }
    }

    private void Push(Action<NatsConnection, NatsEventArgs, List<ValueTask>> raise, NatsEventArgs args) => _events.Writer.TryWrite((raise, args));

    private void PushOpened(ServerUri uri) =>
        Push(static (c, a, calls) => Invoke(c.ConnectionOpened, c, a, calls), new NatsEventArgs(uri.ToString()));

    private void PushDisconnected(ServerUri uri) =>
        Push(static (c, a, calls) => Invoke(c.ConnectionDisconnected, c, a, calls), new NatsEventArgs(uri.ToString()));

    private void PushReconnectFailed(ServerUri uri) =>
        Push(static (c, a, calls) => Invoke(c.ReconnectFailed, c, a, calls), new NatsEventArgs(uri.ToString()));

    // Handlers are user code: they run here, one after the other, never on the read loop.
    private async Task RaiseEventsAsync()
    {
        var calls = new List<ValueTask>();
        await foreach (var (raise, args) in _events.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            try
            {
                calls.Clear();
                raise(this, args, calls);
                foreach (var call in calls)
                {
                    await call.ConfigureAwait(false);
                }
            }
            catch (Exception e)
            {
                LogEventFailed(e);
            }
        }
    }

    private void SetState(NatsConnectionState state) => Volatile.Write(ref _state, (int)state);

    // While subscriptions are drained their last acknowledgements may still be sent.
    private void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(_disposing.IsCancellationRequested, this);

    [LoggerMessage(EventId = 1001, EventName = "Connection", Level = LogLevel.Information, Message = "Disposing connection {Name}")]
    private partial void LogDisposing(string name);

    [LoggerMessage(EventId = 1002, EventName = "Subscription", Level = LogLevel.Warning, Message = "Slow consumer detected on subscription {Subject}")]
    private partial void LogSlowConsumer(string subject);

    [LoggerMessage(EventId = 1005, EventName = "Protocol", Message = "Server error {Error}")]
    private partial void LogServerError(LogLevel level, string error);

    [LoggerMessage(EventId = 1001, EventName = "Connection", Level = LogLevel.Error, Message = "An event handler failed")]
    private partial void LogEventFailed(Exception exception);
}
