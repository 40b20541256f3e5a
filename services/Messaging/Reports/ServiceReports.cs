using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;

namespace RuleEngineNats.Messaging;

/// <summary>
/// Tells PostgreSQL what this service sees of NATS, so that SQL can: at once when a connection is opened or lost or a configuration taken up, else every
/// few seconds. One statement of a few rows, into a table that is not logged.
/// </summary>
internal sealed partial class ServiceReports(
    NatsConnections connections, ConfigWatcher watcher, NpgsqlDataSource dataSource, IHostEnvironment environment, TimeProvider time,
    ILogger<ServiceReports> logger) : BackgroundService
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(5);

    // What happens to all connections of a pool together is one report.
    private static readonly TimeSpan Linger = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LastWord = TimeSpan.FromSeconds(2);

    private readonly SemaphoreSlim _changed = new(0, 1);
    private readonly string _instance = string.Create(CultureInfo.InvariantCulture, $"{Environment.MachineName}/{Environment.ProcessId}");
    private bool _failing;

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);

        // The rows of a service that has ended would expire; saying so is quicker.
        using var patience = new CancellationTokenSource(LastWord, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        await TryWriteAsync([], either.Token);
    }

    public override void Dispose()
    {
        _changed.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        connections.StateChanged += OnChanged;
        try
        {
            await watcher.WaitForFirstAsync(stoppingToken);
            while (true)
            {
                await TryWriteAsync(Describe(), stoppingToken);
                await _changed.WaitAsync(Every, stoppingToken);
                await Task.Delay(Linger, time, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The service stops.
        }
        finally
        {
            connections.StateChanged -= OnChanged;
        }
    }

    private void OnChanged()
    {
        lock (_changed)
        {
            if (_changed.CurrentCount == 0)
            {
                _changed.Release();
            }
        }
    }

    private JsonArray Describe() => [.. connections.Enabled.Select(JsonNode (pool) => Describe(pool.Key, pool.Value))];

    private static JsonObject Describe(string config, NatsConnectionPool pool)
    {
        var statistics = pool.GetStatistics();
        var server = pool.Server;
        return new JsonObject
        {
            ["config_name"] = config,
            ["connected"] = statistics.Healthy > 0,
            ["nats_url"] = pool.Settings?.ToString(),
            ["server_id"] = server?.Id,
            ["server_name"] = server?.Name,
            ["server_version"] = server?.Version,
            ["total_connections"] = statistics.Connections.Count,
            ["healthy_connections"] = statistics.Healthy,
            ["requests_served"] = statistics.RequestsServed,
            ["config_updated_at"] = pool.ConfigUpdatedAt?.ToString("O", CultureInfo.InvariantCulture),
            ["loaded_at"] = pool.OpenedAt.ToString("O", CultureInfo.InvariantCulture),
            ["error"] = statistics.Healthy == statistics.Connections.Count ? null : pool.Error,
        };
    }

    private async Task TryWriteAsync(JsonArray reports, CancellationToken cancellationToken)
    {
        try
        {
            await using var command = dataSource.CreateCommand("SELECT rule_nats_service_report($1, $2, $3)");
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = environment.ApplicationName });
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = _instance });
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = reports.ToJsonString(), NpgsqlDbType = NpgsqlDbType.Jsonb });
            await command.ExecuteNonQueryAsync(cancellationToken);
            _failing = false;
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            // Once, not every five seconds: the outage has louder signs.
            if (!_failing)
            {
                LogFailed(exception.Message);
            }

            _failing = true;
        }
        catch (OperationCanceledException)
        {
            // The service stops and PostgreSQL does not answer.
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The report of this service's NATS connections could not be written: {Reason}")]
    private partial void LogFailed(string reason);
}
