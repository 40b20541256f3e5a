using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.PublishService.Keys;

/// <summary>
/// Commits an event as a pending row of the outbox, with its key, before it is published (DURABILITY_HISTORY). From then on the relay publishes it
/// whatever becomes of this process; both use the same Nats-Msg-Id, so it is stored once, and the relay marks the row.
/// </summary>
internal sealed class PendingEvents(NpgsqlDataSource dataSource)
{
    /// <returns>Null when the row is new; otherwise what is known of the earlier event with this id.</returns>
    public async Task<MessageKey?> InsertAsync(EventMessage message, string messageId, int configId, TimeSpan? rememberFor, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var publishId = await BeginAsync(connection, cancellationToken);
        if (rememberFor is { } time && message.WebhookId is { } webhookId
            && await KeepKeyAsync(connection, message, webhookId, messageId, publishId, time, cancellationToken) is { } earlier)
        {
            return earlier;
        }

        await InsertRowAsync(connection, message, messageId, configId, publishId, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return null;
    }

    // The transaction id comes before the row's id, as in SQL publishes: whoever scans up to it is then sure to see this row.
    private static async Task<long> BeginAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(new NpgsqlBatchCommand("SET LOCAL lock_timeout = '2s'"));
        batch.BatchCommands.Add(new NpgsqlBatchCommand("SELECT pg_current_xact_id()::text"));
        batch.BatchCommands.Add(new NpgsqlBatchCommand("SELECT nextval('rule_nats_publish_history_publish_id_seq')"));
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        await reader.NextResultAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return reader.GetInt64(0);
    }

    private static async Task<MessageKey?> KeepKeyAsync(
        NpgsqlConnection connection, EventMessage message, int webhookId, string messageId, long publishId, TimeSpan time, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            INSERT INTO rule_nats_message_keys AS k (webhook_id, message_id, body_sha256, publish_id, expires_at)
            VALUES ($1, $2, $3, $4, clock_timestamp() + $5)
            ON CONFLICT (webhook_id, message_id) DO UPDATE
               SET body_sha256 = excluded.body_sha256, publish_id = excluded.publish_id, expires_at = excluded.expires_at
             WHERE k.expires_at <= clock_timestamp()
                OR EXISTS (SELECT FROM rule_nats_publish_history h WHERE h.publish_id = k.publish_id AND h.state = 'refused')
            """,
            connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = webhookId });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = messageId });
        command.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = message.BodySha256.ToArray() });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = publishId });
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = time });
        if (await command.ExecuteNonQueryAsync(cancellationToken) == 1)
        {
            return null;
        }

        await using var look = new NpgsqlCommand(
            """
            SELECT k.body_sha256, h.stream_name, coalesce(h.sequence_number, 0)
              FROM rule_nats_message_keys k LEFT JOIN rule_nats_publish_history h ON h.publish_id = k.publish_id
             WHERE k.webhook_id = $1 AND k.message_id = $2
            """,
            connection);
        look.Parameters.Add(new NpgsqlParameter<int> { TypedValue = webhookId });
        look.Parameters.Add(new NpgsqlParameter<string> { TypedValue = messageId });
        await using var reader = await look.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new MessageKey(reader.GetFieldValue<byte[]>(0), reader.IsDBNull(1) ? null : reader.GetString(1), (ulong)reader.GetInt64(2))
            : null;
    }

    private static async Task InsertRowAsync(
        NpgsqlConnection connection, EventMessage message, string messageId, int configId, long publishId, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            INSERT INTO rule_nats_publish_history (publish_id, webhook_id, subject, payload, headers, message_id, triggered_by, stream_name,
                body, body_sha256, nats_msg_id, config_id, trace_parent)
            VALUES ($1, $2, $3, $4, $5, $6, 'publish-service', $7, $8, $9, $10, $11, $12)
            """,
            connection);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = publishId });
        command.Parameters.Add(new NpgsqlParameter { Value = (object?)message.WebhookId ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Integer });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = message.Subject });
        command.Parameters.Add(new NpgsqlParameter { Value = message.Body, NpgsqlDbType = NpgsqlDbType.Jsonb });
        command.Parameters.Add(new NpgsqlParameter { Value = (object?)HistoryHeaders.Json(message) ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Jsonb });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = messageId });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = message.ExpectedStream });
        command.Parameters.Add(new NpgsqlParameter { Value = message.Body, NpgsqlDbType = NpgsqlDbType.Bytea });
        command.Parameters.Add(new NpgsqlParameter { Value = message.BodySha256, NpgsqlDbType = NpgsqlDbType.Bytea });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = message.MessageId });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = configId });
        command.Parameters.Add(new NpgsqlParameter { Value = (object?)message.TraceParent ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
