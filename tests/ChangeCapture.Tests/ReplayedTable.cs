using System.Globalization;
using System.Text.Json;
using Npgsql;

namespace RuleEngineNats.ChangeCapture.Tests;

/// <summary>A table as a consumer of the stream has it: reads and inserts put a row, updates put it over what there was, deletes take it away.</summary>
internal sealed class ReplayedTable
{
    private readonly Dictionary<string, Dictionary<string, string?>> _rows = [];

    private ReplayedTable()
    {
    }

    /// <summary>One line a row, in an order of its own.</summary>
    public IEnumerable<string> Rows => _rows.Values.Select(Line).Order(StringComparer.Ordinal);

    /// <summary>The keys of the rows that a snapshot read, in the order of the stream.</summary>
    public List<string> Reads { get; } = [];

    /// <param name="table">As in subjects: <c>public.t</c>.</param>
    public static ReplayedTable Of(IEnumerable<StoredEvent> stored, string table, params string[] key)
    {
        var replayed = new ReplayedTable();
        foreach (var message in stored)
        {
            if (message.Subject == "postgres.transactions.gap.event")
            {
                // What was deleted meanwhile comes no more: the snapshot that follows has the rest.
                replayed._rows.Clear();
            }

            if (!message.Subject.StartsWith($"postgres.{table}.", StringComparison.Ordinal))
            {
                continue;
            }

            var change = Assert.Single(JsonElement.Parse(message.Body).EnumerateObject());
            replayed.Apply(change.Name, change.Value, key);
        }

        return replayed;
    }

    /// <summary>The same lines of the table itself.</summary>
    public static async Task<IEnumerable<string>> RowsAsync(CaptureHarness harness, string sql)
    {
        await using var connection = await harness.Database.OpenConnectionAsync();
        await using var command = new NpgsqlCommand(sql, connection) { AllResultTypesAreUnknown = true };
        await using var reader = await command.ExecuteReaderAsync();
        var rows = new List<string>();
        while (await reader.ReadAsync())
        {
            rows.Add(Line(Enumerable.Range(0, reader.FieldCount).ToDictionary(reader.GetName, column => reader.IsDBNull(column) ? null : reader.GetString(column))));
        }

        return rows.Order(StringComparer.Ordinal);
    }

    private static string Line(Dictionary<string, string?> row) => string.Join(", ", row.Select(column => $"{column.Key}={column.Value ?? "NULL"}"));

    private void Apply(string kind, JsonElement change, string[] key)
    {
        switch (kind)
        {
            case "Read":
                Reads.Add(KeyOf(change.GetProperty("new_tuple"), key));
                Put(change, [], key);
                break;
            case "Insert":
                Put(change, [], key);
                break;
            case "Update":
                var old = change.GetProperty("old_tuple");
                var before = KeyOf(old.ValueKind is JsonValueKind.Object ? old : change.GetProperty("new_tuple"), key);
                _rows.Remove(before, out var row);
                Put(change, row ?? [], key);
                break;
            case "Delete":
                _rows.Remove(KeyOf(change.GetProperty("old_tuple"), key));
                break;
            case "Truncate":
                _rows.Clear();
                break;
        }
    }

    // A value that is neither sent nor known would be missing for good.
    private void Put(JsonElement change, Dictionary<string, string?> before, string[] key)
    {
        var row = new Dictionary<string, string?>(before);
        foreach (var column in change.GetProperty("new_tuple").EnumerateObject())
        {
            row[column.Name] = column.Value.GetString();
        }

        if (change.TryGetProperty("unchanged_toast", out var unchanged))
        {
            foreach (var column in unchanged.EnumerateArray())
            {
                row.TryAdd(column.GetString()!, "(not known)");
            }
        }

        _rows[KeyOf(change.GetProperty("new_tuple"), key)] = row;
    }

    private static string KeyOf(JsonElement row, string[] key) => string.Join("|", key.Select(column => row.GetProperty(column).GetString()!.Length.ToString(CultureInfo.InvariantCulture) + row.GetProperty(column).GetString()));
}
