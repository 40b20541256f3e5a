using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.DeliveryWorker.Delivery;

namespace RuleEngineNats.DeliveryWorker.Replays;

/// <summary>What the lease of a replay is worth after a step.</summary>
/// <param name="Held">False when it was cancelled or another worker has it: nothing was done then.</param>
/// <param name="Due">Calls of the replay that are not finished.</param>
internal readonly record struct ReplayStep(bool Held, long Due);

/// <summary>The statements by which workers share <c>rule_webhook_replays</c>. Each names the worker: one that lost its lease changes nothing.</summary>
internal sealed class ReplayRows(NpgsqlDataSource database)
{
    private const string ClaimSql = """
        UPDATE rule_webhook_replays r
           SET state = 'running', leased_by = $1, lease_until = clock_timestamp() + $2, started_at = coalesce(r.started_at, clock_timestamp())
         WHERE r.replay_id = (SELECT o.replay_id FROM rule_webhook_replays o
                               WHERE o.state IN ('requested', 'running') AND (o.state = 'requested' OR o.lease_until < clock_timestamp())
                               ORDER BY o.replay_id LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING r.replay_id, r.webhook_id, r.config_name, r.streams[r.position], r.from_time, r.to_time, r.from_sequence, r.to_sequence, r.status, r.dry_run,
                  r.rate::float8, r.next_sequence, coalesce(r.end_sequence, 0)
        """;

    private const string RenewSql = """
        UPDATE rule_webhook_replays r SET lease_until = clock_timestamp() + $3 WHERE r.replay_id = $1 AND r.leased_by = $2 AND r.state = 'running'
        RETURNING true, (SELECT count(*) FROM rule_webhook_calls c WHERE c.replay_id = r.replay_id AND c.due_at IS NOT NULL)
        """;

    private const string BeginSql = """
        UPDATE rule_webhook_replays r SET start_sequence = $3, next_sequence = $3, end_sequence = $4
         WHERE r.replay_id = $1 AND r.leased_by = $2 AND r.state = 'running'
        """;

    private const string NextStreamSql = """
        UPDATE rule_webhook_replays r
           SET position = r.position + 1, start_sequence = NULL, next_sequence = NULL, end_sequence = NULL, error = NULL,
               state = CASE WHEN r.position < cardinality(r.streams) THEN 'running' ELSE 'done' END,
               finished_at = CASE WHEN r.position < cardinality(r.streams) THEN NULL ELSE clock_timestamp() END,
               leased_by = CASE WHEN r.position < cardinality(r.streams) THEN r.leased_by END,
               lease_until = CASE WHEN r.position < cardinality(r.streams) THEN r.lease_until END
         WHERE r.replay_id = $1 AND r.leased_by = $2 AND r.state = 'running'
        RETURNING r.streams[r.position]
        """;

    private const string ReleaseSql = """
        UPDATE rule_webhook_replays r SET lease_until = clock_timestamp() + $3, error = left($4, 500)
         WHERE r.replay_id = $1 AND r.leased_by = $2 AND r.state = 'running'
        """;

    private const string FailSql = """
        UPDATE rule_webhook_replays r SET state = 'failed', error = left($3, 500), finished_at = clock_timestamp(), leased_by = NULL, lease_until = NULL
         WHERE r.replay_id = $1 AND r.leased_by = $2 AND r.state = 'running'
        """;

