using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>Writes many attempts in one round trip and one transaction: calls that failed attempts open, calls that attempts end, and a history row for each.</summary>
internal static class AttemptBatch
{
    private const string OpenCalls = """
        INSERT INTO rule_webhook_calls (webhook_id, event_id, status, payload, body, subject, request_headers, trace_parent, retry_count, attempts,
                                        next_retry_at, started_at, completed_at, response_status, response_body, error_message, execution_time_ms)
        SELECT n.webhook_id, n.event_id, CASE WHEN n.retry_seconds IS NULL THEN 'failed' ELSE 'retrying' END, n.payload::jsonb, n.body, n.subject,
               n.headers::jsonb, n.trace_parent, CASE WHEN n.retry_seconds IS NULL THEN 0 ELSE 1 END, n.attempts,
               now() + n.retry_seconds * interval '1 second', n.started_at, CASE WHEN n.retry_seconds IS NULL THEN now() END,
               n.status, n.response_body, n.error, n.duration_ms
          FROM unnest($1::int[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::int[], $9::float8[], $10::timestamptz[],
                      $11::int[], $12::text[], $13::text[], $14::float8[])
               AS n(webhook_id, event_id, payload, body, subject, headers, trace_parent, attempts, retry_seconds, started_at, status, response_body, error, duration_ms)
        ON CONFLICT (event_id, webhook_id) DO NOTHING
        """;

    // The lease is the fence: a worker that lost it to another no longer writes the row.
    private const string EndCalls = """
        UPDATE rule_webhook_calls c
           SET status = n.state, retry_count = c.retry_count + CASE n.state WHEN 'retrying' THEN 1 ELSE 0 END,
               next_retry_at = now() + n.retry_seconds * interval '1 second', completed_at = CASE n.state WHEN 'retrying' THEN NULL ELSE now() END,
               leased_by = NULL, lease_until = NULL, response_status = n.status, response_body = n.response_body,
               response_headers = n.response_headers::jsonb, error_message = n.error, execution_time_ms = n.duration_ms
          FROM unnest($1::bigint[], $2::text[], $3::float8[], $4::int[], $5::text[], $6::text[], $7::text[], $8::float8[])
               AS n(call_id, state, retry_seconds, status, response_body, response_headers, error, duration_ms)
         WHERE c.call_id = n.call_id AND c.status = 'processing' AND c.leased_by = $9
        """;

    private const string History = """
        INSERT INTO rule_webhook_call_history (call_id, attempt_number, started_at, completed_at, response_status, response_body, error_message,
                                               execution_time_ms, event_id, webhook_id, outcome, subject, stream, stream_sequence)
        SELECT coalesce(n.call_id, (SELECT c.call_id FROM rule_webhook_calls c WHERE n.opened AND c.event_id = n.event_id AND c.webhook_id = n.webhook_id)),
               n.attempt, n.started_at, n.started_at + n.duration_ms * interval '1 millisecond', n.status, n.response_body, n.error,
               n.duration_ms, n.event_id, n.webhook_id, n.outcome, n.subject, n.stream, n.sequence
          FROM unnest($1::bigint[], $2::bool[], $3::int[], $4::timestamptz[], $5::float8[], $6::int[], $7::text[], $8::text[], $9::text[], $10::int[],
                      $11::text[], $12::text[], $13::text[], $14::bigint[])
               AS n(call_id, opened, attempt, started_at, duration_ms, status, response_body, error, event_id, webhook_id, outcome, subject, stream, sequence)
        """;

