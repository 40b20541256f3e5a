using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Routing;

namespace RuleEngineNats.DeliveryWorker.Queue;

/// <summary>A call this worker holds the lease of.</summary>
internal sealed record LeasedCall(long CallId, int WebhookId, int RetryCount, int Attempt, OutgoingEvent Event);

/// <summary>The lease of the call that an event with <c>rule-call-id</c> belongs to.</summary>
/// <param name="Ours">False when the queue path has it or has finished it.</param>
internal readonly record struct EventLease(int WebhookId, string EventId, int RetryCount, int Attempt, bool Ours);

/// <summary>The statements by which workers share <c>rule_webhook_calls</c>. The clock is that of PostgreSQL alone.</summary>
internal sealed class CallQueue(NpgsqlDataSource database)
{
    // As rule_webhook_claim, and only for endpoints that are on: what is due for one that is off stays where it is. now() and not clock_timestamp():
    // a volatile function could not bound the index scan. A lease that ran out is a worker that died during its request, and the record says so.
    private const string ClaimSql = """
        WITH due AS (
            SELECT call_id, status FROM rule_webhook_calls
             WHERE due_at <= now() AND webhook_id = ANY($1)
             ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE rule_webhook_calls c
               SET status = 'processing', leased_by = $3, lease_until = now() + $4, started_at = now(), attempts = c.attempts + 1
              FROM due WHERE c.call_id = due.call_id
            RETURNING c.*, due.status AS was
        ), lost AS (
            INSERT INTO rule_webhook_call_history (call_id, attempt_number, event_id, webhook_id, subject, outcome, error_message)
            SELECT call_id, attempts - 1, event_id, webhook_id, subject, 'unknown', 'the worker died during the request' FROM claimed WHERE was = 'processing'
        )
        SELECT call_id, webhook_id, retry_count, attempts, event_id, subject, trace_parent,
               CASE WHEN rule_execution_id IS NULL THEN request_headers
                    ELSE coalesce(request_headers, '{}') || jsonb_build_object('ce-ruleexecutionid', rule_execution_id::text) END::text,
               coalesce(body, convert_to(payload::text, 'UTF8'))
          FROM claimed ORDER BY call_id
        """;

    private const string LeaseSql = """
        SELECT webhook_id, event_id, retry_count, attempts + 1, rule_webhook_lease(call_id, $2, $3) FROM rule_webhook_calls WHERE call_id = $1 AND webhook_id = ANY($4)
        """;

    private const string ReleaseSql = """
        UPDATE rule_webhook_calls
           SET status = CASE WHEN retry_count > 0 THEN 'retrying' ELSE 'pending' END, scheduled_at = CASE WHEN retry_count > 0 THEN scheduled_at ELSE now() END,
               next_retry_at = CASE WHEN retry_count > 0 THEN now() END, leased_by = NULL, lease_until = NULL
         WHERE call_id = $1 AND leased_by = $2 AND status = 'processing'
        """;

    /// <summary>Leases calls that are due.</summary>
    public async Task<IReadOnlyList<LeasedCall>> ClaimAsync(int[] webhooks, int limit, TimeSpan lease, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(ClaimSql);
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = webhooks });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
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
                Headers = EndpointHeaders.OfEvent(Text(reader, 7)),
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

    /// <summary>Gives a lease back at once, so that another worker need not wait for its end.</summary>
    public async Task ReleaseAsync(long callId, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(ReleaseSql);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = callId });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = DeliveryWorkerInfo.InstanceId });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static string? Text(NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetString(column);
}
