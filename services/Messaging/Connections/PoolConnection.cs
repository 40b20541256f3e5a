using NATS.Client.Core;

namespace RuleEngineNats.Messaging;

/// <summary>A connection of the pool with its inbox for acknowledgements. It connects in the background and for as long as it takes.</summary>
internal sealed class PoolConnection : IAsyncDisposable
{
    // A server that is stopped rather than gone keeps its connection open; until the pings notice, unanswered publishes are the first sign.
    private const int SilentAfter = 3;

    private readonly CancellationTokenSource _closing = new();
    private readonly Action _opened;
    private readonly Action<Exception> _failed;
    private Task _connecting = Task.CompletedTask;
    private volatile bool _subscribed;
    private long _served;
    private long _disconnects;
    private int _unanswered;

    public PoolConnection(NatsConnectionPool pool, int index, NatsOpts options, MessagingOptions messaging, TimeProvider time, Action opened, Action<Exception> failed)
    {
        Pool = pool;
        Index = index;
        _opened = opened;
        _failed = failed;
        Connection = new NatsConnection(options with { Name = $"{options.Name}-{index}" });
        Acks = new AckInbox(Connection, time, messaging.MaxInFlightPerConnection);
        Connection.ConnectionDisconnected += OnDisconnected;
        Connection.ConnectionOpened += OnOpened;
    }

    public NatsConnectionPool Pool { get; }

    public int Index { get; }

    public NatsConnection Connection { get; }

    public AckInbox Acks { get; }

    public bool Open => _subscribed && Connection.ConnectionState == NatsConnectionState.Open;

    public bool Healthy => Open && Volatile.Read(ref _unanswered) < SilentAfter;

    public void Start(TimeProvider time, TimeSpan minimumWait, TimeSpan maximumWait) => _connecting = ConnectAsync(time, minimumWait, maximumWait);

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
    private async Task ConnectAsync(TimeProvider time, TimeSpan minimumWait, TimeSpan maximumWait)
    {
        var wait = minimumWait;
        while (!_closing.IsCancellationRequested)
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
                _failed(exception);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            await Task.Delay(wait + (wait * Random.Shared.NextDouble()), time, _closing.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            wait = wait * 2 > maximumWait ? maximumWait : wait * 2;
        }
    }

    private ValueTask OnDisconnected(object? sender, NatsEventArgs args)
    {
        Interlocked.Increment(ref _disconnects);
        Acks.FailAll();
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
