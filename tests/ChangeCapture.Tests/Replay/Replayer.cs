using System.Text.Json;
using Npgsql;
using NpgsqlTypes;

namespace RuleEngineNats.ChangeCapture.Tests.Replay;

/// <summary>
/// Applies the events of a stream, in their order, to a second database: transaction by transaction, each row by its key or, where there is none, by all
/// of its values; and runs the statements that the workload says are its DDL.
/// </summary>
/// <param name="typed">Whether the events have <c>--values typed</c>.</param>
internal sealed class Replayer(NpgsqlConnection target, bool typed) : IAsyncDisposable
{
    public const string DdlPrefix = "ddl";

    // As the capture's own sessions, so that a value compares as text with what was captured; and no trigger or foreign key does anything twice.
    public const string Settings =
        "SET session_replication_role = replica; SET datestyle = ISO; SET intervalstyle = postgres; SET extra_float_digits = 3; SET bytea_output = hex; SET timezone = UTC";

    private const int MostPending = 500;
    private const int MostParameters = 1000;

    private readonly Dictionary<uint, Table> _tables = [];
    private readonly NpgsqlBatch _batch = new(target) { Timeout = 600 };
    private readonly List<(int Rows, string Event)> _expected = [];
    private NpgsqlBatchCommand? _insert;
    private string _insertHead = "";

    /// <summary>How many rows were inserted, updated and deleted.</summary>
    public long Rows { get; private set; }

    public async Task ApplyAsync(StoredEvent stored)
    {
        using var document = JsonDocument.Parse(stored.Body);
        var (kind, body) = (document.RootElement.EnumerateObject().Single().Name, document.RootElement.EnumerateObject().Single().Value);
        switch (kind)
        {
            case "Begin" or "Commit":
                Add(kind, -1, stored.Body);
                break;
            case "Relation":
                _tables[body.GetProperty("relation_id").GetUInt32()] = Table.Read(body);
                break;
            case "Insert":
                Insert(Find(body), body.GetProperty("new_tuple"), stored.Body);
                break;
            case "Update":
                await UpdateAsync(Find(body), body, stored.Body);
                break;
            case "Delete":
                var (condition, values) = await FindRowAsync(Find(body), body.GetProperty("old_tuple"));
                Add($"DELETE FROM {Find(body).Name} WHERE {condition}", 1, stored.Body, values);
                break;
            case "Truncate":
                // Together with others, or with CASCADE: both ways those that refer to it were emptied as well.
                Add($"TRUNCATE {Find(body).Name} CASCADE", -1, stored.Body);
                break;
            case "Message" when body.GetProperty("prefix").GetString() == DdlPrefix:
                Add(body.GetProperty("content").GetString()!, -1, stored.Body);
                break;
            case "Message" or "Type":
                break;
            default:
                throw new InvalidOperationException($"what to do with {stored.Body}?");
        }

        if (_batch.BatchCommands.Count >= MostPending)
        {
            await FlushAsync();
        }
    }

    /// <summary>Runs what is still waiting.</summary>
    public async Task FlushAsync()
    {
        if (_batch.BatchCommands.Count == 0)
        {
            return;
        }

        await _batch.ExecuteNonQueryAsync();
        for (var index = 0; index < _expected.Count; index++)
        {
            var (rows, text) = _expected[index];
            Assert.True(rows < 0 || (ulong)rows == _batch.BatchCommands[index].Rows, $"{_batch.BatchCommands[index].Rows} rows instead of {rows}: {_batch.BatchCommands[index].CommandText} of {text}");
        }

        (_insert, _insertHead) = (null, "");
        _batch.BatchCommands.Clear();
        _expected.Clear();
    }

    public ValueTask DisposeAsync() => _batch.DisposeAsync();

    private void Add(string sql, int rows, string text, params IEnumerable<string?> values)
    {
        _batch.BatchCommands.Add(Parameters(new(sql), values));
        _expected.Add((rows, text));
        (_insert, _insertHead) = (null, "");
        Rows += Math.Max(rows, 0);
    }

    // Without a type: the server takes the column's, and reads the value as it reads a literal.
    private static NpgsqlBatchCommand Parameters(NpgsqlBatchCommand command, IEnumerable<string?> values)
    {
        foreach (var value in values)
        {
            command.Parameters.Add(new() { NpgsqlDbType = NpgsqlDbType.Unknown, Value = value ?? (object)DBNull.Value });
        }

        return command;
    }

