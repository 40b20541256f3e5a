using Npgsql;
using Npgsql.Replication.PgOutput.Messages;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>Copies a history row out of the WAL's insert message, or out of a query's result; both name their columns alike.</summary>
internal static class DecodeOutboxRow
{
    // Hundreds of rows are in memory at once, so large bodies stay in the table. What a body takes there can be asked without reading it, so that counts here.
    /// <summary>What <see cref="FromQuery"/> reads, in its order; the table is to be called <c>h</c>.</summary>
    public const string Columns = """
        h.publish_id, h.enqueued_xid, h.webhook_id, h.call_id, h.subject, h.stream_name,
        CASE WHEN pg_column_size(h.payload) + coalesce(octet_length(h.body), 0) <= 32768 THEN coalesce(h.body, convert_to(h.payload::text, 'UTF8')) END,
        h.body_sha256, h.headers::text, h.nats_msg_id, h.trace_parent, h.attempts, h.published_at, h.config_id, h.rule_execution_id
        """;

    /// <summary>
    /// Everything but a large body is copied: the driver uses the same message, tuple and buffer again for the next one. The message is in binary
    /// format: a jsonb value is its UTF-8 text, which is what is published unless <c>body</c> holds other bytes.
    /// </summary>
    public static async ValueTask<OutboxRow> FromWalAsync(InsertMessage insert, DateTimeOffset committedAt, CancellationToken cancellationToken)
    {
        var (publishId, xid, subject, natsMessageId) = (0L, 0UL, "", "");
        byte[]? payload = null, body = null, sha256 = null;
        string? stream = null, headers = null, traceParent = null;
        int? webhookId = null, configId = null;
        long? callId = null, ruleExecutionId = null;
        var attempts = 0;
        DateTimeOffset publishedAt = default;
        await foreach (var value in insert.NewRow.WithCancellation(cancellationToken))
        {
            if (value.IsDBNull)
            {
                continue;
            }

            switch (value.GetFieldName())
            {
                case "publish_id": publishId = await value.Get<long>(cancellationToken); break;
                case "enqueued_xid": xid = await value.Get<ulong>(cancellationToken); break;
                case "webhook_id": webhookId = await value.Get<int>(cancellationToken); break;
                case "call_id": callId = await value.Get<long>(cancellationToken); break;
                case "subject": subject = await value.Get<string>(cancellationToken); break;
                case "config_id": configId = await value.Get<int>(cancellationToken); break;
                case "stream_name": stream = await value.Get<string>(cancellationToken); break;
                case "payload": payload = await value.Get<byte[]>(cancellationToken); break;
                case "body": body = await value.Get<byte[]>(cancellationToken); break;
                case "body_sha256": sha256 = await value.Get<byte[]>(cancellationToken); break;
                case "headers": headers = await value.Get<string>(cancellationToken); break;
                case "nats_msg_id": natsMessageId = await value.Get<string>(cancellationToken); break;
                case "trace_parent": traceParent = await value.Get<string>(cancellationToken); break;
                case "rule_execution_id": ruleExecutionId = await value.Get<long>(cancellationToken); break;
                case "attempts": attempts = await value.Get<int>(cancellationToken); break;
                case "published_at": publishedAt = new(await value.Get<DateTime>(cancellationToken)); break;
            }
        }

        var bytes = body ?? payload ?? [];
        var left = bytes.Length > PayloadObjects.LargeBytes;
        return new(publishId, xid, subject, left ? [] : bytes, natsMessageId)
        {
            BodyLeft = left,
            WebhookId = webhookId,
            CallId = callId,
            ConfigId = configId,
            Stream = stream,
            BodySha256 = sha256,
            Headers = headers,
            TraceParent = traceParent,
            RuleExecutionId = ruleExecutionId,
            Attempts = attempts,
            CommittedAt = committedAt,
            PublishedAt = publishedAt,
        };
    }

    public static OutboxRow FromQuery(NpgsqlDataReader reader)
    {
        var publishedAt = reader.GetFieldValue<DateTimeOffset>(12);
        // A row that was written after its ack has no transaction of its own.
        var left = reader.IsDBNull(6);
        return new(reader.GetInt64(0), reader.IsDBNull(1) ? 0 : reader.GetFieldValue<ulong>(1), reader.GetString(4), left ? [] : reader.GetFieldValue<byte[]>(6), reader.GetString(9))
        {
            BodyLeft = left,
            WebhookId = reader.IsDBNull(2) ? null : reader.GetInt32(2),
            CallId = reader.IsDBNull(3) ? null : reader.GetInt64(3),
            ConfigId = reader.IsDBNull(13) ? null : reader.GetInt32(13),
            Stream = reader.IsDBNull(5) ? null : reader.GetString(5),
            BodySha256 = reader.IsDBNull(7) ? default(ReadOnlyMemory<byte>) : reader.GetFieldValue<byte[]>(7),
            Headers = reader.IsDBNull(8) ? null : reader.GetString(8),
            TraceParent = reader.IsDBNull(10) ? null : reader.GetString(10),
            RuleExecutionId = reader.IsDBNull(14) ? null : reader.GetInt64(14),
            Attempts = reader.GetInt32(11),
            CommittedAt = publishedAt,
            PublishedAt = publishedAt,
        };
    }
}
