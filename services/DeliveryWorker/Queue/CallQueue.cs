using System.Diagnostics;
using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Replays;
using RuleEngineNats.DeliveryWorker.Routing;

namespace RuleEngineNats.DeliveryWorker.Queue;

/// <summary>A call this worker holds the lease of.</summary>
internal sealed record LeasedCall(long CallId, int WebhookId, int RetryCount, int Attempt, OutgoingEvent Event)
{
    /// <summary>When it was leased, or a little before.</summary>
    public long Since { get; } = Stopwatch.GetTimestamp();
}

/// <summary>What an endpoint may have of the queue now.</summary>
/// <param name="Endpoint">The endpoint.</param>
/// <param name="Room">Calls at most.</param>
/// <param name="Repeats">Of these, repeats at most.</param>
internal readonly record struct ClaimShare(Endpoint Endpoint, int Room, int Repeats);

/// <summary>The lease of the call that an event with <c>rule-call-id</c> belongs to.</summary>
/// <param name="Ours">False when the queue path has it or has finished it.</param>
internal readonly record struct EventLease(int WebhookId, string EventId, int RetryCount, int Attempt, bool Ours);

/// <summary>The statements by which workers share <c>rule_webhook_calls</c>. The clock is that of PostgreSQL alone.</summary>
internal sealed class CallQueue(NpgsqlDataSource database)
{
    // Jumps in the index from one webhook that has something outstanding to the next, whatever the number of rows of each.
    private const string FindSql = """
        WITH RECURSIVE outstanding AS (
            (SELECT c.webhook_id FROM rule_webhook_calls c WHERE c.due_at IS NOT NULL ORDER BY c.webhook_id LIMIT 1)
            UNION ALL
            SELECT (SELECT c.webhook_id FROM rule_webhook_calls c WHERE c.due_at IS NOT NULL AND c.webhook_id > o.webhook_id ORDER BY c.webhook_id LIMIT 1)
              FROM outstanding o WHERE o.webhook_id IS NOT NULL)
        SELECT o.webhook_id FROM outstanding o
         WHERE EXISTS (SELECT FROM rule_webhook_calls c WHERE c.webhook_id = o.webhook_id AND (c.retry_count > 0) = false AND c.due_at <= now())
            OR EXISTS (SELECT FROM rule_webhook_calls c WHERE c.webhook_id = o.webhook_id AND (c.retry_count > 0) = true AND c.due_at <= now())
        """;

    // From each endpoint what it may have, first attempts before repeats. now() and not clock_timestamp(): a volatile function could not bound the index
    // scan. A lease that ran out is a worker that died during its request, and the record says so.
    private const string ClaimSql = """
        WITH due AS (
            SELECT d.call_id, d.status FROM unnest($1::int[], $2::int[], $3::int[]) AS w(webhook_id, room, repeats) CROSS JOIN LATERAL (
                WITH fresh AS MATERIALIZED (
                    SELECT c.call_id, c.status FROM rule_webhook_calls c
                     WHERE c.webhook_id = w.webhook_id AND (c.retry_count > 0) = false AND c.due_at <= now()
                     ORDER BY c.due_at LIMIT w.room FOR UPDATE SKIP LOCKED),
                repeat AS MATERIALIZED (
                    SELECT c.call_id, c.status FROM rule_webhook_calls c
                     WHERE c.webhook_id = w.webhook_id AND (c.retry_count > 0) = true AND c.due_at <= now()
                     ORDER BY c.due_at LIMIT least(w.repeats, w.room - (SELECT count(*) FROM fresh)) FOR UPDATE SKIP LOCKED)
                SELECT * FROM fresh UNION ALL SELECT * FROM repeat) d
        ), claimed AS (
            UPDATE rule_webhook_calls c
               SET status = 'processing', leased_by = $4, lease_until = now() + $5, started_at = now(), attempts = c.attempts + 1
              FROM due WHERE c.call_id = due.call_id
            RETURNING c.*, due.status AS was
        ), lost AS (
            INSERT INTO rule_webhook_call_history (call_id, attempt_number, event_id, webhook_id, subject, outcome, error_message)
            SELECT call_id, attempts - 1, event_id, webhook_id, subject, 'unknown', 'the worker died during the request' FROM claimed WHERE was = 'processing'
        )
        SELECT call_id, webhook_id, retry_count, attempts, event_id, subject, trace_parent,
               CASE WHEN rule_execution_id IS NULL THEN request_headers
                    ELSE coalesce(request_headers, '{}') || jsonb_build_object('ce-ruleexecutionid', rule_execution_id::text) END::text,
               coalesce(body, convert_to(payload::text, 'UTF8')), replay_id
          FROM claimed ORDER BY call_id
        """;

