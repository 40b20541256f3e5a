using Npgsql;
using RuleEngineNats.Entities;
using RuleEngineNats.IngestionWorker.Reading;

namespace RuleEngineNats.IngestionWorker.Storing;

/// <summary>
/// Brings the rows of documents into their tables, parents first. Rows that are new go there by COPY, which stores a third more of them in the same time; where one of them
/// is not new, all go by COPY into temporary tables and from there by unicity.
/// </summary>
internal static class WriteRows
{
    private const string BeforeCopy = "before_copy";

    // The rows are encoded as the definitions say. COPY would take the bytes of another type of the same length for what they are not, a cast from the temporary table does not.
    private const string AreAlike = """
        SELECT NOT EXISTS (
            SELECT FROM unnest($1, $2) AS n (stage, name)
              JOIN pg_attribute s ON s.attrelid = to_regclass('pg_temp.' || quote_ident(n.stage)) AND s.attnum > 0
              LEFT JOIN pg_class c ON c.oid = to_regclass(quote_ident(n.name)) AND c.relkind IN ('r', 'p') AND NOT c.relhasrules AND NOT c.relrowsecurity
              LEFT JOIN pg_attribute t ON t.attrelid = c.oid AND t.attname = s.attname AND NOT t.attisdropped
             WHERE t.atttypid IS DISTINCT FROM s.atttypid)
        """;

    public static async Task RunAsync(
        Writer writer, NpgsqlTransaction transaction, ReadDocuments read, IReadOnlyList<Document> documents, int[] rows, CancellationToken cancellationToken)
    {
        int[] tables = [.. Enumerable.Range(0, rows.Length).Where(table => rows[table] > 0)];
        if (tables.Length == 0
            || (writer.ExpectsNewRows() && await AreAlikeAsync(writer, read.Catalog, tables, cancellationToken)
                && await TryCopyAsync(writer, transaction, read, documents, tables, cancellationToken)))
        {
            return;
        }

        var connection = writer.Connection!;
        await using var batch = new NpgsqlBatch(connection);
        foreach (var table in tables)
        {
            var sql = writer[read.Catalog.Tables[table]];
            await CopyAsync(connection, sql.CopyToStage, read.RowsOf(table), documents, table, cancellationToken);
            batch.BatchCommands.Add(new(sql.Upsert));
        }

        await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task<bool> TryCopyAsync(
        Writer writer, NpgsqlTransaction transaction, ReadDocuments read, IReadOnlyList<Document> documents, int[] tables, CancellationToken cancellationToken)
    {
        await transaction.SaveAsync(BeforeCopy, cancellationToken);
        try
        {
            foreach (var table in tables)
            {
                await CopyAsync(writer.Connection!, writer[read.Catalog.Tables[table]].CopyToTable, read.RowsOf(table), documents, table, cancellationToken);
            }

            return true;
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.UniqueViolation)
        {
            writer.ExpectKnownRows();
            await transaction.RollbackAsync(BeforeCopy, cancellationToken);
            return false;
        }
    }

    private static async Task<bool> AreAlikeAsync(Writer writer, EntityCatalog catalog, int[] tables, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(writer.Connection);
        foreach (var table in tables)
        {
            batch.BatchCommands.Add(new(writer[catalog.Tables[table]].Lock));
        }

        var alike = new NpgsqlBatchCommand(AreAlike);
        alike.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = Array.ConvertAll(tables, table => writer[catalog.Tables[table]].Stage) });
        alike.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = Array.ConvertAll(tables, table => catalog.Tables[table].Name) });
        batch.BatchCommands.Add(alike);
        return (bool)(await batch.ExecuteScalarAsync(cancellationToken))!;
    }

    private static async Task CopyAsync(
        NpgsqlConnection connection, string sql, ReadOnlyMemory<byte> rows, IReadOnlyList<Document> documents, int table, CancellationToken cancellationToken)
    {
        await using var copy = await connection.BeginRawBinaryCopyAsync(sql, cancellationToken);
        await copy.WriteAsync(CopyFormat.Header, cancellationToken);
        // What lies side by side goes at once: of a whole batch that is all of it.
        var (start, end) = (0, 0);
        foreach (var document in documents)
        {
            foreach (var slice in document.Slices)
            {
                if (slice.Table != table)
                {
                    continue;
                }

                if (slice.Start != end)
                {
                    await copy.WriteAsync(rows[start..end], cancellationToken);
                    start = slice.Start;
                }

                end = slice.Start + slice.Length;
            }
        }

        await copy.WriteAsync(rows[start..end], cancellationToken);
        await copy.WriteAsync(CopyFormat.Trailer, cancellationToken);
    }
}