    public static async Task WriteAsync(NpgsqlDataSource database, IReadOnlyList<AttemptRecord> records, CancellationToken cancellationToken)
    {
        // A batch without a transaction of its own is one: all of it or nothing.
        await using var batch = database.CreateBatch();
        AddOpened(batch, [.. records.Where(record => record.Change is CallChange.Open)]);
        AddEnded(batch, [.. records.Where(record => record.Change is CallChange.Succeed or CallChange.Fail)]);
        AddHistory(batch, records);
        await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    private static void AddOpened(NpgsqlBatch batch, AttemptRecord[] records)
    {
        if (records.Length == 0)
        {
            return;
        }

        var command = new NpgsqlBatchCommand(OpenCalls);
        Add(command, NpgsqlDbType.Integer, records, record => record.Attempt.WebhookId);
        Add(command, NpgsqlDbType.Text, records, record => record.Event.EventId);
        Add(command, NpgsqlDbType.Text, records, record => Payload(record.Event.Body));
        Add(command, NpgsqlDbType.Bytea, records, record => record.Event.Body.ToArray());
        Add(command, NpgsqlDbType.Text, records, record => record.Event.Subject);
        Add(command, NpgsqlDbType.Text, records, record => EventHeadersJson(record.Event));
        Add(command, NpgsqlDbType.Text, records, record => record.Event.TraceParent);
        Add(command, NpgsqlDbType.Integer, records, record => record.Attempt.Number);
        Add(command, NpgsqlDbType.Double, records, record => ((CallChange.Open)record.Change).RetryIn?.TotalSeconds);
        Add(command, NpgsqlDbType.TimestampTz, records, record => record.Attempt.StartedAt.UtcDateTime);
        Add(command, NpgsqlDbType.Integer, records, record => record.Attempt.Outcome.Status);
        Add(command, NpgsqlDbType.Text, records, record => record.Attempt.ResponseBody);
        Add(command, NpgsqlDbType.Text, records, record => ((CallChange.Open)record.Change).Error);
        Add(command, NpgsqlDbType.Double, records, record => record.Attempt.Duration.TotalMilliseconds);
        batch.BatchCommands.Add(command);
    }

    private static void AddEnded(NpgsqlBatch batch, AttemptRecord[] records)
    {
        if (records.Length == 0)
        {
            return;
        }

        var command = new NpgsqlBatchCommand(EndCalls);
        Add(command, NpgsqlDbType.Bigint, records, record => record.Event.CallId);
        Add(command, NpgsqlDbType.Text, records, record => record.Change switch
        {
            CallChange.Succeed => "success",
            CallChange.Fail { RetryIn: not null } => "retrying",
            _ => "failed",
        });
        Add(command, NpgsqlDbType.Double, records, record => (record.Change as CallChange.Fail)?.RetryIn?.TotalSeconds);
        Add(command, NpgsqlDbType.Integer, records, record => record.Attempt.Outcome.Status);
        Add(command, NpgsqlDbType.Text, records, record => record.Attempt.ResponseBody);
        Add(command, NpgsqlDbType.Text, records, record => ResponseHeadersJson(record.Attempt));
        Add(command, NpgsqlDbType.Text, records, record => (record.Change as CallChange.Fail)?.Error);
        Add(command, NpgsqlDbType.Double, records, record => record.Attempt.Duration.TotalMilliseconds);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = DeliveryWorkerInfo.InstanceId });
        batch.BatchCommands.Add(command);
    }

    private static void AddHistory(NpgsqlBatch batch, IReadOnlyList<AttemptRecord> records)
    {
        var command = new NpgsqlBatchCommand(History);
        Add(command, NpgsqlDbType.Bigint, records, record => record.Event.CallId);
        Add(command, NpgsqlDbType.Boolean, records, record => record.Change is CallChange.Open);
        Add(command, NpgsqlDbType.Integer, records, record => record.Attempt.Number);
        Add(command, NpgsqlDbType.TimestampTz, records, record => record.Attempt.StartedAt.UtcDateTime);
        Add(command, NpgsqlDbType.Double, records, record => record.Attempt.Duration.TotalMilliseconds);
        Add(command, NpgsqlDbType.Integer, records, record => record.Attempt.Outcome.Status);
        Add(command, NpgsqlDbType.Text, records, record => record.Attempt.ResponseBody);
        Add(command, NpgsqlDbType.Text, records, record => record.Attempt.Outcome.Error);
        Add(command, NpgsqlDbType.Text, records, record => record.Event.EventId);
        Add(command, NpgsqlDbType.Integer, records, record => record.Attempt.WebhookId);
        Add(command, NpgsqlDbType.Text, records, record => record.Attempt.Outcome.HistoryWord);
        Add(command, NpgsqlDbType.Text, records, record => record.Event.Subject);
        Add(command, NpgsqlDbType.Text, records, record => record.Event.Stream);
        Add(command, NpgsqlDbType.Bigint, records, record => record.Event.StreamSequence);
        batch.BatchCommands.Add(command);
    }

    private static void Add<T>(NpgsqlBatchCommand command, NpgsqlDbType type, IReadOnlyList<AttemptRecord> records, Func<AttemptRecord, T> value)
    {
        var values = new T[records.Count];
        for (var index = 0; index < values.Length; index++)
        {
            values[index] = value(records[index]);
        }

        command.Parameters.Add(new NpgsqlParameter<T[]> { TypedValue = values, NpgsqlDbType = NpgsqlDbType.Array | type });
    }

    // The column is for people and for the functions that read it; what is sent are the bytes beside it, JSON or not.
    private static string Payload(ReadOnlyMemory<byte> body)
        => PayloadRules.Check(body.Span, int.MaxValue) is null ? System.Text.Encoding.UTF8.GetString(body.Span) : "null";

    private static string? EventHeadersJson(OutgoingEvent outgoing)
        => outgoing.Headers.Count == 0 ? null : JsonSerializer.Serialize(outgoing.Headers.ToDictionary(header => header.Key, header => header.Value), StringMap.Default.Map);

    private static string? ResponseHeadersJson(Attempt attempt)
        => attempt.ResponseContentType is { } type ? JsonSerializer.Serialize(new Dictionary<string, string> { ["content-type"] = type }, StringMap.Default.Map) : null;
}
