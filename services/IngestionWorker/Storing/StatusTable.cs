using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.Contracts;
using RuleEngineNats.IngestionWorker.DeadLetters;
using RuleEngineNats.IngestionWorker.Reading;

namespace RuleEngineNats.IngestionWorker.Storing;

/// <summary>
/// Writes of <c>message_status</c>. Each is one statement that leaves alone what is final, and what is another document under the same id, so that in whatever order
/// workers come, a status never goes backward.
/// </summary>
internal static class StatusTable
{
    private const int LongestName = 255;

    private const string Columns = "message_id, received_at, processed_at, retry_count, body_sha256, status, entity_type, source, stream_sequence, error_code, error_message, dlq_sequence";

    private const string Conflict = """
        ON CONFLICT (message_id) DO UPDATE
           SET status = excluded.status, processed_at = excluded.processed_at, retry_count = greatest(s.retry_count, excluded.retry_count),
               entity_type = excluded.entity_type, stream_sequence = excluded.stream_sequence, error_code = excluded.error_code,
               error_message = excluded.error_message, dlq_sequence = excluded.dlq_sequence
         WHERE s.status NOT IN ('completed', 'dlq') AND coalesce(s.body_sha256 = excluded.body_sha256, true)
        """;

    private const string Documents = "unnest($1, $2, $3, $4, $5, $6, $7) AS n (id, received, retries, sha, entity, source, sequence)";

    /// <summary>Marks documents as completed, in the transaction that stores their rows; returns the ids for which that is new.</summary>
    public static async Task<HashSet<Guid>> CompleteAsync(NpgsqlConnection connection, IReadOnlyList<Document> documents, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand($"""
            INSERT INTO message_status AS s ({Columns})
            SELECT id, received, clock_timestamp(), retries, sha, 'completed', entity, source, sequence, NULL, NULL, NULL FROM {Documents}
            {Conflict}
            RETURNING message_id
            """, connection);
        Add(command, documents, document => document.Arrival.Delivery - 1);
        var completed = new HashSet<Guid>(documents.Count);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            completed.Add(reader.GetGuid(0));
        }

