using System.Diagnostics;
using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Ordering;
using RuleEngineNats.DeliveryWorker.Replays;
using RuleEngineNats.DeliveryWorker.Routing;

namespace RuleEngineNats.DeliveryWorker.Queue;

/// <summary>A call this worker holds the lease of.</summary>
internal sealed record LeasedCall(long CallId, int WebhookId, int RetryCount, int Attempt, OutgoingEvent Event, bool Ordered)
{
    /// <summary>When it was leased, or a little before.</summary>
    public long Since { get; } = Stopwatch.GetTimestamp();
}

/// <summary>What an endpoint may have of the queue now.</summary>
/// <param name="Endpoint">The endpoint.</param>
/// <param name="Room">Calls at most.</param>
/// <param name="Repeats">Of these, repeats at most; ordered calls come as they come.</param>
/// <param name="Ordered">Whether it is of the calls that go one after the other, or of the others.</param>
internal readonly record struct ClaimShare(Endpoint Endpoint, int Room, int Repeats, bool Ordered);

/// <summary>A webhook that has calls outstanding.</summary>
internal readonly record struct DueCalls(int WebhookId, bool Ordered);

/// <summary>Finds the calls that are due and leases them.</summary>
internal sealed class ClaimCalls(NpgsqlDataSource database)
{
    // Jumps in the index from one webhook that has something outstanding to the next, whatever the number of rows of each.
    private const string FindSql = """
        WITH RECURSIVE outstanding AS (
            (SELECT c.webhook_id FROM rule_webhook_calls c WHERE c.due_at IS NOT NULL AND c.order_key IS NULL ORDER BY c.webhook_id LIMIT 1)
            UNION ALL
            SELECT (SELECT c.webhook_id FROM rule_webhook_calls c WHERE c.due_at IS NOT NULL AND c.order_key IS NULL AND c.webhook_id > o.webhook_id ORDER BY c.webhook_id LIMIT 1)
              FROM outstanding o WHERE o.webhook_id IS NOT NULL
        ), ordered AS (
            (SELECT c.webhook_id FROM rule_webhook_calls c WHERE c.order_key IS NOT NULL AND c.status <> 'success' ORDER BY c.webhook_id LIMIT 1)
            UNION ALL
            SELECT (SELECT c.webhook_id FROM rule_webhook_calls c WHERE c.order_key IS NOT NULL AND c.status <> 'success' AND c.webhook_id > o.webhook_id ORDER BY c.webhook_id LIMIT 1)
              FROM ordered o WHERE o.webhook_id IS NOT NULL
        )
        SELECT o.webhook_id, false FROM outstanding o
         WHERE EXISTS (SELECT FROM rule_webhook_calls c WHERE c.webhook_id = o.webhook_id AND (c.retry_count > 0) = false AND c.due_at <= now() AND c.order_key IS NULL)
            OR EXISTS (SELECT FROM rule_webhook_calls c WHERE c.webhook_id = o.webhook_id AND (c.retry_count > 0) = true AND c.due_at <= now() AND c.order_key IS NULL)
        UNION ALL
        SELECT o.webhook_id, true FROM ordered o WHERE o.webhook_id IS NOT NULL
        """;

    // The calls of "due" become the worker's ($1, for $2). A lease that ran out is a worker that died during its request, and the record says so.
    private const string TakeSql = """

        claimed AS (
            UPDATE rule_webhook_calls c
               SET status = 'processing', leased_by = $1, lease_until = now() + $2, started_at = now(), attempts = c.attempts + 1
              FROM due WHERE c.call_id = due.call_id
            RETURNING c.*, due.status AS was
        ), lost AS (
            INSERT INTO rule_webhook_call_history (call_id, attempt_number, event_id, webhook_id, subject, outcome, error_message)
            SELECT call_id, attempts - 1, event_id, webhook_id, subject, 'unknown', 'the worker died during the request' FROM claimed WHERE was = 'processing'
        )
        SELECT call_id, webhook_id, retry_count, attempts, event_id, subject, trace_parent,
               CASE WHEN rule_execution_id IS NULL THEN request_headers
                    ELSE coalesce(request_headers, '{}') || jsonb_build_object('ce-ruleexecutionid', rule_execution_id::text) END::text,
               coalesce(body, convert_to(payload::text, 'UTF8')), order_key IS NOT NULL, replay_id
          FROM claimed ORDER BY call_id
        """;

    // From each endpoint what it may have, first attempts before repeats. now() and not clock_timestamp(): a volatile function could not bound the index
    // scan.
    private const string ClaimSql = """
        WITH due AS (
            SELECT d.call_id, d.status FROM unnest($3::int[], $4::int[], $5::int[]) AS w(webhook_id, room, repeats) CROSS JOIN LATERAL (
                WITH fresh AS MATERIALIZED (
                    SELECT c.call_id, c.status FROM rule_webhook_calls c
                     WHERE c.webhook_id = w.webhook_id AND (c.retry_count > 0) = false AND c.due_at <= now() AND c.order_key IS NULL
                     ORDER BY c.due_at LIMIT w.room FOR UPDATE SKIP LOCKED),
                repeat AS MATERIALIZED (
                    SELECT c.call_id, c.status FROM rule_webhook_calls c
                     WHERE c.webhook_id = w.webhook_id AND (c.retry_count > 0) = true AND c.due_at <= now() AND c.order_key IS NULL
                     ORDER BY c.due_at LIMIT least(w.repeats, w.room - (SELECT count(*) FROM fresh)) FOR UPDATE SKIP LOCKED)
                SELECT * FROM fresh UNION ALL SELECT * FROM repeat) d
        ),
        """ + TakeSql;

