using Microsoft.Extensions.Options;
using Npgsql;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>Sees to it that the relay's slot exists, belongs to this database and is nobody else's at the moment.</summary>
internal sealed partial class ReplicationSlot(
    NpgsqlDataSource dataSource, RelayStatus status, IOptions<RelayOptions> options, TimeProvider time, ILogger<ReplicationSlot> logger)
{
    private static readonly TimeSpan TakeOverDeadline = TimeSpan.FromSeconds(30);

    private string Name => options.Value.SlotName;

    /// <summary>Looks for the slot, and takes it from whoever reads it without the lease.</summary>
    /// <param name="hadSlot">A relay has streamed before: a missing slot was lost, and rows with it.</param>
    public async Task<SlotOutcome> FindAsync(bool hadSlot, CancellationToken cancellationToken)
    {
        var found = await LookAsync(cancellationToken);
        if (found.WalLevel != "logical")
        {
            return new SlotOutcome.Unsupported($"wal_level is {found.WalLevel}: polling");
        }

        if (found is { Exists: true, Ours: false })
        {
            return new SlotOutcome.Unsupported($"slot {Name} belongs to another database or plugin (set Relay:SlotName): polling");
        }

        if (found is { Exists: true, Lost: false })
        {
            try
            {
                await FreeAsync(cancellationToken);
                return new SlotOutcome.Ready(Name);
            }
            catch (PostgresException e) when (IsRefusal(e))
            {
                return Refused(e);
            }
        }

        if (found.Exists || hadSlot)
        {
            var reason = found.Exists ? $"slot {Name} lost its WAL" : $"slot {Name} is gone";
            status.SlotLost($"{reason}: scanning for the rows it did not bring");
            SlotWasLost(Name, found.Exists ? "the server removed WAL it needed (max_slot_wal_keep_size)" : "it was dropped");
        }

        return new SlotOutcome.Missing(found.Exists);
    }

    /// <summary>Creating a slot waits for every transaction that is running to end, so this may take as long as the longest of them.</summary>
    public async Task<SlotOutcome> CreateAsync(SlotOutcome.Missing missing, CancellationToken cancellationToken)
    {
        try
        {
            await CreateAsync(drop: missing.WalLost, cancellationToken);
            SlotCreated(Name);
            return new SlotOutcome.Ready(Name);
        }
        catch (PostgresException e) when (IsRefusal(e))
        {
            return Refused(e);
        }
    }

    private static bool IsRefusal(PostgresException e) => e.SqlState is PostgresErrorCodes.InsufficientPrivilege
        or PostgresErrorCodes.ConfigurationLimitExceeded or PostgresErrorCodes.ObjectNotInPrerequisiteState;

    private SlotOutcome.Unsupported Refused(PostgresException e) => new($"no slot {Name} ({e.MessageText}): polling");

    private async Task<Found> LookAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand("""
            SELECT current_setting('wal_level'), s.slot_name IS NOT NULL,
                   coalesce(s.database = current_database() AND s.plugin = 'pgoutput', false), coalesce(s.wal_status = 'lost', false), s.active_pid
              FROM (VALUES (1)) AS one LEFT JOIN pg_replication_slots s ON s.slot_name = $1
            """);
        command.Parameters.Add(new() { Value = Name });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return new(reader.GetString(0), reader.GetBoolean(1), reader.GetBoolean(2), reader.GetBoolean(3), reader.IsDBNull(4) ? null : reader.GetInt32(4));
    }

    // Whoever reads the slot does so without the lease: a leader that is stopped, or one the network has cut off.
    private async Task FreeAsync(CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (await LookAsync(cancellationToken) is { ActivePid: { } pid })
        {
            if (time.GetElapsedTime(started) > TakeOverDeadline)
            {
                throw new InvalidOperationException($"slot {Name} is still in use by process {pid} of the server");
            }

            TakingOver(Name, pid);
            await using var command = dataSource.CreateCommand("SELECT pg_terminate_backend($1)");
            command.Parameters.Add(new() { Value = pid });
            await command.ExecuteNonQueryAsync(cancellationToken);
            await Task.Delay(TimeSpan.FromMilliseconds(100), time, cancellationToken);
        }
    }

    private async Task CreateAsync(bool drop, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        if (drop)
        {
            await using var dropping = new NpgsqlCommand("SELECT pg_drop_replication_slot($1)", connection) { Parameters = { new() { Value = Name } } };
            await dropping.ExecuteNonQueryAsync(cancellationToken);
        }

        await using var creating = new NpgsqlCommand("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", connection)
        {
            CommandTimeout = 0,
            Parameters = { new() { Value = Name } },
        };
        await creating.ExecuteNonQueryAsync(cancellationToken);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "slot {Slot} was lost: {Reason}. It is created again; the scan finds the rows it did not bring")]
    private partial void SlotWasLost(string slot, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "slot {Slot} created")]
    private partial void SlotCreated(string slot);

    [LoggerMessage(Level = LogLevel.Warning, Message = "slot {Slot} is in use by server process {Pid}, which does not hold the lease: ending it")]
    private partial void TakingOver(string slot, int pid);

    private sealed record Found(string WalLevel, bool Exists, bool Ours, bool Lost, int? ActivePid);
}

/// <summary>Whether the WAL can be read.</summary>
internal abstract record SlotOutcome
{
    /// <summary>The slot is there and free.</summary>
    internal sealed record Ready(string Slot) : SlotOutcome;

    /// <summary>It has yet to be created, again where the server removed WAL that it needed.</summary>
    internal sealed record Missing(bool WalLost) : SlotOutcome;

    /// <summary>It cannot be had on this server as it is set up; the reason ends with what happens instead.</summary>
    internal sealed record Unsupported(string Reason) : SlotOutcome;
}
