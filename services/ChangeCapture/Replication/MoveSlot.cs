using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.ChangeCapture.Guard;
using RuleEngineNats.ChangeCapture.Snapshots;

namespace RuleEngineNats.ChangeCapture.Replication;

/// <summary>
/// Makes the slot, replaces it, moves it past its backlog: wherever the WAL that it brings does not begin where the outputs ended. A note in the WAL says so,
/// and becomes an event for those who had something before, however the process ends meanwhile.
/// </summary>
internal sealed partial class MoveSlot(CaptureOptions options, TimeProvider time, ILogger<MoveSlot> logger)
{
    private const int FirstMajorWithFailover = 17;
    private static readonly TimeSpan ReleaseDeadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ReleasePoll = TimeSpan.FromMilliseconds(50);

    /// <returns>Whether it was made here.</returns>
    public async Task<bool> CreateAsync(NpgsqlConnection connection, NpgsqlLogSequenceNumber? from, string reason, CancellationToken cancellationToken)
    {
        var standby = await IsStandbyAsync(connection, cancellationToken);

        // A failover slot is kept on standbys that ask for it, so that a promoted one goes on where this server stopped.
        var failover = connection.PostgreSqlVersion.Major >= FirstMajorWithFailover && !standby ? ", false, false, true" : "";
        Creating(options.Slot);

        // One statement: with the slot there are the note and the request, where one is made. A standby has no WAL of its own to write them into.
        await using var command = new NpgsqlCommand(
            $"""
            SELECT CASE WHEN $2 THEN pg_logical_emit_message(true, $3, json_build_object('slot', $1::text, 'from', $4::text, 'to', s.lsn, 'reason', $5::text)::text) END,
                   CASE WHEN $2 THEN pg_logical_emit_message(true, $6, $7::text) END
              FROM pg_create_logical_replication_slot($1, 'pgoutput'{failover}) AS s
            """,
            connection)
        {
            // It waits for every transaction that is running.
            CommandTimeout = 0,
            Parameters =
            {
                new() { Value = options.Slot },
                new() { Value = !standby },
                new() { Value = SlotNotes.Gap },
                new() { Value = (object?)from?.ToString() ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text },
                new() { Value = reason },
                new() { Value = SnapshotMessage.Prefix },
                new() { Value = options.Snapshot is SnapshotMode.Never && !options.RecoverSlot ? DBNull.Value : SnapshotMessage.InitialRequest(options).ToJson(), NpgsqlDbType = NpgsqlDbType.Text },
            },
        };
        try
        {
            await command.ExecuteNonQueryAsync(cancellationToken);
            return true;
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.DuplicateObject)
        {
            // Somebody else asked for it at the same moment.
            return false;
        }
    }

    /// <summary>In the place of one that has lost its WAL.</summary>
    public async Task<bool> ReplaceAsync(NpgsqlConnection connection, NpgsqlLogSequenceNumber? from, CancellationToken cancellationToken)
    {
        Replacing(options.Slot, from);
        await using (var command = new NpgsqlCommand("SELECT pg_drop_replication_slot($1)", connection) { Parameters = { new() { Value = options.Slot } } })
        {
            await ReleasedAsync(command, cancellationToken);
        }

        return await CreateAsync(connection, from, "the slot had lost its WAL and was replaced", cancellationToken);
    }

    /// <summary>To the end of the WAL. The session must have ended.</summary>
    /// <returns>Where that is.</returns>
    public async Task<NpgsqlLogSequenceNumber> PassBacklogAsync(NpgsqlConnection connection, long behindBytes, CancellationToken cancellationToken)
    {
        // The note first: what is killed in between finds it behind the backlog, and nothing is missing.
        await using var note = new NpgsqlCommand(
            """
            SELECT s.now, pg_logical_emit_message(true, $2, json_build_object('slot', $1::text, 'from', s.confirmed_flush_lsn, 'to', s.now, 'reason', $3::text)::text),
                   pg_logical_emit_message(true, $4, $5::text)
              FROM (SELECT confirmed_flush_lsn, pg_current_wal_lsn() AS now FROM pg_replication_slots WHERE slot_name = $1) AS s
            """,
            connection)
        {
            Parameters = { new() { Value = options.Slot }, new() { Value = SlotNotes.Gap }, new() { Value = $"WalPolicy drop: the outputs were {behindBytes} bytes behind" }, new() { Value = SnapshotMessage.Prefix }, new() { Value = (SnapshotMessage.InitialRequest(options) with { Initial = false }).ToJson() } },
        };
        var end = (NpgsqlLogSequenceNumber)(await note.ExecuteScalarAsync(cancellationToken))!;
        Passing(options.Slot, behindBytes, end);
        await using var advance = new NpgsqlCommand("SELECT pg_replication_slot_advance($1, $2)", connection)
        {
            CommandTimeout = 0,
            Parameters = { new() { Value = options.Slot }, new() { Value = end, NpgsqlDbType = NpgsqlDbType.PgLsn } },
        };
        await ReleasedAsync(advance, cancellationToken);
        return end;
    }

    public static async Task NoteAsync(NpgsqlConnection connection, string prefix, string note, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT pg_logical_emit_message(true, $1, $2::text) WHERE NOT pg_is_in_recovery()", connection)
        {
            Parameters = { new() { Value = prefix }, new() { Value = note } },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    // The server's process for a session that has ended may hold the slot for a moment longer.
    private async Task ReleasedAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        for (var started = time.GetTimestamp(); ; await Task.Delay(ReleasePoll, time, cancellationToken))
        {
            try
            {
                await command.ExecuteNonQueryAsync(cancellationToken);
                return;
            }
            catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.ObjectInUse && time.GetElapsedTime(started) < ReleaseDeadline)
            {
                // Once more.
            }
        }
    }

    private static async Task<bool> IsStandbyAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT pg_is_in_recovery()", connection);
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "creating slot {Slot}; this waits for the transactions that are running")]
    private partial void Creating(string slot);

    [LoggerMessage(Level = LogLevel.Error, Message = "slot {Slot} has lost its WAL: what changed after {From} is missing and comes no more; a new slot takes its place, and a Gap event says so")]
    private partial void Replacing(string slot, NpgsqlLogSequenceNumber? from);

    [LoggerMessage(Level = LogLevel.Error, Message = "slot {Slot} was {Behind} bytes behind: everything up to {End} is left out (WalPolicy drop), and a Gap event says so")]
    private partial void Passing(string slot, long behind, NpgsqlLogSequenceNumber end);
}
