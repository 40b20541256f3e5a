using Npgsql;
using NpgsqlTypes;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>The rows of <c>rule_webhook_call_history</c>: one for each attempt.</summary>
internal static class HistoryRows
{
    private const string Sql = """
        INSERT INTO rule_webhook_call_history (call_id, attempt_number, started_at, completed_at, response_status, response_body, error_message,
                                               execution_time_ms, event_id, webhook_id, outcome, subject, stream, stream_sequence,
                                               worker, remote_address, response_headers, connect_ms, tls_ms, first_byte_ms)
        SELECT coalesce(n.call_id, CASE WHEN n.opened THEN (SELECT c.call_id FROM rule_webhook_calls c WHERE c.event_id = n.event_id AND c.webhook_id = n.webhook_id) END),
               n.attempt, n.started_at, n.started_at + n.duration_ms * interval '1 millisecond', n.status, n.response_body, n.error,
               n.duration_ms, n.event_id, n.webhook_id, n.outcome, n.subject, n.stream, n.sequence,
               $20, n.remote, n.headers::jsonb, n.connect_ms, n.tls_ms, n.first_byte_ms
          FROM unnest($1::bigint[], $2::bool[], $3::int[], $4::timestamptz[], $5::float8[], $6::int[], $7::text[], $8::text[], $9::text[], $10::int[],
                      $11::text[], $12::text[], $13::text[], $14::bigint[], $15::text[], $16::text[], $17::float8[], $18::float8[], $19::float8[])
               AS n(call_id, opened, attempt, started_at, duration_ms, status, response_body, error, event_id, webhook_id, outcome, subject, stream, sequence,
                    remote, headers, connect_ms, tls_ms, first_byte_ms)
        """;

    public static void Add(NpgsqlBatch batch, AttemptRecord[] records)
    {
        if (records.Length == 0)
        {
            return;
        }

        var command = new NpgsqlBatchCommand(Sql);
        command.Add(NpgsqlDbType.Bigint, records, record => record.Event.CallId);
        command.Add(NpgsqlDbType.Boolean, records, record => record.Change is CallChange.Open);
        command.Add(NpgsqlDbType.Integer, records, record => record.Attempt!.Number);
        command.Add(NpgsqlDbType.TimestampTz, records, record => record.Attempt!.StartedAt.UtcDateTime);
        command.Add(NpgsqlDbType.Double, records, record => record.Attempt!.Duration.TotalMilliseconds);
        command.Add(NpgsqlDbType.Integer, records, record => record.Attempt!.Outcome.Status);
        command.Add(NpgsqlDbType.Text, records, record => record.Attempt!.ResponseBody);
        command.Add(NpgsqlDbType.Text, records, record => record.Attempt!.Outcome.Error);
        command.Add(NpgsqlDbType.Text, records, record => record.Event.EventId);
        command.Add(NpgsqlDbType.Integer, records, record => record.WebhookId);
        command.Add(NpgsqlDbType.Text, records, record => record.Attempt!.Outcome.HistoryWord);
        command.Add(NpgsqlDbType.Text, records, record => record.Event.Subject);
        command.Add(NpgsqlDbType.Text, records, record => record.Event.Stream);
        command.Add(NpgsqlDbType.Bigint, records, record => record.Event.StreamSequence);
        command.Add(NpgsqlDbType.Text, records, record => record.Attempt!.Trace?.Remote?.ToString());
        command.Add(NpgsqlDbType.Text, records, record => CallRows.HeadersJson(record.Attempt));
        command.Add(NpgsqlDbType.Double, records, record => record.Attempt!.Trace?.Connect?.TotalMilliseconds);
        command.Add(NpgsqlDbType.Double, records, record => record.Attempt!.Trace?.Tls?.TotalMilliseconds);
        command.Add(NpgsqlDbType.Double, records, record => record.Attempt!.Trace?.FirstByte?.TotalMilliseconds);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = DeliveryWorkerInfo.InstanceId });
        batch.BatchCommands.Add(command);
    }
}