    /// <summary>Takes a replay that nobody has.</summary>
    public async Task<Replay?> ClaimAsync(TimeSpan lease, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(ClaimSql);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = DeliveryWorkerInfo.InstanceId });
        command.Parameters.Add(Interval(lease));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return !await reader.ReadAsync(cancellationToken) ? null : new(reader.GetInt64(0), reader.GetInt32(1), reader.GetString(2), reader.GetString(3))
        {
            FromTime = Nullable<DateTimeOffset>(reader, 4),
            ToTime = Nullable<DateTimeOffset>(reader, 5),
            FromSequence = (ulong?)Nullable<long>(reader, 6),
            ToSequence = (ulong?)Nullable<long>(reader, 7),
            Status = reader.IsDBNull(8) ? null : reader.GetFieldValue<string[]>(8),
            DryRun = reader.GetBoolean(9),
            Rate = Nullable<double>(reader, 10),
            Next = (ulong?)Nullable<long>(reader, 11),
            End = (ulong)reader.GetInt64(12),
        };
    }

    public async Task<ReplayStep> RenewAsync(Replay replay, TimeSpan lease, CancellationToken cancellationToken)
    {
        await using var command = Create(RenewSql, replay, Interval(lease));
        return await ReadStepAsync(command, cancellationToken);
    }

    /// <summary>Writes down where a stream begins and ends, once: what is stored later is delivered as usual.</summary>
    public async Task<Replay> BeginAsync(Replay replay, ulong start, ulong end, CancellationToken cancellationToken)
    {
        await using var command = Create(BeginSql, replay, new NpgsqlParameter<long> { TypedValue = (long)start }, new NpgsqlParameter<long> { TypedValue = (long)end });
        await command.ExecuteNonQueryAsync(cancellationToken);
        return replay with { Next = start, End = end };
    }

    /// <summary>Puts events into the queue and moves the replay on, all or nothing.</summary>
    /// <param name="replay">The replay.</param>
    /// <param name="next">The sequence to go on at.</param>
    /// <param name="scanned">How many events were looked at.</param>
    /// <param name="matched">The events that it is about.</param>
    /// <param name="plain">Whether to leave out what is for people and PostgreSQL would not take; the bytes that are sent are the same.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<ReplayStep> OpenAsync(Replay replay, ulong next, int scanned, IReadOnlyList<OutgoingEvent> matched, bool plain, CancellationToken cancellationToken)
    {
        var events = replay.DryRun ? [] : matched;
        await using var command = Create(
            "SELECT held, coalesce(due, 0) FROM rule_webhook_replay_open($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)", replay,
            new NpgsqlParameter<long> { TypedValue = (long)next },
            new NpgsqlParameter<int> { TypedValue = scanned },
            new NpgsqlParameter<int> { TypedValue = matched.Count },
            Array(NpgsqlDbType.Text, events, outgoing => outgoing.EventId),
            Array(NpgsqlDbType.Text, events, outgoing => outgoing.Subject),
            Array(NpgsqlDbType.Text, events, outgoing => plain ? "null" : CallRows.Payload(outgoing.Body)),
            Array(NpgsqlDbType.Bytea, events, outgoing => outgoing.Body.ToArray()),
            Array(NpgsqlDbType.Text, events, outgoing => plain ? null : CallRows.EventHeadersJson(outgoing)),
            Array(NpgsqlDbType.Text, events, outgoing => plain ? null : outgoing.TraceParent));
        return await ReadStepAsync(command, cancellationToken);
    }

    /// <summary>Goes on to the next stream; null when there is none, and the replay is done, unless it is not held any more.</summary>
    public async Task<(bool Held, Replay? Next)> NextStreamAsync(Replay replay, CancellationToken cancellationToken)
    {
        await using var command = Create(NextStreamSql, replay);
        var stream = await command.ExecuteScalarAsync(cancellationToken);
        return (stream is not null, stream is string name ? replay with { Stream = name, Next = null, End = 0 } : null);
    }

    /// <summary>Gives a replay back, to be gone on with after a pause.</summary>
    public async Task ReleaseAsync(Replay replay, TimeSpan after, string? error, CancellationToken cancellationToken)
    {
        await using var command = Create(ReleaseSql, replay, Interval(after), Text(error));
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    public async Task FailAsync(Replay replay, string error, CancellationToken cancellationToken)
    {
        await using var command = Create(FailSql, replay, Text(error));
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private NpgsqlCommand Create(string sql, Replay replay, params ReadOnlySpan<NpgsqlParameter> further)
    {
        var command = database.CreateCommand(sql);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = replay.Id });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = DeliveryWorkerInfo.InstanceId });
        foreach (var parameter in further)
        {
            command.Parameters.Add(parameter);
        }

        return command;
    }

    private static async Task<ReplayStep> ReadStepAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? new(reader.GetBoolean(0), reader.GetInt64(1)) : new(Held: false, Due: 0);
    }

    private static NpgsqlParameter<T[]> Array<T>(NpgsqlDbType type, IReadOnlyList<OutgoingEvent> events, Func<OutgoingEvent, T> value)
        => new() { TypedValue = [.. events.Select(value)], NpgsqlDbType = NpgsqlDbType.Array | type };

    private static NpgsqlParameter<TimeSpan> Interval(TimeSpan time) => new() { TypedValue = time, NpgsqlDbType = NpgsqlDbType.Interval };

    private static NpgsqlParameter Text(string? text) => new() { Value = (object?)text ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text };

    private static T? Nullable<T>(NpgsqlDataReader reader, int column)
        where T : struct => reader.IsDBNull(column) ? null : reader.GetFieldValue<T>(column);
}
