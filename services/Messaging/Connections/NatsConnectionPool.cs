using Microsoft.Extensions.Logging;
using NATS.Client.Core;

namespace RuleEngineNats.Messaging;

/// <summary>
/// The connections of one configuration. It opens <see cref="MessagingOptions.InitialConnections"/> and, when all that are healthy have
/// <see cref="MessagingOptions.GrowAtInFlight"/> publishes in flight, one more, up to the configuration's <c>max_connections</c>. Connections
/// take turns; those that cannot publish are passed over. Each reconnects by itself, so nothing is ever taken out; <see cref="NatsConnections"/>
/// replaces the pool as a whole when its configuration changes.
/// </summary>
public sealed partial class NatsConnectionPool : IAsyncDisposable
{
    private static readonly TimeSpan MinimumWait = TimeSpan.FromMilliseconds(100);

    // Whoever took the pool a moment before it was replaced says so by then.
    private static readonly TimeSpan RetireAfter = TimeSpan.FromSeconds(1);

    private readonly Lock _growing = new();
    private readonly Func<ConnectionSettings?> _newest;
    private readonly MessagingOptions _options;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _logger;
    private readonly Action _stateChanged;
    private volatile PoolConnection[]? _connections;
    private volatile bool _retired;
    private TaskCompletionSource _opened = NewSignal();
    private int _turn;
    private int _uses;

    internal NatsConnectionPool(
        Func<ConnectionSettings?> settings, MessagingOptions options, TimeProvider time, ILoggerFactory loggers, Action stateChanged)
    {
        _newest = settings;
        _options = options;
        _time = time;
        _loggers = loggers;
        _logger = loggers.CreateLogger<NatsConnectionPool>();
        _stateChanged = stateChanged;
    }

    // Opened when first used, not when the container makes the pool: by then the configuration has been read.
    private PoolConnection[] Connections => _connections ?? Open();

    /// <summary>How the connections are made; null before they are, and while the configuration is disabled.</summary>
    internal ConnectionSettings? Settings { get; private set; }

    /// <summary>When the pool was opened.</summary>
    internal DateTimeOffset OpenedAt { get; private set; }

    /// <summary><c>updated_at</c> of the configuration row that the pool is known to follow.</summary>
    internal DateTimeOffset? ConfigUpdatedAt { get; private set; }

    /// <summary>Whether every connection has used up its attempts.</summary>
    internal bool GaveUp => _connections is { Length: > 0 } connections && Array.TrueForAll(connections, connection => connection.GaveUp);

    /// <summary>The server of the first open connection, or null.</summary>
    internal INatsServerInfo? Server => Connections.FirstOrDefault(connection => connection.Open)?.Connection.ServerInfo;

    /// <summary>Why a connection is missing, or null.</summary>
    internal string? Error => Settings?.Problem ?? Connections.Select(connection => connection.Error).FirstOrDefault(error => error is not null);

    /// <summary>Whether a publish would find a connection now.</summary>
    public bool IsHealthy => Pick() is not null;

    /// <summary>The ids of the servers that its open connections lead to. A server that was started anew has another one.</summary>
    public IReadOnlyList<string> ServerIds
        => [.. Connections.Where(connection => connection.Open).Select(connection => connection.Connection.ServerInfo?.Id).OfType<string>().Distinct()];

    /// <summary>
    /// A connection to use now: the next healthy one, else one that is connecting. It is shared: do not dispose of it.
    /// </summary>
    public INatsConnection Next()
        => (Pick() ?? (Connections is [var first, ..] ? first : throw new NatsException("the NATS configuration is disabled"))).Connection;

    /// <summary>Says that the pool is being worked with: a pool that is replaced is closed when the last use has ended.</summary>
    public Use Begin()
    {
        Interlocked.Increment(ref _uses);
        return new(this);
    }

    /// <summary>What the pool is doing.</summary>
    public PoolStatistics GetStatistics()
    {
        var connections = Connections;
        return new(Settings?.MaxConnections ?? 0, [.. connections.Select(connection => connection.GetStatistics())]);
    }

    /// <summary>Waits until a connection can publish, or the pool has been replaced.</summary>
    public async Task WaitUntilHealthyAsync(CancellationToken cancellationToken)
    {
        while (!_retired && Pick() is null)
        {
            var opened = Volatile.Read(ref _opened).Task;
            if (_retired || Pick() is not null)
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

    /// <summary>Notes that the pool is what this version of the configuration asks for.</summary>
    internal void Follow(DateTimeOffset? updatedAt)
    {
        if (ConfigUpdatedAt != updatedAt)
        {
            ConfigUpdatedAt = updatedAt;
            _stateChanged();
        }
    }

    /// <summary>Closes a pool that another has taken the place of, once nobody works with it.</summary>
    internal async Task RetireAsync(CancellationToken atOnce)
    {
        _retired = true;
        OnOpened();
        do
        {
            await Task.Delay(RetireAfter, _time, atOnce).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        while (Volatile.Read(ref _uses) > 0 && !atOnce.IsCancellationRequested);
        await DisposeAsync();
    }

    internal PoolConnection[] Open()
    {
        lock (_growing)
        {
            if (_connections is { } connections)
            {
                return connections;
            }

            Settings = _newest();
            OpenedAt = _time.GetUtcNow();
            var count = Math.Min(_options.InitialConnections, Settings?.MaxConnections ?? 0);
            return _connections = [.. Enumerable.Range(0, count).Select(index => Start(index, Settings!))];
        }
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void Grow(int seen)
    {
        if (Settings is not { } settings || seen >= settings.MaxConnections)
        {
            return;
        }

        lock (_growing)
        {
            // One at a time: another thread may have added one, and one that is still connecting is to be waited for.
            if (_connections is { } connections && connections.Length == seen && Array.TrueForAll(connections, connection => connection.Open))
            {
                _connections = [.. connections, Start(connections.Length, settings)];
                LogGrown(seen + 1);
            }
        }
    }

    private PoolConnection Start(int index, ConnectionSettings settings)
    {
        var connection = new PoolConnection(this, index, settings.ToOptions(_options, _loggers), _options, _time, OnOpened, OnFailed);
        connection.Start(_time, settings);
        return connection;
    }

    private void OnOpened()
    {
        Interlocked.Exchange(ref _opened, NewSignal()).TrySetResult();
        _stateChanged();
    }

    private void OnFailed(string reason)
    {
        LogNotConnected(reason);
        _stateChanged();
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "NATS pool grew to {Count} connections")]
    private partial void LogGrown(int count);

    [LoggerMessage(Level = LogLevel.Warning, Message = "NATS is not reachable: {Reason}")]
    private partial void LogNotConnected(string reason);

    /// <summary>Ends with its disposal, which happens once.</summary>
    public readonly struct Use : IDisposable
    {
        private readonly NatsConnectionPool _pool;

        internal Use(NatsConnectionPool pool) => _pool = pool;

        /// <inheritdoc/>
        public void Dispose() => Interlocked.Decrement(ref _pool._uses);
    }
}
