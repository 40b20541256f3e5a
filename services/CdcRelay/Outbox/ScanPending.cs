using Npgsql;
using NpgsqlTypes;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>
/// Finds the pending rows that no other path will bring: those before the slot existed, those a lost slot did not bring, those
/// left alone while their stream was unavailable, and all of them where the WAL cannot be read. It parks them in
/// <c>rule_nats_relay_parked</c>, from where <see cref="RetryParked"/> publishes them.
/// </summary>
/// <remarks>
/// 1. take a snapshot and, with it, the position of the WAL;
/// 2. wait until the slot has brought everything up to that position: what the snapshot sees has then been through
///    <see cref="PublishOutboxRow"/>, and is either in flight or settled (without a slot there is nothing to wait for);
/// 3. note what is in flight;
/// 4. park the rows that the snapshot sees, that are pending now, and that are not in flight;
/// 5. move the low-water mark (<see cref="LowWaterMark"/> says how far and why that loses nothing).
/// Each scan looks at the rows since the last one through the index on enqueued_xid, so its cost does not grow with the history.
/// </remarks>
internal sealed partial class ScanPending(NpgsqlDataSource dataSource, InFlightRows inFlight, ILogger<ScanPending> logger)
{
    private const int Page = 20_000;

    private ulong _lowWaterXid;

    public void Begin(ulong lowWaterXid) => _lowWaterXid = lowWaterXid;

    /// <param name="reader">The reader of the slot; null while there is none.</param>
    /// <returns>How many rows were parked.</returns>
    public async Task<int> RunAsync(ReadOutbox? reader, long leaseToken, ulong confirmedLsn, TimeProvider time, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        var (snapshot, xmin, lsn) = await SnapshotAsync(connection, cancellationToken);
        while (reader is not null && reader.Received < lsn)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(20), time, cancellationToken);
        }

        var (held, xids) = inFlight.Snapshot();
        var parked = 0;
        for (var page = Page; page == Page; parked += page)
        {
            page = await ParkAsync(connection, snapshot, held, cancellationToken);
        }

        _lowWaterXid = LowWaterMark.After(_lowWaterXid, xmin, xids);
        await SaveAsync(connection, leaseToken, confirmedLsn, cancellationToken);
        if (parked > 0)
        {
            Parked(parked);
        }

        return parked;
    }

    private static async Task<(string Snapshot, ulong Xmin, ulong Lsn)> SnapshotAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("""
            SELECT s::text, pg_snapshot_xmin(s), pg_current_wal_insert_lsn() FROM pg_current_snapshot() AS s
            """, connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return (reader.GetString(0), reader.GetFieldValue<ulong>(1), (ulong)reader.GetFieldValue<NpgsqlLogSequenceNumber>(2));
    }

    private static async Task<int> ParkAsync(NpgsqlConnection connection, string snapshot, long[] held, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT rule_nats_scan_pending($1::pg_snapshot, $2, $3)", connection)
        {
            CommandTimeout = 0,
            Parameters =
            {
                new() { Value = snapshot, NpgsqlDbType = NpgsqlDbType.Text },
                new() { Value = held },
                new() { Value = Page },
            },
        };
        return (int)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    // With the lease token: a leader that was stopped in here and comes back late must not move what is another's now.
    private async Task SaveAsync(NpgsqlConnection connection, long leaseToken, ulong confirmedLsn, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("""
            UPDATE rule_nats_relay_state
               SET low_water_xid = $1, confirmed_lsn = coalesce(nullif($2, '0/0'::pg_lsn), confirmed_lsn), last_scan_at = now(), updated_at = now()
             WHERE relay_name = 'default' AND lease_token = $3
            """, connection)
        {
            Parameters =
            {
                new() { Value = _lowWaterXid, NpgsqlDbType = NpgsqlDbType.Xid8 },
                new() { Value = new NpgsqlLogSequenceNumber(confirmedLsn), NpgsqlDbType = NpgsqlDbType.PgLsn },
                new() { Value = leaseToken },
            },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Rows} pending rows found for another try")]
    private partial void Parked(int rows);
}
