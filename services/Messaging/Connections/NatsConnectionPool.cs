using Microsoft.Extensions.Logging;
using NATS.Client.Core;

namespace RuleEngineNats.Messaging;

/// <summary>
/// The connections of one configuration. It opens <see cref="MessagingOptions.InitialConnections"/> and, when all that are healthy have
/// <see cref="MessagingOptions.GrowAtInFlight"/> publishes in flight, one more, up to the configuration's <c>max_connections</c>. Connections
/// take turns; those that cannot publish are passed over. Each reconnects by itself, so nothing is ever taken out.
/// </summary>
public sealed partial class NatsConnectionPool : IAsyncDisposable
{
    private static readonly TimeSpan MinimumWait = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan MaximumWait = TimeSpan.FromSeconds(5);

    private readonly Lock _growing = new();
    private readonly MessagingOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<NatsConnectionPool> _logger;
    private readonly Func<NatsOpts> _natsOptions;
    private readonly Func<int> _maxConnections;
    private volatile PoolConnection[]? _connections;
    private TaskCompletionSource _opened = NewSignal();
    private int _turn;

    internal NatsConnectionPool(
        Func<NatsOpts> natsOptions, Func<int> maxConnections, MessagingOptions options, TimeProvider time, ILogger<NatsConnectionPool> logger)
    {
        _natsOptions = natsOptions;
        _maxConnections = maxConnections;
        _options = options;
        _time = time;
        _logger = logger;
    }

    // Opened when first used, not when the container makes the pool: by then the configuration has been read.
    private PoolConnection[] Connections => _connections ?? Open();

    /// <summary>Whether a publish would find a connection now.</summary>
    public bool IsHealthy => Pick() is not null;

    /// <summary>
    /// A connection to use now: the next healthy one, else one that is connecting. It is shared: do not dispose of it.
    /// </summary>
    public INatsConnection Next() => (Pick() ?? Connections[0]).Connection;

    /// <summary>What the pool is doing.</summary>
    public PoolStatistics GetStatistics() => new(_maxConnections(), [.. Connections.Select(connection => connection.GetStatistics())]);

    /// <summary>Waits until a connection can publish.</summary>
    public async Task WaitUntilHealthyAsync(CancellationToken cancellationToken)
    {
        while (Pick() is null)
        {
            var opened = Volatile.Read(ref _opened).Task;
            if (Pick() is not null)
            {
                return;
            }

            // A connection whose publishes went unanswered becomes healthy without a signal, hence the look from time to time.
            await Task.WhenAny(opened, Task.Delay(MinimumWait, _time, cancellationToken));
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var connection in Interlocked.Exchange(ref _connections, []) ?? [])
        {
            await connection.DisposeAsync();
        }
    }

    /// <summary>The next healthy connection; else an open one whose server has been silent; else null.</summary>
    internal PoolConnection? Pick()
    {
        var connections = Connections;
        var start = (uint)Interlocked.Increment(ref _turn);
        PoolConnection? silent = null;
        PoolConnection? busy = null;
        for (uint offset = 0; offset < connections.Length; offset++)
        {
            var candidate = connections[(start + offset) % (uint)connections.Length];
            if (!candidate.Healthy)
            {
                silent ??= candidate.Open ? candidate : null;
                continue;
            }

            if (candidate.Acks.InFlight < _options.GrowAtInFlight)
            {
                return candidate;
            }

            busy ??= candidate;
        }

        if (busy is not null)
        {
            Grow(connections.Length);
        }

        return busy ?? silent;
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void Grow(int seen)
    {
        if (seen >= _maxConnections())
        {
            return;
        }

        lock (_growing)
        {
            // One at a time: another thread may have added one, and one that is still connecting is to be waited for.
            if (_connections is { } connections && connections.Length == seen && Array.TrueForAll(connections, connection => connection.Open))
            {
                _connections = [.. connections, Start(connections.Length, _natsOptions())];
                LogGrown(seen + 1);
            }
        }
    }

    private PoolConnection[] Open()
    {
        lock (_growing)
        {
            if (_connections is { } connections)
            {
                return connections;
            }

            var natsOptions = _natsOptions();
            var count = Math.Min(_options.InitialConnections, _maxConnections());
            return _connections = [.. Enumerable.Range(0, count).Select(index => Start(index, natsOptions))];
        }
    }

    private PoolConnection Start(int index, NatsOpts natsOptions)
    {
        var connection = new PoolConnection(this, index, natsOptions, _options, _time, OnOpened, OnFailed);
        connection.Start(_time, MinimumWait, MaximumWait);
        return connection;
    }

    private void OnOpened() => Interlocked.Exchange(ref _opened, NewSignal()).TrySetResult();

    private void OnFailed(Exception exception) => LogNotConnected(exception.Message);

    [LoggerMessage(Level = LogLevel.Information, Message = "NATS pool grew to {Count} connections")]
    private partial void LogGrown(int count);

    [LoggerMessage(Level = LogLevel.Warning, Message = "NATS is not reachable: {Reason}")]
    private partial void LogNotConnected(string reason);
}
