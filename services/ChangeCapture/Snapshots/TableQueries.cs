using System.Data;
using System.Globalization;
using System.Text;
using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.ChangeCapture.Pgoutput;
using RuleEngineNats.ChangeCapture.Replication;

namespace RuleEngineNats.ChangeCapture.Snapshots;

/// <summary>The statements that a snapshot is read with.</summary>
internal static class TableQueries
{
    // So that large rows do not add up: a chunk ends with the row that goes beyond.
    private const int MostChunkBytes = 8 * 1024 * 1024;

    /// <summary>Keeps others from changing the table's columns, or emptying it, until the transaction ends.</summary>
    public static Task LockAsync(NpgsqlConnection connection, string schema, string name, CancellationToken cancellationToken)
        => ExecuteAsync(connection, $"LOCK TABLE {CaptureSource.Quote(schema)}.{CaptureSource.Quote(name)} IN ACCESS SHARE MODE", cancellationToken);

    /// <summary>Writes a logical message into the WAL, at the commit of the transaction.</summary>
    public static async Task EmitAsync(NpgsqlConnection connection, SnapshotMessage message, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection) { Timeout = 0, BatchCommands = { Emit(message) } };
        await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    public static NpgsqlBatchCommand Emit(SnapshotMessage message) => new("SELECT pg_logical_emit_message(true, $1, $2)")
    {
        Parameters = { new() { Value = SnapshotMessage.Prefix }, new() { Value = message.ToJson() } },
    };

    /// <summary>The next rows behind a key, as the server writes them into pgoutput.</summary>
    /// <returns>And whether the table ends with them.</returns>
    public static async Task<(List<ReadRow> Rows, bool IsLast)> ReadAsync(
        NpgsqlConnection connection, TableDescription description, IReadOnlyList<KeyColumn>? after, int limit, CancellationToken cancellationToken)
    {
        if (description.Key.Any(part => part.ExtensionSchema is not null))
        {
            // ORDER BY knows how to compare values of a type; > has to be found.
            await ExecuteAsync(connection, "SELECT set_config('search_path', $1, true)", cancellationToken,
                string.Join(", ", description.Key.Select(part => part.ExtensionSchema).OfType<string>().Distinct().Prepend("pg_catalog")));
        }

        // Every result as text, and no key as another type than its column's.
        await using var command = new NpgsqlCommand(Select(description, after is not null, limit), connection) { AllResultTypesAreUnknown = true, CommandTimeout = 0 };
        foreach (var column in after ?? [])
        {
            command.Parameters.Add(new() { Value = column.Value, NpgsqlDbType = NpgsqlDbType.Unknown });
        }

        var (rows, bytes) = (new List<ReadRow>(), 0L);
        await using var reader = await command.ExecuteReaderAsync(CommandBehavior.SequentialAccess, cancellationToken);
        while (bytes < MostChunkBytes && await reader.ReadAsync(cancellationToken))
        {
            var row = await RowAsync(reader, description, cancellationToken);
            bytes += row.Values.Sum(value => (long)value.Text.Length);
            rows.Add(row);
        }

        return (rows, rows.Count < limit && bytes < MostChunkBytes);
    }

    private static async Task<ReadRow> RowAsync(NpgsqlDataReader reader, TableDescription description, CancellationToken cancellationToken)
    {
        var key = new string[description.Key.Count];
        for (var index = 0; index < key.Length; index++)
        {
            key[index] = await reader.GetFieldValueAsync<string>(index, cancellationToken);
        }

        var values = new Value[description.Relation.Columns.Count];
        for (var index = 0; index < values.Length; index++)
        {
            var column = key.Length + index;
            values[index] = await reader.IsDBNullAsync(column, cancellationToken)
                ? default
                : new(ValueKind.Text, await reader.GetFieldValueAsync<byte[]>(column, cancellationToken));
        }

        return new(key, values);
    }

    // The index's collations: by another, keys that the index tells apart may be equal.
    private static string Select(TableDescription description, bool behind, int limit)
    {
        var relation = description.Relation;
        var key = string.Join(", ", description.Key.Select(part => CaptureSource.Quote(part.Name) + (part.Collation is null ? "" : $" COLLATE {part.Collation}")));
        var conditions = new List<string>();
        if (description.RowFilter is { } filter)
        {
            conditions.Add($"({filter})");
        }

        if (behind)
        {
            conditions.Add($"({key}) > ({string.Join(", ", description.Key.Select((_, index) => string.Create(CultureInfo.InvariantCulture, $"${index + 1}")))})");
        }

        var columns = description.Key.Select(part => part.Name).Concat(relation.Columns.Select(column => column.Name)).Select(CaptureSource.Quote);
        return new StringBuilder()
            .Append("SELECT ").AppendJoin(", ", columns)
            .Append(description.IsPartitioned ? " FROM " : " FROM ONLY ").Append(CaptureSource.Quote(relation.Schema)).Append('.').Append(CaptureSource.Quote(relation.Name))
            .Append(conditions.Count == 0 ? "" : " WHERE ").AppendJoin(" AND ", conditions)
            .Append(CultureInfo.InvariantCulture, $" ORDER BY {key} LIMIT {limit}").ToString();
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken, params string[] parameters)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        foreach (var parameter in parameters)
        {
            command.Parameters.Add(new() { Value = parameter });
        }

        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
