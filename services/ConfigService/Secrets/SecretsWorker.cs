using Npgsql;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ConfigService.Secrets;

/// <summary>Encrypts what SQL has stored: at start and whenever the configuration is read, which is at each change and now and then.</summary>
internal sealed partial class SecretsWorker(
    EncryptSecrets encrypt, SecretBox box, ConfigWatcher watcher, NpgsqlDataSource rules, IHostEnvironment environment, TimeProvider time,
    ILogger<SecretsWorker> logger) : BackgroundService
{
    private static readonly TimeSpan AfterFailure = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim _changed = new(1, 1);

    public override void Dispose()
    {
        _changed.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (box.ActiveKey is null)
        {
            if (!environment.IsDevelopment())
            {
                LogPlain();
            }

            return;
        }

        watcher.Changed += OnChanged;
        try
        {
            while (true)
            {
                await _changed.WaitAsync(stoppingToken);
                await TryRunAsync(stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The service stops.
        }
        finally
        {
            watcher.Changed -= OnChanged;
        }
    }

    private async Task TryRunAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var connection = await rules.OpenConnectionAsync(cancellationToken);
            await encrypt.RunAsync(connection, webhookId: null, cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            LogFailed(exception.Message);
            await Task.Delay(AfterFailure, time, cancellationToken);
            OnChanged(watcher.Current);
        }
    }

    private void OnChanged(ConfigSnapshot snapshot)
    {
        lock (_changed)
        {
            if (_changed.CurrentCount == 0)
            {
                _changed.Release();
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Secrets:ActiveKey is not set: secrets stay plain text in PostgreSQL")]
    private partial void LogPlain();

    [LoggerMessage(Level = LogLevel.Warning, Message = "Secrets could not be encrypted: {Reason}")]
    private partial void LogFailed(string reason);
}
