using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Messaging;

/// <summary>
/// Keeps a snapshot of the configuration tables: read at start, after every notification on <see cref="NotifyChannels.ConfigChanged"/> and every
/// <see cref="MessagingOptions.ConfigRefresh"/>. While PostgreSQL is away the last snapshot stays in use.
/// </summary>
public sealed partial class ConfigWatcher(
    NpgsqlDataSource dataSource, SecretBox box, IOptions<MessagingOptions> options, TimeProvider time, ILogger<ConfigWatcher> logger) : BackgroundService
{
    private static readonly TimeSpan ErrorDelay = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim _reading = new(1, 1);
    private readonly SemaphoreSlim _asking = new(1, 1);
    private readonly TaskCompletionSource _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile ConfigSnapshot _current = new([], [], []);
    private long _readAt = long.MinValue;
    private string[] _secretProblems = [];

    /// <summary>Raised after a new snapshot is in <see cref="Current"/>, on the watcher's own thread: return at once.</summary>
    public event Action<ConfigSnapshot>? Changed;

    /// <summary>The newest snapshot; empty until the first has been read.</summary>
    public ConfigSnapshot Current => _current;

    /// <summary>Whether a snapshot has been read.</summary>
    public bool HasSnapshot => _first.Task.IsCompletedSuccessfully;

    /// <summary>Waits for the first snapshot.</summary>
    public Task WaitForFirstAsync(CancellationToken cancellationToken) => _first.Task.WaitAsync(cancellationToken);

    /// <summary>Reads the tables now.</summary>
    public async Task<ConfigSnapshot> RefreshAsync(CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        return await RefreshAsync(connection, cancellationToken);
    }

    /// <summary>
    /// A snapshot that is certainly not older than this call: for whoever misses something that may have been committed a moment ago.
    /// However many ask at once, they share the next reading.
    /// </summary>
    public async Task<ConfigSnapshot> RefreshSharedAsync(CancellationToken cancellationToken)
    {
        var asked = time.GetTimestamp();
        await _asking.WaitAsync(cancellationToken);
        try
        {
            return Volatile.Read(ref _readAt) >= asked ? _current : await RefreshAsync(cancellationToken);
        }
        finally
        {
            _asking.Release();
        }
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await WatchAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                LogFailed(exception.Message);
                await Task.Delay(ErrorDelay, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task WatchAsync(CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);

        // Listening begins before the first read, so that no change falls between the two.
        await using (var listen = new NpgsqlCommand($"LISTEN {NotifyChannels.ConfigChanged}", connection))
        {
            await listen.ExecuteNonQueryAsync(cancellationToken);
        }

        // One that arrives while the tables are being read comes with the answer of that read, and would not end the wait after it.
        var notified = false;
        connection.Notification += (_, _) => notified = true;
        while (true)
        {
            notified = false;
            await RefreshAsync(connection, cancellationToken);
            if (!notified)
            {
                await connection.WaitAsync(options.Value.ConfigRefresh, cancellationToken);
            }
        }
    }

    private async Task<ConfigSnapshot> RefreshAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        // One at a time, or an older snapshot could take the place of a newer one.
        await _reading.WaitAsync(cancellationToken);
        ConfigSnapshot snapshot;
        try
        {
            var began = time.GetTimestamp();
            snapshot = await ConfigTables.ReadAsync(connection, box, options.Value.ReadWebhookSecrets, cancellationToken);
            _current = snapshot;
            ReportSecrets([.. snapshot.SecretProblems]);
            Volatile.Write(ref _readAt, began);
        }
        finally
        {
            _reading.Release();
        }

        if (_first.TrySetResult())
        {
            LogFirst(snapshot.Webhooks.Count, snapshot.Configs.Count, snapshot.Streams.Count);
        }

        Changed?.Invoke(snapshot);
        return snapshot;
    }

    // Once for each, not with every reading.
    private void ReportSecrets(string[] problems)
    {
        foreach (var problem in problems.Except(_secretProblems))
        {
            LogSecret(problem);
        }

        _secretProblems = problems;
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Not usable: {Problem}")]
    private partial void LogSecret(string problem);

    [LoggerMessage(Level = LogLevel.Information, Message = "Configuration read: {Webhooks} webhooks, {Configs} NATS configurations, {Streams} streams")]
    private partial void LogFirst(int webhooks, int configs, int streams);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Configuration could not be read: {Reason}")]
    private partial void LogFailed(string reason);
}
