using System.Security.Cryptography;
using Npgsql;
using NpgsqlTypes;

namespace RuleEngineNats.Messaging;

/// <summary>Inserts finished publishes: the keys of those whose message id is to be remembered and, in the same transaction, the rows by COPY.</summary>
internal static class HistoryTable
{
    /// <param name="dataSource">The database.</param>
    /// <param name="rows">Finished publishes.</param>
    /// <param name="withKeys">False leaves the keys out: one of them is held by a transaction that does not end.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    public static async Task InsertAsync(NpgsqlDataSource dataSource, IReadOnlyList<HistoryRow> rows, bool withKeys, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var publishIds = await ReserveIdsAsync(connection, rows.Count, cancellationToken);
        var repeats = withKeys ? await RememberAsync(connection, rows, publishIds, cancellationToken) : [];
        await CopyAsync(connection, rows, publishIds, repeats, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    private static async Task<long[]> ReserveIdsAsync(NpgsqlConnection connection, int count, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT array_agg(nextval('rule_nats_publish_history_publish_id_seq')) FROM generate_series(1, $1)", connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = count });
        return (long[])(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    private static async Task CopyAsync(
        NpgsqlConnection connection, IReadOnlyList<HistoryRow> rows, long[] publishIds, HashSet<long> repeats, CancellationToken cancellationToken)
    {
        // enqueued_xid is null: these rows were never pending, and the outbox index does not grow with them.
        await using var copy = await connection.BeginBinaryImportAsync(
            """
            COPY rule_nats_publish_history (publish_id, webhook_id, subject, payload, headers, published_at, message_id, sequence_number, error_message,
                latency_ms, triggered_by, state, stream_name, duplicate, attempts, stored_at, enqueued_xid, body, body_sha256, nats_msg_id, config_id,
                trace_parent)
            FROM STDIN (FORMAT binary)
            """,
            cancellationToken);
        for (var index = 0; index < rows.Count; index++)
        {
            if (!repeats.Contains(publishIds[index]))
            {
                await WriteRowAsync(copy, rows[index], publishIds[index], cancellationToken);
            }
        }

        await copy.CompleteAsync(cancellationToken);
    }

    private static async Task WriteRowAsync(NpgsqlBinaryImporter copy, HistoryRow row, long publishId, CancellationToken cancellationToken)
    {
        var message = row.Message;
        var (stream, sequence, duplicate, error) = row.Outcome switch
        {
            PublishOutcome.Stored stored => (stored.Stream, (long?)stored.Sequence, (bool?)false, (string?)null),
            PublishOutcome.Duplicate repeated => (repeated.Stream, (long?)repeated.Sequence, true, null),
            PublishOutcome.Refused refused => (message.ExpectedStream, null, null, refused.Message),
            var other => throw new InvalidOperationException($"{other.GetType().Name} is not the end of a publish"),
        };
        await copy.StartRowAsync(cancellationToken);
        await copy.WriteAsync(publishId, NpgsqlDbType.Bigint, cancellationToken);
        await WriteAsync(copy, message.WebhookId, NpgsqlDbType.Integer, cancellationToken);
        await copy.WriteAsync(message.Subject, NpgsqlDbType.Text, cancellationToken);
        await copy.WriteAsync(message.Body, NpgsqlDbType.Jsonb, cancellationToken);
        await WriteTextAsync(copy, HistoryHeaders.Json(message), NpgsqlDbType.Jsonb, cancellationToken);
        await copy.WriteAsync(row.PublishedAt.UtcDateTime, NpgsqlDbType.TimestampTz, cancellationToken);
        await WriteTextAsync(copy, row.MessageId, NpgsqlDbType.Text, cancellationToken);
        await WriteAsync(copy, sequence, NpgsqlDbType.Bigint, cancellationToken);
        await WriteTextAsync(copy, error, NpgsqlDbType.Text, cancellationToken);
        await copy.WriteAsync((decimal)Math.Round(row.Latency.TotalMilliseconds, 2), NpgsqlDbType.Numeric, cancellationToken);
        await copy.WriteAsync(row.TriggeredBy, NpgsqlDbType.Text, cancellationToken);
        await copy.WriteAsync(error is null ? "stored" : "refused", NpgsqlDbType.Text, cancellationToken);
        await copy.WriteAsync(stream, NpgsqlDbType.Text, cancellationToken);
        await WriteAsync(copy, duplicate, NpgsqlDbType.Boolean, cancellationToken);
        await copy.WriteAsync(1, NpgsqlDbType.Integer, cancellationToken);
        await WriteAsync(copy, error is null ? (row.PublishedAt + row.Latency).UtcDateTime : (DateTime?)null, NpgsqlDbType.TimestampTz, cancellationToken);
        await copy.WriteNullAsync(cancellationToken);
        await copy.WriteAsync(message.Body, NpgsqlDbType.Bytea, cancellationToken);
        await copy.WriteAsync(Sha256(message), NpgsqlDbType.Bytea, cancellationToken);
        await copy.WriteAsync(message.MessageId, NpgsqlDbType.Text, cancellationToken);
        await WriteAsync(copy, row.ConfigId, NpgsqlDbType.Integer, cancellationToken);
        await WriteTextAsync(copy, message.TraceParent, NpgsqlDbType.Text, cancellationToken);
    }

    // The first use of an id stays the one remembered; an expired or refused one is taken over. Returns the rows that repeat an event which has its
    // row already, in the table or in this batch.
    private static async Task<HashSet<long>> RememberAsync(
        NpgsqlConnection connection, IReadOnlyList<HistoryRow> rows, long[] publishIds, CancellationToken cancellationToken)
    {
        var keys = rows
            .Select((row, index) => (Row: row, PublishId: publishIds[index]))
            .Where(key => key.Row is { RememberFor: not null, MessageId: not null, Message.WebhookId: not null, Outcome: PublishOutcome.Stored or PublishOutcome.Duplicate })
            // In one order everywhere, so that two replicas cannot wait for each other.
            .OrderBy(key => key.Row.Message.WebhookId).ThenBy(key => key.Row.MessageId, StringComparer.Ordinal).ThenBy(key => key.Row.Outcome is PublishOutcome.Duplicate)
            .ToArray();
        if (keys.Length == 0)
        {
            return [];
        }

        var repeats = keys.Where(key => key.Row.Outcome is PublishOutcome.Duplicate).Select(key => key.PublishId).ToHashSet();
        keys = [.. keys.DistinctBy(key => (key.Row.Message.WebhookId, key.Row.MessageId))];

        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(new NpgsqlBatchCommand("SET LOCAL lock_timeout = '2s'"));
        var insert = new NpgsqlBatchCommand(
            """
            INSERT INTO rule_nats_message_keys AS k (webhook_id, message_id, body_sha256, publish_id, expires_at)
            SELECT webhook_id, message_id, body_sha256, publish_id, expires_at
              FROM unnest($1, $2, $3, $4, $5) AS n (webhook_id, message_id, body_sha256, publish_id, expires_at)
            ON CONFLICT (webhook_id, message_id) DO UPDATE
               SET body_sha256 = excluded.body_sha256, publish_id = excluded.publish_id, expires_at = excluded.expires_at
             WHERE k.expires_at <= clock_timestamp()
                OR EXISTS (SELECT FROM rule_nats_publish_history h WHERE h.publish_id = k.publish_id AND h.state = 'refused')
            RETURNING publish_id
            """);
        insert.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = [.. keys.Select(key => key.Row.Message.WebhookId!.Value)] });
        insert.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. keys.Select(key => key.Row.MessageId!)] });
        insert.Parameters.Add(new NpgsqlParameter<byte[][]> { TypedValue = [.. keys.Select(key => Sha256(key.Row.Message).ToArray())] });
        insert.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. keys.Select(key => key.PublishId)] });
        insert.Parameters.Add(new NpgsqlParameter<DateTime[]> { TypedValue = [.. keys.Select(key => (key.Row.PublishedAt + key.Row.RememberFor!.Value).UtcDateTime)] });
        batch.BatchCommands.Add(insert);
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            repeats.Remove(reader.GetInt64(0));
        }

        return repeats;
    }

    private static ReadOnlyMemory<byte> Sha256(EventMessage message)
        => message.BodySha256.Length == SHA256.HashSizeInBytes ? message.BodySha256 : SHA256.HashData(message.Body.Span);

    private static Task WriteAsync<T>(NpgsqlBinaryImporter copy, T? value, NpgsqlDbType type, CancellationToken cancellationToken)
        where T : struct
        => value is { } present ? copy.WriteAsync(present, type, cancellationToken) : copy.WriteNullAsync(cancellationToken);

    private static Task WriteTextAsync(NpgsqlBinaryImporter copy, string? value, NpgsqlDbType type, CancellationToken cancellationToken)
        => value is not null ? copy.WriteAsync(value, type, cancellationToken) : copy.WriteNullAsync(cancellationToken);
}