    // Rows that come one after the other go in together.
    private void Insert(Table table, JsonElement row, string text)
    {
        var columns = row.EnumerateObject().ToArray();
        var head = columns.Length == 0
            ? $"INSERT INTO {table.Name} DEFAULT VALUES"
            : $"INSERT INTO {table.Name} ({string.Join(", ", columns.Select(column => Sql.Identifier(column.Name)))}) OVERRIDING SYSTEM VALUE VALUES ";
        if (_insert is null || head != _insertHead || columns.Length == 0 || _insert.Parameters.Count + columns.Length > MostParameters)
        {
            Add(head, 0, text);
            (_insert, _insertHead) = (_batch.BatchCommands[^1], head);
        }
        else
        {
            _insert.CommandText += ", ";
        }

        if (columns.Length > 0)
        {
            _insert.CommandText += $"({Numbered(columns.Length, _insert.Parameters.Count)})";
        }

        Parameters(_insert, columns.Select(column => Text(table, column)));
        _expected[^1] = (_expected[^1].Rows + 1, text);
        Rows++;
    }

    private async Task UpdateAsync(Table table, JsonElement body, string text)
    {
        var (now, old) = (body.GetProperty("new_tuple"), body.GetProperty("old_tuple"));
        var (condition, values) = await FindRowAsync(table, old.ValueKind is JsonValueKind.Null ? now : old);
        // A key that did not change may be one that cannot be set (GENERATED ALWAYS AS IDENTITY).
        var set = now.EnumerateObject().Where(column => old.ValueKind is not JsonValueKind.Null || !table.IsKey(column.Name)).ToArray();
        if (set.Length == 0)
        {
            return;
        }

        Add(
            $"UPDATE {table.Name} SET {string.Join(", ", set.Select((column, index) => $"{Sql.Identifier(column.Name)} = ${values.Length + index + 1}"))} WHERE {condition}",
            1,
            text,
            [.. values, .. set.Select(column => Text(table, column))]);
    }

    /// <summary>The condition that finds one row, and the values in it.</summary>
    private async Task<(string Condition, string?[] Values)> FindRowAsync(Table table, JsonElement row)
    {
        var columns = row.EnumerateObject().Where(column => table.IsKey(column.Name)).ToArray();
        var values = columns.Select(column => Text(table, column)).ToArray();
        if (!table.IsFull)
        {
            return (string.Join(" AND ", columns.Select((column, index) => $"{Sql.Identifier(column.Name)} = ${index + 1}")), values);
        }

        // Not every type has an equality: the texts of the rows do.
        var types = table.Types ??= await TypesAsync(table.Name);
        var named = string.Join(", ", columns.Select(column => Sql.Identifier(column.Name)));
        var given = string.Join(", ", columns.Select((column, index) => $"${index + 1}::{types[column.Name]}"));
        return ($"ctid = (SELECT ctid FROM {table.Name} WHERE ROW({named})::text = ROW({given})::text LIMIT 1)", values);
    }

    private async Task<Dictionary<string, string>> TypesAsync(string table)
    {
        await FlushAsync();
        await using var command = new NpgsqlCommand("SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped", target)
        {
            Parameters = { new() { Value = table } },
        };
        var types = new Dictionary<string, string>();
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            types[reader.GetString(0)] = reader.GetString(1);
        }

        return types;
    }

    private static string Numbered(int count, int before) => string.Join(", ", Enumerable.Range(before + 1, count).Select(number => $"${number}"));

    private string? Text(Table table, JsonProperty column) => EventValue.Text(column.Value, table.Columns[column.Name].Type, typed);

    private Table Find(JsonElement body) => _tables[body.GetProperty("relation_id").GetUInt32()];

    /// <summary>A table as its relation event describes it.</summary>
    private sealed record Table(string Name, Dictionary<string, (uint Type, bool IsKey)> Columns)
    {
        public bool IsFull { get; } = Columns.Values.All(column => column.IsKey) && Columns.Count > 2;

        public Dictionary<string, string>? Types { get; set; }

        public static Table Read(JsonElement body) => new(
            Sql.Table(body.GetProperty("schema").GetString()!, body.GetProperty("table").GetString()!),
            body.GetProperty("columns").EnumerateArray().ToDictionary(
                column => column.GetProperty("name").GetString()!, column => (column.GetProperty("type_id").GetUInt32(), column.GetProperty("flags").GetInt32() == 1)));

        public bool IsKey(string column) => Columns[column].IsKey;
    }
}
