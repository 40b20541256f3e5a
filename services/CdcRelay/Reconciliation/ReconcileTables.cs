using Npgsql;
using NpgsqlTypes;

namespace RuleEngineNats.CdcRelay.Reconciliation;

/// <summary>How a stream was when it was last verified: a row of <c>rule_nats_reconcile_state</c>.</summary>
internal sealed record VerifiedStream(
    string[] ServerIds, DateTimeOffset Created, ulong LastSequence, ulong Floor, DateTimeOffset FloorAt, DateTimeOffset VerifiedAt);

/// <summary>What <c>rule_nats_reconcile</c> asks for.</summary>
internal sealed record ReconcileRequest(long RunId, string? Stream, TimeSpan? Horizon);

/// <summary>What a run found and did.</summary>
internal readonly record struct RunCounts(long Checked, long Missing, long Republished, long Duplicates, long Unrecoverable, string? Error)
{
    public static RunCounts operator +(RunCounts one, RunCounts other) => new(
        one.Checked + other.Checked, one.Missing + other.Missing, one.Republished + other.Republished, one.Duplicates + other.Duplicates,
        one.Unrecoverable + other.Unrecoverable, one.Error is null ? other.Error : other.Error is null ? one.Error : $"{one.Error}; {other.Error}");
}

/// <summary>The reconciler's rows in the database.</summary>
internal sealed class ReconcileTables(NpgsqlDataSource dataSource)
{
    /// <summary>All that is known; requests that an earlier leader did not finish are open again.</summary>
    public async Task<Dictionary<StreamName, VerifiedStream>> LoadAsync(CancellationToken cancellationToken)
    {
        await ExecuteAsync("UPDATE rule_nats_reconcile_runs SET started_at = NULL WHERE reason = 'requested' AND finished_at IS NULL", cancellationToken);
        await using var command = dataSource.CreateCommand("""
            SELECT config_name, stream_name, server_ids, stream_created, last_sequence, floor_sequence, floor_at, verified_at FROM rule_nats_reconcile_state
            """);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var known = new Dictionary<StreamName, VerifiedStream>();
        while (await reader.ReadAsync(cancellationToken))
        {
            known[new(reader.GetString(0), reader.GetString(1))] = new(
                reader.GetFieldValue<string[]>(2), reader.GetFieldValue<DateTimeOffset>(3), (ulong)reader.GetInt64(4), (ulong)reader.GetInt64(5),
                reader.GetFieldValue<DateTimeOffset>(6), reader.GetFieldValue<DateTimeOffset>(7));
        }

        return known;
    }

    /// <summary>The database's clock, which <c>stored_at</c> is by.</summary>
    public async Task<DateTimeOffset> NowAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand("SELECT clock_timestamp()");
        return new((DateTime)(await command.ExecuteScalarAsync(cancellationToken))!);
    }

    public Task MaintainAsync(CancellationToken cancellationToken) => ExecuteAsync("SELECT rule_nats_reconcile_maintain()", cancellationToken);

    public Task SaveAsync(StreamName name, VerifiedStream stream, CancellationToken cancellationToken) => ExecuteAsync(
        """
        INSERT INTO rule_nats_reconcile_state (config_name, stream_name, server_ids, stream_created, last_sequence, floor_sequence, floor_at, verified_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (config_name, stream_name) DO UPDATE
           SET server_ids = EXCLUDED.server_ids, stream_created = EXCLUDED.stream_created, last_sequence = EXCLUDED.last_sequence,
               floor_sequence = EXCLUDED.floor_sequence, floor_at = EXCLUDED.floor_at, verified_at = EXCLUDED.verified_at
        """,
        cancellationToken,
        name.Config, name.Stream, stream.ServerIds, stream.Created, (long)stream.LastSequence, (long)stream.Floor, stream.FloorAt, stream.VerifiedAt);

    public Task RestartConsumerAsync(StreamName name, ulong sequence, CancellationToken cancellationToken)
        => ExecuteAsync("SELECT rule_nats_consumer_restart($1, $2, $3)", cancellationToken, name.Config, name.Stream, (long)sequence);

    /// <summary>Takes the oldest request that nobody has taken.</summary>
    public async Task<ReconcileRequest?> NextRequestAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand("""
            UPDATE rule_nats_reconcile_runs SET started_at = clock_timestamp()
             WHERE run_id = (SELECT min(run_id) FROM rule_nats_reconcile_runs WHERE started_at IS NULL)
            RETURNING run_id, stream_name, extract(epoch FROM horizon)::double precision
            """);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new(reader.GetInt64(0), reader.IsDBNull(1) ? null : reader.GetString(1), reader.IsDBNull(2) ? null : TimeSpan.FromSeconds(reader.GetDouble(2)))
            : null;
    }

    public Task FinishAsync(long runId, in RunCounts run, CancellationToken cancellationToken) => ExecuteAsync(
        """
        UPDATE rule_nats_reconcile_runs
           SET finished_at = clock_timestamp(), checked = $2, missing = $3, republished = $4, duplicates = $5, unrecoverable = $6, error = $7
         WHERE run_id = $1
        """,
        cancellationToken,
        runId, run.Checked, run.Missing, run.Republished, run.Duplicates, run.Unrecoverable, run.Error);

    public Task RecordAsync(StreamName name, string reason, DateTimeOffset started, in RunCounts run, CancellationToken cancellationToken) => ExecuteAsync(
        """
        INSERT INTO rule_nats_reconcile_runs
            (config_name, stream_name, reason, started_at, finished_at, checked, missing, republished, duplicates, unrecoverable, error)
        VALUES ($1, $2, $3, $4, clock_timestamp(), $5, $6, $7, $8, $9, $10)
        """,
        cancellationToken,
        name.Config, name.Stream, reason, started, run.Checked, run.Missing, run.Republished, run.Duplicates, run.Unrecoverable, run.Error);

    private async Task ExecuteAsync(string sql, CancellationToken cancellationToken, params object?[] arguments)
    {
        await using var command = dataSource.CreateCommand(sql);
        foreach (var argument in arguments)
        {
            command.Parameters.Add(argument is null ? new() { Value = DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text } : new() { Value = argument });
        }

        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
