using Microsoft.Extensions.Options;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ConfigService.Streams;

/// <summary>
/// Keeps the streams on the servers in line with their definitions: at start, when a definition changes, and now and then. The service is not ready
/// before that has succeeded for the first time, so that whatever waits for it finds the streams.
/// </summary>
internal sealed partial class StreamOwner(
    StreamProvisioner provisioner, ConfigWatcher watcher, IOptions<ConfigServiceOptions> options, TimeProvider time, ILogger<StreamOwner> logger)
    : BackgroundService
{
    private const int SlowestRetryWhileNotReady = 4;

    private readonly SemaphoreSlim _changed = new(0, 1);
    private readonly SemaphoreSlim _provisioning = new(1, 1);
    private string _known = string.Empty;
    private volatile string? _missing = "PostgreSQL: the configuration has not been read yet";

    /// <summary>What keeps the service from being ready; null once the streams have been provisioned.</summary>
    public string? Missing => _missing;

    /// <summary>Provisions now, for a caller that waits; false when it took too long or failed, and the next turn will do it.</summary>
    public async Task<bool> ProvisionNowAsync(CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(options.Value.ServerTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            return await ProvisionAsync(either.Token);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            LogFailed(NatsUrls.Redact(exception.Message));
            return false;
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        watcher.Changed += OnChanged;
        try
        {
            await watcher.WaitForFirstAsync(stoppingToken);
            var failures = 0;
            while (!stoppingToken.IsCancellationRequested)
            {
                failures = await TryProvisionAsync(stoppingToken) ? 0 : failures + 1;
                if (await _changed.WaitAsync(Pause(failures), stoppingToken))
                {
                    failures = 0;
                }
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            LogStopped();
        }
        finally
        {
            watcher.Changed -= OnChanged;
        }
    }

    /// <summary>What a provisioning means for readiness: null, or what is missing. A stream that an operator defined badly does not hold up everything else.</summary>
    internal static string? MissingAfter(IReadOnlyList<StreamReport> reports, ConfigSnapshot snapshot)
    {
        var ours = reports.Where(report => report.ConfigName == ConnectionNames.DefaultConfig).ToArray();
        var needed = snapshot.ConfigsByName.GetValueOrDefault(ConnectionNames.DefaultConfig)?.StreamName;
        var failed = Array.Find(ours, report => report.State == StreamState.Failed && report.Stream == needed)
            ?? (ours.Length > 0 && Array.TrueForAll(ours, report => report.State == StreamState.Failed) ? ours[0] : null);
        return failed is null ? null : $"NATS: stream {failed.Stream} of connection {failed.ConfigName}: {NatsUrls.Redact(failed.Detail)}";
    }

    private async Task<bool> TryProvisionAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await ProvisionAsync(cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            LogFailed(NatsUrls.Redact(exception.Message));
            return false;
        }
    }

    private async Task<bool> ProvisionAsync(CancellationToken cancellationToken)
    {
        await _provisioning.WaitAsync(cancellationToken);
        try
        {
            var reports = await provisioner.ProvisionAsync(cancellationToken);
            if (_missing is not null && (_missing = MissingAfter(reports, watcher.Current)) is null)
            {
                LogReady(reports.Count);
            }

            return reports.All(report => report.State != StreamState.Failed);
        }
        finally
        {
            _provisioning.Release();
        }
    }

    // 1, 2, 4 s and so on; while the service is not ready no slower than 4 s, since everything else waits for it.
    private TimeSpan Pause(int failures)
    {
        if (failures == 0)
        {
            return options.Value.ProvisionEvery;
        }

        var factor = Math.Min(1 << Math.Min(failures - 1, 10), _missing is null ? int.MaxValue : SlowestRetryWhileNotReady);
        var pause = options.Value.ProvisionRetry * factor;
        return pause < options.Value.ProvisionEvery ? pause : options.Value.ProvisionEvery;
    }

    // Provisioning reads the configuration again and so raises this event itself: only a change that matters here wakes it.
    private void OnChanged(ConfigSnapshot snapshot)
    {
        var now = Describe(snapshot);
        lock (_changed)
        {
            if (now != _known && _changed.CurrentCount == 0)
            {
                _changed.Release();
            }

            _known = now;
        }
    }

    private static string Describe(ConfigSnapshot snapshot) => string.Join('\n', [
        .. snapshot.Configs.Select(config => $"{config with { ClusterUrls = [] }} {string.Join(',', config.ClusterUrls)}"),
        .. snapshot.Streams.Select(stream => $"{stream with { Subjects = [] }} {string.Join(',', stream.Subjects)}")]);

    [LoggerMessage(Level = LogLevel.Information, Message = "Streams provisioned for the first time: {Count}")]
    private partial void LogReady(int count);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Streams could not be provisioned: {Reason}")]
    private partial void LogFailed(string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Provisioning stopped")]
    private partial void LogStopped();
}