    // A call of a stream waits until the consumer's ack floor has passed it: every earlier event has its call by then. A queued call waits until no
    // transaction is open that may queue before it.
    private const string ReadySql = """
        coalesce(c.due_at <= now()
             AND (c.order_stream IS NULL OR c.order_no <= (SELECT min(s.floor) FROM unnest($5::text[], $6::bigint[]) AS s(stream, floor) WHERE s.stream = c.order_stream))
             AND (c.order_xid IS NULL OR c.order_xid < pg_snapshot_xmin(pg_current_snapshot())), false)
        """;

    // The first call of each key, jumping from key to key until enough are ready.
    private const string ClaimOrderedSql = $"""
        WITH RECURSIVE heads AS (
            (SELECT c.call_id, c.order_key, {ReadySql} AS ready, 0 AS found FROM rule_webhook_calls c
              WHERE c.webhook_id = $3 AND c.order_key IS NOT NULL AND c.status <> 'success' ORDER BY c.order_key, c.order_no LIMIT 1)
            UNION ALL
            SELECT next.call_id, next.order_key, next.ready, h.found + h.ready::int FROM heads h CROSS JOIN LATERAL (
                SELECT c.call_id, c.order_key, {ReadySql} AS ready FROM rule_webhook_calls c
                 WHERE c.webhook_id = $3 AND c.order_key > h.order_key AND c.status <> 'success' ORDER BY c.order_key, c.order_no LIMIT 1) next
             WHERE h.found + h.ready::int < $4
        ), due AS (
            SELECT c.call_id, c.status FROM heads h JOIN rule_webhook_calls c USING (call_id)
             WHERE h.ready AND c.due_at <= now() ORDER BY c.due_at LIMIT $4 FOR UPDATE OF c SKIP LOCKED
        ),
        """ + TakeSql;

    /// <summary>The webhooks that have calls due.</summary>
    public async Task<IReadOnlyList<DueCalls>> FindDueAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(FindSql);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var due = new List<DueCalls>();
        while (await reader.ReadAsync(cancellationToken))
        {
            due.Add(new(reader.GetInt32(0), reader.GetBoolean(1)));
        }

        return due;
    }

    /// <summary>Of webhooks with an open circuit, or that failures switched off, those whose time for one attempt has come.</summary>
    public async Task<IReadOnlyList<int>> TakeProbesAsync(int[] webhooks, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT rule_webhook_take_probes($1)");
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = webhooks });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var ids = new List<int>();
        while (await reader.ReadAsync(cancellationToken))
        {
            ids.Add(reader.GetInt32(0));
        }

        return ids;
    }

    /// <summary>Leases calls that wait for no other.</summary>
    public async Task<IReadOnlyList<LeasedCall>> ClaimAsync(IReadOnlyList<ClaimShare> shares, TimeSpan lease, CancellationToken cancellationToken)
    {
        await using var command = Create(ClaimSql, lease);
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = [.. shares.Select(share => share.Endpoint.Id)] });
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = [.. shares.Select(share => share.Room)] });
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = [.. shares.Select(share => share.Repeats)] });
        return await ReadAsync(command, cancellationToken);
    }

    /// <summary>Leases calls that are the first of their keys.</summary>
    public async Task<IReadOnlyList<LeasedCall>> ClaimOrderedAsync(
        ClaimShare share, IReadOnlyList<StreamFloor> floors, TimeSpan lease, CancellationToken cancellationToken)
    {
        await using var command = Create(ClaimOrderedSql, lease);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = share.Endpoint.Id });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = share.Room });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. floors.Select(floor => floor.Stream)] });
        command.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. floors.Select(floor => floor.Sequence)] });
        return await ReadAsync(command, cancellationToken);
    }

    private NpgsqlCommand Create(string sql, TimeSpan lease)
    {
        var command = database.CreateCommand(sql);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = DeliveryWorkerInfo.InstanceId });
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = lease, NpgsqlDbType = NpgsqlDbType.Interval });
        return command;
    }

    private static async Task<IReadOnlyList<LeasedCall>> ReadAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var calls = new List<LeasedCall>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var callId = reader.GetInt64(0);
            var outgoing = new OutgoingEvent(reader.GetString(4), reader.GetFieldValue<byte[]>(8))
            {
                CallId = callId,
                Subject = Text(reader, 5),
                TraceParent = Text(reader, 6),
                Headers = ReplayHeader.Add(EndpointHeaders.OfEvent(Text(reader, 7)), reader.IsDBNull(10) ? null : reader.GetInt64(10)),
            };
            calls.Add(new(callId, reader.GetInt32(1), reader.GetInt32(2), reader.GetInt32(3), outgoing, reader.GetBoolean(9)));
        }

        return calls;
    }

    private static string? Text(NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetString(column);
}
