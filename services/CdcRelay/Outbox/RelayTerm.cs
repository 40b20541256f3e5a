using Microsoft.Extensions.Options;
using Npgsql;
using RuleEngineNats.CdcRelay.Reconciliation;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>
/// What a relay does while it is the leader. Its parts live as long as the term: whatever fails ends it, and the next one begins
/// with what the table and the slot say.
/// </summary>
internal sealed partial class RelayTerm(
    IServiceProvider services,
    ReplicationSlot slot,
    WalProgress progress,
    InFlightRows inFlight,
    StreamGates gates,
    MarkRows marks,
    ScanPending scan,
    RetryParked retry,
    Reconciler reconciler,
    Wakeups wakeups,
    NpgsqlDataSource dataSource,
    RelayStatus status,
    IOptions<RelayOptions> options,
    TimeProvider time,
    ILogger<RelayTerm> logger)
{
    private static readonly TimeSpan SlotRecheck = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan DrainDeadline = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan RetryIdle = TimeSpan.FromSeconds(1);

    // Rows deleted at once; the pause that follows is so many times as long as that took, up to a limit, since more have to go than come.
    private const int PurgeBatch = 500;
    private const int PurgePause = 9;
    private static readonly TimeSpan LongestPurgePause = TimeSpan.FromMilliseconds(200);

    // Set once it is known whether a slot brings rows. The scan waits for that: what an intact slot is about to bring, in the order of its
    // commits, must not be published beside it.
    private readonly TaskCompletionSource _slotSought = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private volatile ReadOutbox? _reader;

    /// <summary>Ends by an exception, or by the token after what is in flight is marked.</summary>
    public async Task RunAsync(RelayLease.Held lease, CancellationToken stopping)
    {
        using var reading = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        using var working = new CancellationTokenSource();
        scan.Begin(lease.LowWaterXid);
        status.Polling("looking for the slot: polling");
        var marking = marks.RunAsync(working.Token);
        Task[] loops =
        [
            lease.KeepAsync(time, working.Token),
            StreamAsync(lease, reading.Token, working.Token),
            ScanAsync(lease, reading.Token),
            RetryAsync(reading.Token, working.Token),
            MaintainAsync(reading.Token),
            reconciler.RunAsync(reading.Token),
            MeasureAsync(reading.Token),
        ];
        var first = await Task.WhenAny([marking, .. loops]);
        await reading.CancelAsync();
        if (stopping.IsCancellationRequested && !marking.IsCompleted)
        {
            await DrainAsync(marking);
        }

        await working.CancelAsync();
        await Task.WhenAll([marking, .. loops]).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await first;
    }

    private async Task DrainAsync(Task marking)
    {
        try
        {
            using var deadline = new CancellationTokenSource(DrainDeadline, time);
            await inFlight.EmptyAsync(deadline.Token);
            marks.Complete();
            await marking.WaitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            NotDrained(inFlight.Snapshot().PublishIds.Length);
        }
    }

    private async Task StreamAsync(RelayLease.Held lease, CancellationToken reading, CancellationToken working)
    {
        while (true)
        {
            var found = await slot.FindAsync(lease.HadSlot, reading);
            if (found is SlotOutcome.Missing missing)
            {
                _slotSought.TrySetResult();
                found = await slot.CreateAsync(missing, reading);
            }

            switch (found)
            {
                case SlotOutcome.Unsupported unsupported:
                    _slotSought.TrySetResult();
                    status.Polling(unsupported.Reason);
                    NotStreaming(unsupported.Reason);
                    await Task.Delay(SlotRecheck, time, reading);
                    break;
                case SlotOutcome.Ready ready:
                    await using (var reader = services.GetRequiredService<ReadOutbox>())
                    {
                        _reader = reader;
                        _slotSought.TrySetResult();
                        var streaming = reader.RunAsync(ready.Slot, reading, working);
                        status.Streaming(ready.Slot);
                        Streaming(ready.Slot);
                        // Rows from before the slot, and rows that the last leader left pending.
                        wakeups.Scan.Set();
                        await streaming;
                    }

                    break;
            }
        }
    }

    private async Task ScanAsync(RelayLease.Held lease, CancellationToken cancellationToken)
    {
        await _slotSought.Task.WaitAsync(cancellationToken);
        while (true)
        {
            var started = time.GetTimestamp();
            var reader = _reader;
            var parked = await scan.RunAsync(reader, lease.Token, progress.Confirmed, time, cancellationToken);
            if (parked > 0)
            {
                wakeups.Retry.Set();
            }

            if (reader is not null)
            {
                status.ScannedThrough();
            }

            // While an old transaction is open each scan begins with it: never spend more than a fraction of the time on that.
            await Task.Delay(Longer(time.GetElapsedTime(started) * 5, options.Value.RetryMinimum), time, cancellationToken);
            var pause = reader is not null ? options.Value.ScanInterval : parked > 0 ? options.Value.PollBusy : options.Value.PollIdle;
            await wakeups.Scan.WaitAsync(Longer(pause - time.GetElapsedTime(started), TimeSpan.Zero), cancellationToken);
        }
    }

    private static TimeSpan Longer(TimeSpan one, TimeSpan other) => one > other ? one : other;

    private async Task RetryAsync(CancellationToken reading, CancellationToken working)
    {
        while (true)
        {
            var (parked, sent) = await retry.RunAsync(reading, working);
            if (sent == 0)
            {
                await wakeups.Retry.WaitAsync(parked > 0 ? options.Value.RetryMinimum : RetryIdle, reading);
            }
        }
    }

    private async Task MaintainAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var started = time.GetTimestamp();
            try
            {
                await using var command = dataSource.CreateCommand("SELECT rule_nats_history_maintain()");
                var report = (string)(await command.ExecuteScalarAsync(cancellationToken))!;
                Maintained(report);
                await PurgeAsync(started, cancellationToken);
            }
            catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.QueryCanceled)
            {
                // Somebody has the table locked; there are partitions ahead for many more calls.
                NotMaintained(e);
            }

            await Task.Delay(Longer(options.Value.MaintainInterval - time.GetElapsedTime(started), TimeSpan.Zero), time, cancellationToken);
        }
    }

    // Short transactions, and pauses between them: whoever publishes meanwhile is not to notice, and vacuum may follow. A backlog is left to the next
    // turn when this one is over: partitions have to be made in time.
    private async Task PurgeAsync(long started, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand("SELECT p::text, (p ->> 'more')::boolean FROM rule_webhook_purge_expired($1) AS p");
        command.Parameters.Add(new() { Value = PurgeBatch });
        while (time.GetElapsedTime(started) < options.Value.MaintainInterval)
        {
            var began = time.GetTimestamp();
            await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
            {
                await reader.ReadAsync(cancellationToken);
                var report = reader.GetString(0);
                Purged(report);
                if (!reader.GetBoolean(1))
                {
                    return;
                }
            }

            var pause = time.GetElapsedTime(began) * PurgePause;
            await Task.Delay(pause < LongestPurgePause ? pause : LongestPurgePause, time, cancellationToken);
        }
    }

    private async Task MeasureAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await using var command = dataSource.CreateCommand("""
                SELECT coalesce((SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), confirmed_flush_lsn)::bigint FROM pg_replication_slots WHERE slot_name = $1), 0),
                       (SELECT count(*) FROM (SELECT FROM rule_nats_relay_parked LIMIT 100000) AS counted)
                """);
            command.Parameters.Add(new() { Value = options.Value.SlotName });
            await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
            {
                await reader.ReadAsync(cancellationToken);
                status.Measured(reader.GetInt64(0), reader.GetInt64(1), gates.Unavailable);
            }

            await Task.Delay(TimeSpan.FromSeconds(5), time, cancellationToken);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "streaming from slot {Slot}")]
    private partial void Streaming(string slot);

    [LoggerMessage(Level = LogLevel.Warning, Message = "not streaming: {Reason}")]
    private partial void NotStreaming(string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Rows} rows are still in flight at the end; the next leader finds them pending")]
    private partial void NotDrained(int rows);

    [LoggerMessage(Level = LogLevel.Debug, Message = "history maintained: {Report}")]
    private partial void Maintained(string report);

    [LoggerMessage(Level = LogLevel.Debug, Message = "purged: {Report}")]
    private partial void Purged(string report);

    [LoggerMessage(Level = LogLevel.Warning, Message = "history not maintained this time")]
    private partial void NotMaintained(Exception exception);
}
