using Microsoft.Extensions.Options;
using Npgsql;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>
/// One relay of a database works, the others stand by. The advisory lock decides; the lease in <c>rule_nats_relay_state</c> shows who
/// it is, and its token keeps a leader that was stopped for long from moving the low-water mark when it comes back. Two relays at
/// once would be harmless all the same: both publish with the same message ids.
/// </summary>
internal sealed partial class RelayLease(
    RelayConnections connections, RelayStatus status, IOptions<RelayOptions> options, TimeProvider time, ILogger<RelayLease> logger)
{
    private readonly string _name = $"{Environment.MachineName}:{Environment.ProcessId}";

    /// <summary>Waits until this process is the leader.</summary>
    public async Task<Held> AcquireAsync(CancellationToken cancellationToken)
    {
        var connection = await connections.OpenLeaseAsync(cancellationToken);
        try
        {
            var told = false;
            while (!await TryLockAsync(connection, cancellationToken))
            {
                var leader = await LeaderAsync(connection, cancellationToken);
                status.Standby(leader);
                if (!told)
                {
                    StandingBy(leader);
                    told = true;
                }

                await Task.Delay(options.Value.StandbyPoll, time, cancellationToken);
            }

            var held = await RegisterAsync(connection, cancellationToken);
            Leading(_name, held.Token);
            return held;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    private async Task<bool> TryLockAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT pg_try_advisory_lock(hashtextextended('rule_nats_relay ' || $1, 0))", connection)
        {
            Parameters = { new() { Value = options.Value.SlotName } },
        };
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    private static async Task<string> LeaderAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT leased_by FROM rule_nats_relay_state WHERE relay_name = 'default'", connection);
        return await command.ExecuteScalarAsync(cancellationToken) as string ?? "another relay";
    }

    private async Task<Held> RegisterAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("""
            UPDATE rule_nats_relay_state
               SET leased_by = $1, lease_token = lease_token + 1, lease_until = now() + $2, updated_at = now()
             WHERE relay_name = 'default'
            RETURNING lease_token, low_water_xid, confirmed_lsn IS NOT NULL
            """, connection)
        {
            Parameters = { new() { Value = _name }, new() { Value = options.Value.Lease } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
        {
            throw new InvalidOperationException("rule_nats_relay_state has no row 'default': the migrations insert it");
        }

        return new(connection, options.Value.Lease, reader.GetInt64(0), reader.GetFieldValue<ulong>(1), reader.GetBoolean(2));
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "standing by: {Leader} is the leader")]
    private partial void StandingBy(string leader);

    [LoggerMessage(Level = LogLevel.Information, Message = "leading as {Name} with lease token {Token}")]
    private partial void Leading(string name, long token);

    /// <summary>The lease while this process has it.</summary>
    /// <param name="LowWaterXid">From which transaction on the last leader had yet to look.</param>
    /// <param name="HadSlot">A relay of this database has streamed before: if the slot is missing now, it was lost.</param>
    internal sealed record Held(NpgsqlConnection Connection, TimeSpan Lease, long Token, ulong LowWaterXid, bool HadSlot) : IAsyncDisposable
    {
        /// <summary>Ends only by losing the lease, as an exception, or by the token.</summary>
        public async Task KeepAsync(TimeProvider time, CancellationToken cancellationToken)
        {
            while (true)
            {
                await Task.Delay(Lease / 5, time, cancellationToken);
                await using var command = new NpgsqlCommand("""
                    UPDATE rule_nats_relay_state SET lease_until = now() + $1 WHERE relay_name = 'default' AND lease_token = $2
                    """, Connection)
                {
                    Parameters = { new() { Value = Lease }, new() { Value = Token } },
                };
                if (await command.ExecuteNonQueryAsync(cancellationToken) == 0)
                {
                    throw new InvalidOperationException($"the lease with token {Token} is another relay's now");
                }
            }
        }

        public ValueTask DisposeAsync() => Connection.DisposeAsync();
    }
}
