using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.IngestionApi.Batches;

/// <summary>How many lines of a batch have which status, and the highest of them.</summary>
internal sealed record LineCounts(int Recorded, int Completed, int Failed, int DeadLetters, DateTimeOffset? FirstReceivedAt, int HighestLine);

/// <summary>What is recorded of a batch. The ids of its lines follow from its own, so that they need no index.</summary>
internal sealed class BatchLines(NpgsqlDataSource rules)
{
    public static Guid[] Ids(Guid batch, int first, int last)
    {
        var ids = new Guid[Math.Max(0, last - first + 1)];
        for (var index = 0; index < ids.Length; index++)
        {
            ids[index] = IngestMessageId.ForLine(batch, first + index);
        }

        return ids;
    }

    public async Task<BatchRow?> FindRowAsync(Guid batch, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand(
            "SELECT received_at, lines, accepted, rejected, unavailable, complete FROM ingest_batches WHERE batch_id = $1");
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = batch });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        return await row.ReadAsync(cancellationToken)
            ? new(batch, row.GetFieldValue<DateTimeOffset>(0), row.GetInt32(1), row.GetInt32(2), row.GetInt32(3), row.GetInt32(4), row.GetBoolean(5))
            : null;
    }

    public async Task<LineCounts> CountAsync(Guid batch, int lines, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand("SELECT message_id, status, received_at FROM message_status WHERE message_id = ANY ($1)");
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = Ids(batch, 1, lines) });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        var (recorded, completed, failed, dead, highest) = (0, 0, 0, 0, 0);
        DateTimeOffset? first = null;
        while (await row.ReadAsync(cancellationToken))
        {
            recorded++;
            var status = row.GetString(1);
            completed += status == IngestStatus.Completed ? 1 : 0;
            failed += status == IngestStatus.Failed ? 1 : 0;
            dead += status == IngestStatus.DeadLetter ? 1 : 0;
            highest = Math.Max(highest, IngestMessageId.LineOf(row.GetGuid(0)));
            var received = row.GetFieldValue<DateTimeOffset>(2);
            first = first is null || received < first ? received : first;
        }

        return new(recorded, completed, failed, dead, first, highest);
    }

    /// <summary>Lines in their order, and one more than the limit where there are more.</summary>
    public async Task<List<BatchLine>> ListAsync(Guid batch, int after, int lines, string? status, int limit, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand("""
            SELECT s.message_id, s.status, s.retry_count, s.error_code, s.error_message
              FROM unnest($1::uuid[]) WITH ORDINALITY AS line (id, number) JOIN message_status s ON s.message_id = line.id
             WHERE $2::text IS NULL OR s.status = $2
             ORDER BY line.number LIMIT $3
            """);
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = Ids(batch, after + 1, lines) });
        command.Parameters.Add(new() { Value = (object?)status ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit + 1 });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        var found = new List<BatchLine>();
        while (await row.ReadAsync(cancellationToken))
        {
            var id = row.GetGuid(0);
            found.Add(new(IngestMessageId.LineOf(id), id, row.GetString(1), row.GetInt32(2), row.IsDBNull(3) ? null : row.GetString(3), row.IsDBNull(4) ? null : row.GetString(4)));
        }

        return found;
    }
}