    // A call that another path opened keeps its row; whoever finds one may not take this event over.
    private const string OpenSql = """
        INSERT INTO rule_webhook_calls (webhook_id, event_id, status, payload, body, subject, request_headers, trace_parent, attempts, started_at, leased_by, lease_until)
        VALUES ($1, $2, 'processing', $3, $4, $5, $6, $7, 1, now(), $8, now() + $9)
        ON CONFLICT (event_id, webhook_id) DO NOTHING RETURNING call_id
        """;

    private const string LeaseSql = """
        SELECT webhook_id, event_id, retry_count, attempts + 1, rule_webhook_lease(call_id, $2, $3) FROM rule_webhook_calls WHERE call_id = $1 AND webhook_id = ANY($4)
        """;

    private const string ReleaseSql = """
        UPDATE rule_webhook_calls
           SET attempts = attempts - CASE WHEN $3 THEN 0 ELSE 1 END, status = CASE WHEN retry_count > 0 THEN 'retrying' ELSE 'pending' END, scheduled_at = CASE WHEN retry_count > 0 THEN scheduled_at ELSE now() END,
               next_retry_at = CASE WHEN retry_count > 0 THEN now() END, leased_by = NULL, lease_until = NULL
         WHERE call_id = $1 AND leased_by = $2 AND status = 'processing'
        """;

    /// <summary>The webhooks that have calls due.</summary>
    public async Task<IReadOnlyList<int>> FindDueAsync(CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(FindSql);
        return await ReadIdsAsync(command, cancellationToken);
    }

    /// <summary>Of webhooks with an open circuit, or that failures switched off, those whose time for one attempt has come.</summary>
    public async Task<IReadOnlyList<int>> TakeProbesAsync(int[] webhooks, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT rule_webhook_take_probes($1)");
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = webhooks });
        return await ReadIdsAsync(command, cancellationToken);
    }

    /// <summary>Leases calls that are due.</summary>
    public async Task<IReadOnlyList<LeasedCall>> ClaimAsync(IReadOnlyList<ClaimShare> shares, TimeSpan lease, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(ClaimSql);
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = [.. shares.Select(share => share.Endpoint.Id)] });
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = [.. shares.Select(share => share.Room)] });
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = [.. shares.Select(share => share.Repeats)] });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = DeliveryWorkerInfo.InstanceId });
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = lease, NpgsqlDbType = NpgsqlDbType.Interval });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var calls = new List<LeasedCall>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var callId = reader.GetInt64(0);
            calls.Add(new(callId, reader.GetInt32(1), reader.GetInt32(2), reader.GetInt32(3), new(reader.GetString(4), reader.GetFieldValue<byte[]>(8))
            {
                CallId = callId,
                Subject = Text(reader, 5),
                TraceParent = Text(reader, 6),
                Headers = ReplayHeader.Add(EndpointHeaders.OfEvent(Text(reader, 7)), reader.IsDBNull(9) ? null : reader.GetInt64(9)),
            }));
        }

        return calls;
    }

    /// <summary>Leases the call of an event; null when none of these webhooks has such a call, which then needs no lease.</summary>
    public async Task<EventLease?> LeaseAsync(long callId, int[] webhooks, TimeSpan lease, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(LeaseSql);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = callId });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = DeliveryWorkerInfo.InstanceId });
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = lease, NpgsqlDbType = NpgsqlDbType.Interval });
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = webhooks });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new EventLease(reader.GetInt32(0), reader.GetString(1), reader.GetInt32(2), reader.GetInt32(3), reader.GetBoolean(4))
            : null;
    }

    /// <summary>Makes a leased call of an event whose first attempt is under way; null when the event has a call already.</summary>
    public async Task<long?> OpenLeasedAsync(int webhookId, OutgoingEvent outgoing, TimeSpan lease, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(OpenSql);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = webhookId });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = outgoing.EventId });
        command.Parameters.Add(new() { Value = CallRows.Payload(outgoing.Body), NpgsqlDbType = NpgsqlDbType.Jsonb });
        command.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = outgoing.Body.ToArray() });
        command.Parameters.Add(new() { Value = (object?)outgoing.Subject ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        command.Parameters.Add(new() { Value = (object?)CallRows.EventHeadersJson(outgoing) ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Jsonb });
        command.Parameters.Add(new() { Value = (object?)outgoing.TraceParent ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = DeliveryWorkerInfo.InstanceId });
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = lease, NpgsqlDbType = NpgsqlDbType.Interval });
        return (long?)await command.ExecuteScalarAsync(cancellationToken);
    }

    /// <summary>Gives a lease back at once, so that another worker need not wait for its end.</summary>
    /// <param name="callId">The call.</param>
    /// <param name="tried">Whether a request was begun.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task ReleaseAsync(long callId, bool tried, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(ReleaseSql);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = callId });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = DeliveryWorkerInfo.InstanceId });
        command.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = tried });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task<IReadOnlyList<int>> ReadIdsAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var ids = new List<int>();
        while (await reader.ReadAsync(cancellationToken))
        {
            ids.Add(reader.GetInt32(0));
        }

        return ids;
    }

    private static string? Text(NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetString(column);
}
