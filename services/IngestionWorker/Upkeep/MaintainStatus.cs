using Microsoft.Extensions.Options;
using Npgsql;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.IngestionWorker.Upkeep;

/// <summary>Has old statuses deleted every hour, in portions; the function lets one worker at a time do it.</summary>
internal sealed partial class MaintainStatus(
    NpgsqlDataSource database, IngestionWorkerOptions options, IOptions<IngestStreamOptions> streams, TimeProvider time, ILogger<MaintainStatus> logger) : BackgroundService
{
    private const int Portion = 5000;

    private static readonly TimeSpan Every = TimeSpan.FromHours(1);
    private static readonly TimeSpan AfterStart = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan BetweenPortions = TimeSpan.FromMilliseconds(200);

    /// <summary>A status outlives its message: without it a document that comes once more would be stored once more.</summary>
    public static TimeSpan KeepFor(TimeSpan retention, IngestStreamOptions streams)
        => retention > streams.MaxAge + streams.DeadLetterMaxAge ? retention : streams.MaxAge + streams.DeadLetterMaxAge;

    public static async Task<int> RunAsync(NpgsqlDataSource database, TimeSpan keep, TimeProvider time, CancellationToken cancellationToken)
    {
        for (var deleted = 0; ;)
        {
            await using var command = database.CreateCommand("SELECT rule_ingest_maintain($1, $2)");
            command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = keep });
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = Portion });
            var portion = (int)(await command.ExecuteScalarAsync(cancellationToken))!;
            deleted += portion;
            if (portion < Portion)
            {
                return deleted;
            }

            await Task.Delay(BetweenPortions, time, cancellationToken);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await Task.Delay(AfterStart, time, stoppingToken);
            while (true)
            {
                try
                {
                    var deleted = await RunAsync(database, KeepFor(options.StatusRetention, streams.Value), time, stoppingToken);
                    LogDeleted(deleted);
                }
                catch (Exception e) when (e is NpgsqlException or TimeoutException)
                {
                    LogNotDeleted(e.Message);
                }

                await Task.Delay(Every, time, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The service stops.
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Rows} old statuses deleted")]
    private partial void LogDeleted(int rows);

    [LoggerMessage(Level = LogLevel.Warning, Message = "old statuses could not be deleted: {Reason}")]
    private partial void LogNotDeleted(string reason);
}
