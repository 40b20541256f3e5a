using Npgsql;
using NpgsqlTypes;

namespace RuleEngineNats.ChangeCapture.Guard;

/// <summary>The slot as the server shows it.</summary>
/// <param name="WalStatus"><c>reserved</c>, <c>extended</c>, <c>unreserved</c> (the next checkpoint may remove WAL that it needs) or <c>lost</c>.</param>
/// <param name="HeldBytes">WAL that the server keeps for it.</param>
/// <param name="BehindBytes">WAL that was written since what is confirmed.</param>
/// <param name="SafeBytes">WAL that may yet be written before the slot is in danger; null where max_slot_wal_keep_size sets no limit, or it is lost.</param>
/// <param name="KeepBytes">max_slot_wal_keep_size; null for no limit.</param>
/// <param name="Confirmed">How far everything is stored.</param>
public sealed record SlotHealth(string WalStatus, long HeldBytes, long BehindBytes, long? SafeBytes, long? KeepBytes, NpgsqlLogSequenceNumber? Confirmed)
{
    /// <summary>The server has removed WAL that the slot needs: changes are missing.</summary>
    public bool IsLost => WalStatus == "lost";

    /// <returns>Null where there is no such slot.</returns>
    internal static async Task<SlotHealth?> ReadAsync(NpgsqlConnection connection, string slot, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            SELECT coalesce(s.wal_status, 'reserved'), coalesce(pg_wal_lsn_diff(now.lsn, s.restart_lsn), 0)::bigint,
                   coalesce(pg_wal_lsn_diff(now.lsn, s.confirmed_flush_lsn), 0)::bigint, s.safe_wal_size,
                   (SELECT nullif(setting, '-1')::bigint * 1048576 FROM pg_settings WHERE name = 'max_slot_wal_keep_size'), s.confirmed_flush_lsn
              FROM pg_replication_slots s,
                   (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END AS lsn) AS now
             WHERE s.slot_name = $1
            """,
            connection)
        {
            Parameters = { new() { Value = slot } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new(
                reader.GetString(0),
                reader.GetInt64(1),
                reader.GetInt64(2),
                await reader.IsDBNullAsync(3, cancellationToken) ? null : reader.GetInt64(3),
                await reader.IsDBNullAsync(4, cancellationToken) ? null : reader.GetInt64(4),
                await reader.IsDBNullAsync(5, cancellationToken) ? null : reader.GetFieldValue<NpgsqlLogSequenceNumber>(5))
            : null;
    }
}
