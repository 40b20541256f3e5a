namespace NATS.Client.Core;

/// <summary>Connections handed out in turn; they are disposed with the pool, not by those who use them.</summary>
public sealed class NatsConnectionPool : INatsConnectionPool
{
    private readonly PooledConnection[] _connections;
    private int _index = -1;

    public NatsConnectionPool()
        : this(Environment.ProcessorCount / 2, NatsOpts.Default, _ => { })
    {
    }

    public NatsConnectionPool(int poolSize)
        : this(poolSize, NatsOpts.Default, _ => { })
    {
    }

    public NatsConnectionPool(NatsOpts opts)
        : this(Environment.ProcessorCount / 2, opts, _ => { })
    {
    }

    public NatsConnectionPool(int poolSize, NatsOpts opts)
        : this(poolSize, opts, _ => { })
    {
    }

    public NatsConnectionPool(int poolSize, NatsOpts opts, Action<NatsConnection> configureConnection)
    {
        _connections = new PooledConnection[Math.Max(1, poolSize)];
        for (var i = 0; i < _connections.Length; i++)
        {
            _connections[i] = new PooledConnection(opts with { Name = $"{opts.Name}#{i}" });
            configureConnection(_connections[i]);
        }
    }

    public INatsConnection GetConnection() => _connections[(uint)Interlocked.Increment(ref _index) % _connections.Length];

    public IEnumerable<INatsConnection> GetConnections() => _connections.AsEnumerable();

    public async ValueTask DisposeAsync()
    {
        foreach (var connection in _connections)
        {
            await connection.DisposeForGoodAsync().ConfigureAwait(false);
        }
    }

    private sealed class PooledConnection(NatsOpts opts) : NatsConnection(opts)
    {
        public override ValueTask DisposeAsync() => default;

        public ValueTask DisposeForGoodAsync() => base.DisposeAsync();
    }
}
