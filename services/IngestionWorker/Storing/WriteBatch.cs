using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.IngestionWorker.Reading;

namespace RuleEngineNats.IngestionWorker.Storing;

/// <summary>
/// The one transaction that stores documents.
/// <code>
/// 1 status      completed, for every id that is not final already; another worker with the same ids waits here for the commit
/// 2 rows        <see cref="WriteRows"/>
/// 3 publish     what are events as well, into the outbox
/// 4 count       the totals, last, since their row is held until the commit
/// </code>
/// </summary>
internal static class WriteBatch
{
    /// <returns>The ids that were stored; the others were final before, or belong to other documents.</returns>
    public static async Task<HashSet<Guid>> RunAsync(Writer writer, ReadDocuments read, IReadOnlyList<Document> documents, CancellationToken cancellationToken)
    {
        var rows = CountRows(read, documents);
        await writer.PrepareAsync(read.Catalog, Enumerable.Range(0, rows.Length).Where(table => rows[table] > 0).Select(table => read.Catalog.Tables[table]), cancellationToken);
        var connection = writer.Connection!;
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var stored = await StatusTable.CompleteAsync(connection, documents, cancellationToken);
        if (stored.Count < documents.Count)
        {
            documents = [.. documents.Where(document => stored.Contains(document.Id))];
            rows = CountRows(read, documents);
        }

        if (documents.Count > 0)
        {
            await WriteRows.RunAsync(writer, transaction, read, documents, rows, cancellationToken);
            await using var batch = new NpgsqlBatch(connection);
            AddPublishes(batch, documents);
            AddTotals(batch, writer.Name, documents);
            await batch.ExecuteNonQueryAsync(cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
        return stored;
    }

    private static int[] CountRows(ReadDocuments read, IReadOnlyList<Document> documents)
    {
        var rows = new int[read.Catalog.Tables.Count];
        foreach (var document in documents)
        {
            foreach (var slice in document.Slices)
            {
                rows[slice.Table] += slice.Rows;
            }
        }

        return rows;
    }

    private static void AddPublishes(NpgsqlBatch batch, IReadOnlyList<Document> documents)
    {
        foreach (var events in documents.SelectMany(document => document.Events, (document, one) => (One: one, Document: document)).GroupBy(pair => pair.One.Subject))
        {
            var command = new NpgsqlBatchCommand("SELECT rule_nats_publish_subject($1, $2, $3, $4, 'ingestion-worker')");
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = events.Key });
            command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. events.Select(pair => pair.One.Id)] });
            command.Parameters.Add(new NpgsqlParameter<ReadOnlyMemory<byte>[]> { TypedValue = [.. events.Select(pair => pair.One.Body)] });
            command.Parameters.Add(new NpgsqlParameter<string?[]> { TypedValue = [.. events.Select(pair => TraceOf(pair.Document))] });
            batch.BatchCommands.Add(command);
        }
    }

    private static string? TraceOf(Document document)
        => document.Arrival.Message.Headers is { } headers && headers.TryGetValue(EventHeaders.TraceParent, out var values) && values.Count > 0 ? values[0] : null;

    private static void AddTotals(NpgsqlBatch batch, string worker, IReadOnlyList<Document> documents)
    {
        var totals = new Dictionary<string, (long Documents, long Rows)>(StringComparer.Ordinal);
        foreach (var document in documents)
        {
            var (count, rows) = totals.GetValueOrDefault(document.Entity.Name);
            foreach (var slice in document.Slices)
            {
                rows += slice.Rows;
            }

            totals[document.Entity.Name] = (count + 1, rows);
        }

        var command = new NpgsqlBatchCommand("""
            INSERT INTO ingest_totals AS t (worker_name, entity_type, completed, entity_rows)
            SELECT $1, n.entity, n.completed, n.written FROM unnest($2, $3, $4) AS n (entity, completed, written)
            ON CONFLICT (worker_name, entity_type) DO UPDATE
               SET completed = t.completed + excluded.completed, entity_rows = t.entity_rows + excluded.entity_rows, updated_at = clock_timestamp()
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = worker });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. totals.Keys] });
        command.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. totals.Values.Select(total => total.Documents)] });
        command.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. totals.Values.Select(total => total.Rows)] });
        batch.BatchCommands.Add(command);
    }
}