        return completed;
    }

    /// <summary>Says that a worker has documents which some worker had before.</summary>
    public static async Task ProcessAsync(NpgsqlDataSource database, IReadOnlyList<Document> documents, CancellationToken cancellationToken)
    {
        // What failed before keeps its reason until it is known how this attempt ends.
        await using var command = database.CreateCommand($"""
            INSERT INTO message_status AS s ({Columns})
            SELECT id, received, NULL, retries, sha, 'processing', entity, source, sequence, NULL, NULL, NULL FROM {Documents}
            ON CONFLICT (message_id) DO UPDATE SET status = 'processing', retry_count = greatest(s.retry_count, excluded.retry_count)
             WHERE s.status NOT IN ('completed', 'dlq') AND coalesce(s.body_sha256 = excluded.body_sha256, true)
            """);
        Add(command, documents, document => document.Arrival.Delivery - 1);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Says that an attempt failed and another follows.</summary>
    public static async Task FailAsync(
        NpgsqlDataSource database, IReadOnlyList<(Document Document, StoreProblem Problem)> failed, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            INSERT INTO message_status AS s ({Columns})
            SELECT id, received, NULL, retries, sha, 'failed', entity, source, sequence, code, message, NULL
              FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) AS n (id, received, retries, sha, entity, source, sequence, code, message)
            {Conflict}
            """);
        Add(command, [.. failed.Select(one => one.Document)], document => document.Arrival.Delivery);
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. failed.Select(one => one.Problem.Code)] });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. failed.Select(one => one.Problem.Message)] });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Marks dead letters whose place in <see cref="StreamNames.MessagesDeadLetter"/> is known, and counts those for which that is new.</summary>
    public static async Task BuryAsync(
        NpgsqlDataSource database, string worker, IReadOnlyList<(DeadLetter Letter, long Sequence)> letters, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"""
            WITH buried AS (
                INSERT INTO message_status AS s ({Columns})
                SELECT id, received, clock_timestamp(), retries, sha, 'dlq', entity, source, sequence, code, message, place
                  FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS n (id, received, retries, sha, entity, source, sequence, code, message, place)
                {Conflict}
                RETURNING s.entity_type)
            INSERT INTO ingest_totals AS t (worker_name, entity_type, dlq)
            SELECT $11, coalesce(b.entity_type, ''), count(*) FROM buried b GROUP BY 2
            ON CONFLICT (worker_name, entity_type) DO UPDATE SET dlq = t.dlq + excluded.dlq, updated_at = clock_timestamp()
            """);
        Add(command, [.. letters.Select(one => one.Letter.Id)]);
        Add(command, [.. letters.Select(one => one.Letter.Envelope?.ReceivedAt ?? one.Letter.Arrival.StoredAt)]);
        Add(command, [.. letters.Select(one => one.Letter.Arrival.Delivery - 1)]);
        Add<byte[]?>(command, [.. letters.Select(one => one.Letter.Sha256)]);
        Add(command, [.. letters.Select(one => Name(one.Letter.Entity))]);
        Add(command, [.. letters.Select(one => Name(one.Letter.Envelope?.Source))]);
        Add(command, [.. letters.Select(one => one.Letter.Arrival.Sequence)]);
        Add(command, [.. letters.Select(one => one.Letter.Code)]);
        Add(command, [.. letters.Select(one => one.Letter.Reason)]);
        Add(command, [.. letters.Select(one => one.Sequence)]);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = worker });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>What is known of ids that may have been used before.</summary>
    public static async Task<Dictionary<Guid, (bool IsFinal, byte[]? Sha256)>> FindAsync(
        NpgsqlDataSource database, IEnumerable<Guid> ids, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT message_id, status IN ('completed', 'dlq'), body_sha256 FROM message_status WHERE message_id = ANY ($1)");
        Add(command, [.. ids]);
        var found = new Dictionary<Guid, (bool, byte[]?)>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            found[reader.GetGuid(0)] = (reader.GetBoolean(1), reader.IsDBNull(2) ? null : reader.GetFieldValue<byte[]>(2));
        }

        return found;
    }

    private static void Add(NpgsqlCommand command, IReadOnlyList<Document> documents, Func<Document, int> retries)
    {
        var ids = new Guid[documents.Count];
        var received = new DateTime[documents.Count];
        var counts = new int[documents.Count];
        var hashes = new byte[documents.Count][];
        var entities = new string[documents.Count];
        var sources = new string?[documents.Count];
        var sequences = new long[documents.Count];
        for (var index = 0; index < documents.Count; index++)
        {
            var document = documents[index];
            ids[index] = document.Id;
            received[index] = document.Envelope.ReceivedAt.UtcDateTime;
            counts[index] = retries(document);
            hashes[index] = document.Sha256;
            entities[index] = document.Entity.Name;
            sources[index] = Name(document.Envelope.Source);
            sequences[index] = document.Arrival.Sequence;
        }

        Add(command, ids);
        Add(command, received);
        Add(command, counts);
        Add(command, hashes);
        Add(command, entities);
        Add(command, sources);
        Add(command, sequences);
    }

    private static void Add<T>(NpgsqlCommand command, T[] values) => command.Parameters.Add(new NpgsqlParameter<T[]> { TypedValue = values });

    private static void Add(NpgsqlCommand command, DateTimeOffset[] values) => Add(command, Array.ConvertAll(values, value => value.UtcDateTime));

    private static void Add(NpgsqlCommand command, DateTime[] values)
        => command.Parameters.Add(new NpgsqlParameter<DateTime[]> { TypedValue = values, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.TimestampTz });

    /// <summary>What a column for names takes of a text out of an envelope, which anybody may have written.</summary>
    public static string? Name(string? text)
    {
        var length = Math.Min(text?.Length ?? 0, LongestName);
        return text?[..(length > 0 && char.IsHighSurrogate(text[length - 1]) ? length - 1 : length)].Replace('\0', ' ');
    }
}
