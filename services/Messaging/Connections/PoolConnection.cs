using NATS.Client.Core;

namespace RuleEngineNats.Messaging;

/// <summary>A connection of the pool with its inbox for acknowledgements. It connects in the background and for as long as it takes.</summary>
internal sealed class PoolConnection : IAsyncDisposable
{
    // A server that is stopped rather than gone keeps its connection open; until the pings notice, unanswered publishes are the first sign.
    private const int SilentAfter = 3;

    private static readonly TimeSpan FirstWait = TimeSpan.FromMilliseconds(100);

    private readonly CancellationTokenSource _closing = new();
    private readonly Action _opened;
    private readonly Action<string> _failed;
    private Task _connecting = Task.CompletedTask;
    private volatile bool _subscribed;
    private volatile bool _gaveUp;
    private volatile string? _error;
    private long _served;
    private long _disconnects;
    private int _unanswered;

    public PoolConnection(NatsConnectionPool pool, int index, NatsOpts options, MessagingOptions messaging, TimeProvider time, Action opened, Action<string> failed)
    {
        Pool = pool;
        Index = index;
        _opened = opened;
        _failed = failed;
        Connection = new NatsConnection(options with { Name = $"{options.Name}-{index}" });
        Acks = new AckInbox(Connection, time, messaging.MaxInFlightPerConnection);
        Connection.ConnectionDisconnected += OnDisconnected;
        Connection.ConnectionOpened += OnOpened;
        Connection.ReconnectFailed += OnReconnectFailed;
    }

    public NatsConnectionPool Pool { get; }

    public int Index { get; }

    public NatsConnection Connection { get; }

    public AckInbox Acks { get; }

    public bool Open => _subscribed && Connection.ConnectionState == NatsConnectionState.Open;

    public bool Healthy => Open && Volatile.Read(ref _unanswered) < SilentAfter;

    /// <summary>Whether the attempts that the configuration allows are used up.</summary>
    public bool GaveUp => _gaveUp || Connection.ConnectionState == NatsConnectionState.Failed;

    /// <summary>Why it is not open, without user and password; null while it is or is only just connecting.</summary>
    public string? Error => Open ? null : GaveUp ? $"gave up: {_error}" : _error;

    public void Start(TimeProvider time, ConnectionSettings settings) => _connecting = ConnectAsync(time, settings);

    public void Sent() => Interlocked.Increment(ref _served);

    public void Answered() => Volatile.Write(ref _unanswered, 0);

    public void Unanswered() => Interlocked.Increment(ref _unanswered);

    public ConnectionStatistics GetStatistics() => new(
        Index,
        Connection.ConnectionState.ToString().ToLowerInvariant(),
        Open ? Connection.ServerInfo?.Name ?? string.Empty : string.Empty,
        Healthy,
        Acks.InFlight,
        Interlocked.Read(ref _served),
        Interlocked.Read(ref _disconnects));

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        await _connecting;
        await Acks.DisposeAsync();
        await Connection.DisposeAsync();
        _closing.Dispose();
    }

    // Only until the first success: from then on the connection reconnects and subscribes again by itself.
    private async Task ConnectAsync(TimeProvider time, ConnectionSettings settings)
    {
        var wait = FirstWait < settings.ReconnectDelay ? FirstWait : settings.ReconnectDelay;
        for (var retries = 0; !_closing.IsCancellationRequested; retries++)
        {
            try
            {
                await Connection.ConnectAsync();
                await Acks.SubscribeAsync(_closing.Token);
                _subscribed = true;
                _opened();
                return;
            }
            catch (Exception exception) when (!_closing.IsCancellationRequested)
            {
                _gaveUp = settings.MaxReconnectAttempts > 0 && retries >= settings.MaxReconnectAttempts;
                Fail(Describe(exception));
            }
            catch (Exception) when (_closing.IsCancellationRequested)
            {
                return;
            }

            if (_gaveUp)
            {
                return;
            }

            await Task.Delay(wait + (wait * Random.Shared.NextDouble()), time, _closing.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            wait = wait * 2 > settings.ReconnectDelay ? settings.ReconnectDelay : wait * 2;
        }
    }

    private static string Describe(Exception exception)
        => exception.InnerException is { } inner && inner.Message != exception.Message ? $"{exception.Message}: {inner.Message}" : exception.Message;

    private void Fail(string reason)
    {
        _error = NatsUrls.Redact(reason);
        _failed(_error);
    }

    private ValueTask OnReconnectFailed(object? sender, NatsEventArgs args)
    {
        Fail($"cannot connect to {args.Message}");
        return ValueTask.CompletedTask;
    }

    private ValueTask OnDisconnected(object? sender, NatsEventArgs args)
    {
        Interlocked.Increment(ref _disconnects);
        Acks.FailAll();
        if (!_closing.IsCancellationRequested)
        {
            Fail("the connection was lost");
        }

        return ValueTask.CompletedTask;
    }

    private ValueTask OnOpened(object? sender, NatsEventArgs args)
    {
        Volatile.Write(ref _unanswered, 0);
        if (_subscribed)
        {
            _opened();
        }

        return ValueTask.CompletedTask;
    }
}
