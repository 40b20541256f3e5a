using System.Collections.Concurrent;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Messaging;

/// <summary>
/// The pools, one per NATS configuration. Every enabled configuration is connected to once it has been read; a changed one gets a new pool at once,
/// while the old one finishes what is under way. Ask for the pool anew for each piece of work.
/// </summary>
public sealed partial class NatsConnections : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, NatsConnectionPool> _pools = new(StringComparer.Ordinal);
    private readonly Lock _following = new();
    private readonly CancellationTokenSource _closing = new();
    private readonly ConfigWatcher _watcher;
    private readonly IConfiguration _configuration;
    private readonly MessagingOptions _options;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _logger;
    private Task[] _retiring = [];

    /// <summary>Made by the container.</summary>
    public NatsConnections(
        ConfigWatcher watcher, IConfiguration configuration, IOptions<MessagingOptions> options, TimeProvider time, ILoggerFactory loggers)
    {
        _watcher = watcher;
        _configuration = configuration;
        _options = options.Value;
        _time = time;
        _loggers = loggers;
        _logger = loggers.CreateLogger<NatsConnections>();
        watcher.Changed += OnChanged;
    }

    /// <summary>Raised when a pool was replaced or one of its connections was opened, lost or not made: return at once.</summary>
    public event Action? StateChanged;

    /// <summary>The pool of a configuration as it is now.</summary>
    public NatsConnectionPool Get(string config)
        => _pools.TryGetValue(config, out var pool) ? pool : _pools.GetOrAdd(config, Create);

    /// <summary>Why nothing can be published with a configuration, or null.</summary>
    public string? WhyNot(string config) => _watcher.Current.ConfigsByName.GetValueOrDefault(config) switch
    {
        { Enabled: false } => $"the NATS configuration {config} is disabled",
        { JetStreamEnabled: false } => $"JetStream is switched off in the NATS configuration {config}",
        _ => null,
    };

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _watcher.Changed -= OnChanged;
        await _closing.CancelAsync();
        await Task.WhenAll(_retiring);
        foreach (var (_, pool) in _pools)
        {
            await pool.DisposeAsync();
        }

        _closing.Dispose();
    }

    /// <summary>The pools of all configurations that may be used.</summary>
    internal IEnumerable<KeyValuePair<string, NatsConnectionPool>> Enabled => _pools.Where(pool => pool.Value.Settings is not null);

    private void OnChanged(ConfigSnapshot snapshot)
    {
        // Snapshots may be announced by several readers at once; the newest is what counts.
        lock (_following)
        {
            if (_closing.IsCancellationRequested)
            {
                return;
            }

            foreach (var name in _watcher.Current.Configs.Select(config => config.Name).Union(_pools.Keys))
            {
                Follow(name);
            }
        }
    }

    private void Follow(string name)
    {
        var pool = Get(name);
        pool.Open();
        if (pool.GaveUp || pool.Settings != SettingsOf(name))
        {
            var next = Create(name);
            next.Open();
            _pools[name] = next;
            _retiring = [.. _retiring.Where(task => !task.IsCompleted), pool.RetireAsync(_closing.Token)];
            LogReplaced(name, next.Settings);
            pool = next;
            StateChanged?.Invoke();
        }

        pool.Follow(_watcher.Current.ConfigsByName.GetValueOrDefault(name)?.UpdatedAt);
    }

    private NatsConnectionPool Create(string name)
        => new(() => SettingsOf(name), _options, _time, _loggers, () => StateChanged?.Invoke());

    /// <summary>How the connections of a configuration are made now; null where it is off or gone.</summary>
    internal ConnectionSettings? SettingsOf(string name)
    {
        var config = _watcher.Current.ConfigsByName.GetValueOrDefault(name);
        return config is { Enabled: false } || (config is null && _watcher.HasSnapshot && name != ConnectionNames.DefaultConfig)
            ? null
            : ConnectionSettings.Of(name, config, _configuration.GetConnectionString(ConnectionNames.Nats), _options.Credentials.GetValueOrDefault(name));
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "NATS configuration {Config} is used as it is now, with {Settings}")]
    private partial void LogReplaced(string config, ConnectionSettings? settings);
}
