using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>The rows of <c>rule_webhook_calls</c> that records open or end.</summary>
internal static class CallRows
{
    private const string OpenSql = """
        INSERT INTO rule_webhook_calls (webhook_id, event_id, status, payload, body, subject, request_headers, trace_parent, retry_count, attempts,
                                        next_retry_at, started_at, completed_at, response_status, response_body, response_headers, error_message, execution_time_ms,
                                        order_key, order_stream, order_no)
        SELECT n.webhook_id, n.event_id, n.state, n.payload::jsonb, n.body, n.subject, n.headers::jsonb, n.trace_parent,
               CASE n.state WHEN 'retrying' THEN 1 ELSE 0 END, n.attempts, now() + n.retry_seconds * interval '1 second', n.started_at,
               CASE n.state WHEN 'failed' THEN now() END, n.status, n.response_body, n.response_headers::jsonb, n.error, n.duration_ms,
               n.order_key, CASE WHEN n.order_key IS NOT NULL THEN n.stream END, CASE WHEN n.order_key IS NOT NULL THEN n.sequence END
          FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::text[], $8::text[], $9::int[], $10::float8[], $11::timestamptz[],
                      $12::int[], $13::text[], $14::text[], $15::text[], $16::float8[], $17::text[], $18::text[], $19::bigint[])
               AS n(webhook_id, event_id, state, payload, body, subject, headers, trace_parent, attempts, retry_seconds, started_at, status, response_body,
                    response_headers, error, duration_ms, order_key, stream, sequence)
        ON CONFLICT (event_id, webhook_id) DO NOTHING
        """;

    // The lease is the fence: a worker that lost it to another no longer writes the row.
    private const string EndSql = """
        UPDATE rule_webhook_calls c
           SET status = n.state, retry_count = c.retry_count + CASE n.state WHEN 'retrying' THEN 1 ELSE 0 END,
               next_retry_at = now() + n.retry_seconds * interval '1 second', completed_at = CASE n.state WHEN 'retrying' THEN NULL ELSE now() END,
               leased_by = NULL, lease_until = NULL, response_status = n.status, response_body = n.response_body,
               response_headers = n.response_headers::jsonb, error_message = n.error, execution_time_ms = n.duration_ms,
               order_key = CASE WHEN n.leaves_order THEN NULL ELSE c.order_key END
          FROM unnest($1::bigint[], $2::text[], $3::float8[], $4::bool[], $5::int[], $6::text[], $7::text[], $8::text[], $9::float8[])
               AS n(call_id, state, retry_seconds, leaves_order, status, response_body, response_headers, error, duration_ms)
         WHERE c.call_id = n.call_id AND c.status = 'processing' AND c.leased_by = $10
        """;

    public static void AddOpened(NpgsqlBatch batch, AttemptRecord[] records)
    {
        if (records.Length == 0)
        {
            return;
        }

        var command = new NpgsqlBatchCommand(OpenSql);
        command.Add(NpgsqlDbType.Integer, records, record => record.WebhookId);
        command.Add(NpgsqlDbType.Text, records, record => record.Event.EventId);
        command.Add(NpgsqlDbType.Text, records, record => State(record.Change));
        command.Add(NpgsqlDbType.Text, records, record => Payload(record.Event.Body));
        command.Add(NpgsqlDbType.Bytea, records, record => record.Event.Body.ToArray());
        command.Add(NpgsqlDbType.Text, records, record => record.Event.Subject);
        command.Add(NpgsqlDbType.Text, records, record => EventHeadersJson(record.Event));
        command.Add(NpgsqlDbType.Text, records, record => record.Event.TraceParent);
        command.Add(NpgsqlDbType.Integer, records, record => record.Attempt?.Number ?? 0);
        command.Add(NpgsqlDbType.Double, records, record => RetryIn(record.Change)?.TotalSeconds);
        command.Add(NpgsqlDbType.TimestampTz, records, record => record.Attempt?.StartedAt.UtcDateTime);
        AddAnswer(command, records);
        command.Add(NpgsqlDbType.Text, records, record => (record.Change as CallChange.Spill)?.OrderKey);
        command.Add(NpgsqlDbType.Text, records, record => record.Event.Stream);
        command.Add(NpgsqlDbType.Bigint, records, record => record.Event.StreamSequence);
        batch.BatchCommands.Add(command);
    }

    public static void AddEnded(NpgsqlBatch batch, AttemptRecord[] records)
    {
        if (records.Length == 0)
        {
            return;
        }

        var command = new NpgsqlBatchCommand(EndSql);
        command.Add(NpgsqlDbType.Bigint, records, record => record.Event.CallId);
        command.Add(NpgsqlDbType.Text, records, record => State(record.Change));
        command.Add(NpgsqlDbType.Double, records, record => RetryIn(record.Change)?.TotalSeconds);
        command.Add(NpgsqlDbType.Boolean, records, record => record.Change is CallChange.Fail { LeavesOrder: true });
        AddAnswer(command, records);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = DeliveryWorkerInfo.InstanceId });
        batch.BatchCommands.Add(command);
    }

    /// <summary>The headers of an answer as they are stored.</summary>
    public static string? HeadersJson(Attempt? attempt)
        => attempt?.ResponseHeaders is { } kept ? JsonSerializer.Serialize(kept, StringMap.Default.Map) : null;

    /// <summary>The column is for people and for the functions that read it; what is sent are the bytes beside it, JSON or not.</summary>
    public static string Payload(ReadOnlyMemory<byte> body)
        => PayloadRules.Check(body.Span, int.MaxValue) is null ? System.Text.Encoding.UTF8.GetString(body.Span) : "null";

    /// <summary>The headers of an event as they are stored.</summary>
    public static string? EventHeadersJson(OutgoingEvent outgoing)
        => outgoing.Headers.Count == 0 ? null : JsonSerializer.Serialize(outgoing.Headers.ToDictionary(header => header.Key, header => header.Value), StringMap.Default.Map);

    private static void AddAnswer(NpgsqlBatchCommand command, AttemptRecord[] records)
    {
        command.Add(NpgsqlDbType.Integer, records, record => record.Attempt?.Outcome.Status);
        command.Add(NpgsqlDbType.Text, records, record => record.Attempt?.ResponseBody);
        command.Add(NpgsqlDbType.Text, records, record => HeadersJson(record.Attempt));
        command.Add(NpgsqlDbType.Text, records, record => Error(record.Change));
        command.Add(NpgsqlDbType.Double, records, record => record.Attempt?.Duration.TotalMilliseconds);
    }

    private static string State(CallChange change) => change switch
    {
        CallChange.Spill => "pending",
        CallChange.Succeed => "success",
        _ => RetryIn(change) is null ? "failed" : "retrying",
    };

    private static TimeSpan? RetryIn(CallChange change) => change switch
    {
        CallChange.Open open => open.RetryIn,
        CallChange.Fail fail => fail.RetryIn,
        _ => null,
    };

    private static string? Error(CallChange change) => change switch
    {
        CallChange.Open open => open.Error,
        CallChange.Fail fail => fail.Error,
        _ => null,
    };
}
