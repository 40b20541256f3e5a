using System.Globalization;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;

namespace RuleEngineNats.Consumers;

/// <summary>
/// Keeps this process's rows of <c>rule_nats_consumer_stats</c>, one for each stream: written when something changed, at most every 5 s, and every 30 s
/// besides, so that <c>last_active_at</c> tells an idle worker from a dead one. At a stop, and when a stream is no longer taken from, the row says so.
/// </summary>
internal sealed partial class ConsumerStats(ICountedPumps pumps, NpgsqlDataSource database, TimeProvider time, ILogger<ConsumerStats> logger) : BackgroundService
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan SignOfLife = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(2);

    private readonly Dictionary<ICountedPump, Report> _reported = [];

    /// <summary>Tells the processes of one consumer apart.</summary>
    private readonly string _name = string.Create(CultureInfo.InvariantCulture, $"{pumps.Consumer}@{Environment.MachineName}:{Environment.ProcessId}");

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(LookEvery, time);
        try
        {
            do
            {
                foreach (var pump in pumps.Pumps.Where(IsDue))
                {
                    await TryWriteAsync(pump, active: true, stoppingToken);
                }

                foreach (var gone in _reported.Keys.Except(pumps.Pumps).ToArray())
                {
                    await TryWriteAsync(gone, active: false, stoppingToken);
                }
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The pumps have ended before: these are their last figures.
            using var limit = new CancellationTokenSource(StopTimeout, time);
            foreach (var pump in _reported.Keys.Union(pumps.Pumps).ToArray())
            {
                await TryWriteAsync(pump, active: false, limit.Token);
            }
        }
    }

    private bool IsDue(ICountedPump pump)
        => !_reported.TryGetValue(pump, out var last) || time.GetElapsedTime(last.At) >= (last.Figures == pump.Count.Figures ? SignOfLife : Every);

    private async Task TryWriteAsync(ICountedPump pump, bool active, CancellationToken cancellationToken)
    {
        try
        {
            var last = _reported.GetValueOrDefault(pump);
            var report = new Report(pump.Count.Figures, time.GetTimestamp(), active ? await PendingAsync(pump, last.Pending, cancellationToken) : last.Pending);
            await WriteAsync(pump.Stream, report, last.Figures, active, cancellationToken);
            if (active)
            {
                _reported[pump] = report;
            }
            else
            {
                _reported.Remove(pump);
            }
        }
        catch (NpgsqlException e)
        {
            LogNotWritten(pump.Stream, e.Message);
        }
        catch (OperationCanceledException e) when (!active)
        {
            LogNotWritten(pump.Stream, e.Message);
        }
    }

    // Without nats-server the row still says that the worker is there.
    private static async Task<long> PendingAsync(ICountedPump pump, long last, CancellationToken cancellationToken)
    {
        try
        {
            return await pump.ReadPendingAsync(cancellationToken);
        }
        catch (NATS.Client.Core.NatsException)
        {
            return last;
        }
    }

    private async Task WriteAsync(string stream, Report report, PumpFigures before, bool active, CancellationToken cancellationToken)
    {
        var processed = report.Figures.Processed - before.Processed;
        object average = processed > 0 ? (decimal)((report.Figures.Processing - before.Processing).TotalMilliseconds / processed) : DBNull.Value;
        await using var command = database.CreateCommand("""
            SELECT rule_nats_consumer_update_stats($1, $2, $3, $4, $5, $6, p_queue_group => $7, p_ack_policy => 'explicit', p_max_deliver => -1,
                                                   p_messages_redelivered => $8, p_active => $9)
            """);
        command.Parameters.Add(new() { Value = stream });
        command.Parameters.Add(new() { Value = _name });
        command.Parameters.Add(new() { Value = report.Figures.Delivered });
        command.Parameters.Add(new() { Value = report.Figures.Acknowledged });
        command.Parameters.Add(new() { Value = report.Pending });
        command.Parameters.Add(new() { Value = average, NpgsqlDbType = NpgsqlDbType.Numeric });
        command.Parameters.Add(new() { Value = pumps.Consumer });
        command.Parameters.Add(new() { Value = report.Figures.Redelivered });
        command.Parameters.Add(new() { Value = active });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "the statistics of stream {Stream} were not written: {Reason}")]
    private partial void LogNotWritten(string stream, string reason);

    private readonly record struct Report(PumpFigures Figures, long At, long Pending);
}
