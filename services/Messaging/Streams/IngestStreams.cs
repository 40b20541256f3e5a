using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Messaging;

/// <summary>
/// Makes <see cref="StreamNames.Messages"/> and <see cref="StreamNames.MessagesDeadLetter"/> exist: at start, every 30 s, and after a connection was opened. They are no rows of
/// <c>rule_nats_streams</c>, so no webhook hears of what is in them.
/// </summary>
public sealed partial class IngestStreams(
    NatsConnections connections, ConfigWatcher watcher, IOptions<IngestStreamOptions> options, ILogger<IngestStreams> logger)
    : BackgroundService, IHealthCheck
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim _wake = new(0, 1);
    private string? _known;
    private volatile string? _missing = "not looked at yet";

    /// <summary>The definitions that the options ask for.</summary>
    public static IReadOnlyList<StreamDefinition> Of(IngestStreamOptions options) =>
    [
        new(0, 0, StreamNames.Messages, [StreamNames.IngestSubjectPrefix + ">"], Enabled: true)
        {
            Description = "Documents on their way into entity tables",
            MaxBytes = options.MaxBytes,
            MaxAge = options.MaxAge,
            Replicas = options.Replicas,
            DuplicateWindow = options.DuplicateWindow,
        },
        new(0, 0, StreamNames.MessagesDeadLetter, [StreamNames.DeadLetterSubjectPrefix + ">"], Enabled: true)
        {
            Description = "Documents that could not be stored",
            MaxBytes = options.DeadLetterMaxBytes,
            MaxAge = options.DeadLetterMaxAge,
            Replicas = options.Replicas,
            DuplicateWindow = options.DuplicateWindow,
        },
    ];

    /// <inheritdoc/>
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        => Task.FromResult(_missing is { } missing ? HealthCheckResult.Unhealthy(missing) : HealthCheckResult.Healthy());

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        connections.StateChanged += Wake;
        try
        {
            await watcher.WaitForFirstAsync(stoppingToken);
            while (true)
            {
                var reports = await Task.WhenAll(
                    Of(options.Value).Select(definition => StreamProvisioner.EnsureAsync(connections, options.Value.Config, definition, stoppingToken)));
                Report(reports);
                await _wake.WaitAsync(_missing is null ? Every : Retry, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The service stops.
        }
        finally
        {
            connections.StateChanged -= Wake;
        }
    }

    private void Report(StreamReport[] reports)
    {
        var failed = Array.Find(reports, report => report.State == StreamState.Failed);
        _missing = failed is null ? null : $"stream {failed.Stream}: {NatsUrls.Redact(failed.Detail)}";
        var now = string.Join("; ", reports.Select(report => $"{report.Stream}: {report.State} {NatsUrls.Redact(report.Detail)}".TrimEnd()));
        if (now != _known)
        {
            LogState(now);
        }

        _known = now;
    }

    private void Wake()
    {
        lock (_wake)
        {
            if (_wake.CurrentCount == 0)
            {
                _wake.Release();
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "ingestion streams: {State}")]
    private partial void LogState(string state);
}

/// <summary>Registers <see cref="IngestStreams"/>.</summary>
public static class IngestStreamsRegistration
{
    /// <summary>Has this service make the streams of ingestion, and not be ready before they are there.</summary>
    public static IServiceCollection AddIngestStreams(this IServiceCollection services)
    {
        services.AddOptions<IngestStreamOptions>().BindConfiguration(IngestStreamOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<IngestStreams>();
        services.AddHostedService(provider => provider.GetRequiredService<IngestStreams>());
        services.AddHealthChecks().AddCheck<IngestStreams>("ingest-streams", tags: ["ready"]);
        return services;
    }
}
