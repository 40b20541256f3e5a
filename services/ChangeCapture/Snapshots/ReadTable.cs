using System.Data;
using Microsoft.Extensions.Logging;
using Npgsql;
using RuleEngineNats.ChangeCapture.Filters;
using RuleEngineNats.ChangeCapture.Replication;

namespace RuleEngineNats.ChangeCapture.Snapshots;

/// <summary>Reads a table chunk by chunk, each when the one before is written.</summary>
internal sealed class ReadTable(
    CaptureOptions options, CaptureSource source, CaptureFilter filter, SnapshotMarks marks, TimeProvider time, ILogger logger)
{
    private readonly TableWriters _writers = new(time, logger);

    /// <exception cref="SnapshotException">The table cannot be read.</exception>
    public async Task RunAsync(SnapshotRun run, SnapshotTable table, CancellationToken cancellationToken)
    {
        await using var connection = source.CreateReading();
        await connection.OpenAsync(cancellationToken);
        var (oid, limit) = (0u, options.SnapshotChunkRows);
        TableWindow? window = null;
        try
        {
            while (!table.IsDone)
            {
                if (window is null)
                {
                    // Changes are noted from here on; then those that were not noted are waited for.
                    var description = await DescribeAsync(connection, table, cancellationToken);
                    (oid, window) = (description.Oid, marks.Open(description));
                    await _writers.WaitAsync(connection, oid, table.FullName, cancellationToken);
                }

                if (await ReadAsync(connection, run, table, window, limit, cancellationToken) is { } chunk)
                {
                    // Less than there was room for: rows are large, or one of them changes all the time.
                    limit = chunk.Settled < limit && !table.IsDone ? Math.Max(1, chunk.Settled) : Math.Min(2 * limit, options.SnapshotChunkRows);
                }
                else
                {
                    marks.Close(oid);
                    window = null;
                }
            }
        }
        catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.InvalidSchemaName)
        {
            throw new SnapshotException($"table {table.FullName} was dropped while it was read");
        }
        finally
        {
            marks.Close(oid);
        }
    }

    /// <returns>Null where it is another table by now, or has another key.</returns>
    private async Task<TableChunk?> ReadAsync(
        NpgsqlConnection connection, SnapshotRun run, SnapshotTable table, TableWindow window, int limit, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancellationToken);
        await TableQueries.LockAsync(connection, table.Schema, table.Name, cancellationToken);
        var description = await DescribeAsync(connection, table, cancellationToken);
        if (!window.Fits(description))
        {
            return null;
        }

        // A position in another key says nothing: from the start.
        var after = table.After?.Select(column => column.Name).SequenceEqual(description.Key.Select(part => part.Name)) == true ? table.After : null;
        var (rows, isLast) = await TableQueries.ReadAsync(connection, description, after, limit, cancellationToken);
        var chunk = new TableChunk(run, table, description, window, rows, isLast);
        window.Expect(chunk);
        await marks.WriteAsync(connection, transaction, chunk, cancellationToken);
        return chunk;
    }

    private async Task<TableDescription> DescribeAsync(NpgsqlConnection connection, SnapshotTable table, CancellationToken cancellationToken)
    {
        var description = await TableDescription.LoadAsync(connection, options.Publications, table.Schema, table.Name, cancellationToken)
            ?? throw new SnapshotException($"table {table.FullName} was dropped or left the publications while it was read");
        if (description.Key.Count == 0)
        {
            throw new SnapshotException(SnapshotTables.WithoutKey(table.FullName));
        }

        filter.Apply(description.Relation);
        table.EstimatedRows = description.EstimatedRows;
        return description;
    }
}

/// <summary>The snapshot cannot be completed; the message says why and what to do.</summary>
internal sealed class SnapshotException(string message) : Exception(message);
