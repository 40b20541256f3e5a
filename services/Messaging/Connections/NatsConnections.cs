using System.Collections.Concurrent;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Messaging;

/// <summary>
/// The pools, one per NATS configuration, each opened when it is first used with the configuration's row as it is then (so wait for
/// <see cref="ConfigWatcher.WaitForFirstAsync"/> before): a changed URL or credential takes effect with a restart of the service, max_connections at once.
/// </summary>
public sealed class NatsConnections(
    ConfigWatcher watcher, IConfiguration configuration, IOptions<MessagingOptions> options, TimeProvider time, ILoggerFactory loggers) : IAsyncDisposable
{
    private const int DefaultMaxConnections = 10;

    private readonly ConcurrentDictionary<string, Lazy<NatsConnectionPool>> _pools = new(StringComparer.Ordinal);

    /// <summary>The pool of a configuration.</summary>
    public NatsConnectionPool Get(string config)
        => (_pools.TryGetValue(config, out var pool) ? pool : _pools.GetOrAdd(config, name => new Lazy<NatsConnectionPool>(() => Open(name)))).Value;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var (_, pool) in _pools)
        {
            if (pool.IsValueCreated)
            {
                await pool.Value.DisposeAsync();
            }
        }
    }

    private NatsConnectionPool Open(string name) => new(
        () => NatsConnectionOptions.Create(
            name, watcher.Current.ConfigsByName.GetValueOrDefault(name), configuration.GetConnectionString(ConnectionNames.Nats), options.Value, loggers),
        () => watcher.Current.ConfigsByName.GetValueOrDefault(name)?.MaxConnections ?? DefaultMaxConnections,
        options.Value,
        time,
        loggers.CreateLogger<NatsConnectionPool>());
}
