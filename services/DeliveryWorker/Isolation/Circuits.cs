using System.Collections.Concurrent;
using System.Collections.Frozen;
using Npgsql;

namespace RuleEngineNats.DeliveryWorker.Isolation;

/// <summary>
/// Which circuits are open, over all workers. PostgreSQL has the truth: it decides when attempts are recorded, and is asked every second for what the other
/// workers saw.
/// </summary>
internal sealed partial class Circuits(NpgsqlDataSource database, TimeProvider time, ILogger<Circuits> logger) : BackgroundService
{
    private const string Sql = "SELECT webhook_id, circuit = 'open' FROM rule_webhook_health WHERE circuit = 'open' OR consecutive_failures > 0";

    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan BacklogsEvery = TimeSpan.FromSeconds(15);

    // Recorded since the last look began, which may not have seen it.
    private readonly ConcurrentDictionary<int, (bool Troubled, bool Open, long Look)> _recorded = new();
    private FrozenDictionary<int, bool> _looked = FrozenDictionary<int, bool>.Empty;
    private long _look;

    /// <summary>How many are open.</summary>
    public int OpenCount => _looked.Values.Count(open => open);

    public bool IsOpen(int webhookId) => _recorded.TryGetValue(webhookId, out var recorded) ? recorded.Open : _looked.GetValueOrDefault(webhookId);

    /// <summary>Whether its last attempt failed, so that a success is news.</summary>
    public bool IsTroubled(int webhookId) => _recorded.TryGetValue(webhookId, out var recorded) ? recorded.Troubled : _looked.ContainsKey(webhookId);

    /// <summary>The state after an attempt was recorded.</summary>
    public void Record(int webhookId, bool open, long consecutiveFailures)
    {
        if (open != IsOpen(webhookId))
        {
            LogCircuit(webhookId, open ? "opened" : "closed", consecutiveFailures);
        }

        _recorded[webhookId] = (open || consecutiveFailures > 0, open, Volatile.Read(ref _look));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        DeliveryMetrics.ObserveCircuits(() => OpenCount);
        using var timer = new PeriodicTimer(Every, time);
        var counted = time.GetTimestamp();
        do
        {
            try
            {
                await LookAsync(stoppingToken);
                if (time.GetElapsedTime(counted) >= BacklogsEvery)
                {
                    counted = time.GetTimestamp();
                    await using var command = database.CreateCommand("SELECT rule_webhook_check_backlogs()");
                    await command.ExecuteNonQueryAsync(stoppingToken);
                }
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException or IOException)
            {
                LogNotLooked(e.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task LookAsync(CancellationToken cancellationToken)
    {
        var look = Interlocked.Increment(ref _look);
        var states = new Dictionary<int, bool>();
        await using var command = database.CreateCommand(Sql);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            states[reader.GetInt32(0)] = reader.GetBoolean(1);
        }

        _looked = states.ToFrozenDictionary();
        foreach (var recorded in _recorded.Where(entry => entry.Value.Look < look))
        {
            _recorded.TryRemove(recorded);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "the circuit of webhook {WebhookId} {Change}: {Failures} failures in a row")]
    private partial void LogCircuit(int webhookId, string change, long failures);

    [LoggerMessage(Level = LogLevel.Warning, Message = "the circuits of other workers are not known: {Reason}")]
    private partial void LogNotLooked(string reason);
}
