using System.Globalization;
using Npgsql;

namespace RuleEngineNats.ChangeCapture.Tests.Replay;

/// <summary>What a database's tables hold: of each the number of rows and an md5 over their texts.</summary>
internal static class Contents
{
    private const string Tables = """
        SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
         WHERE relkind = 'r' AND relpersistence = 'p' AND nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1, 2
        """;

    public static async Task<SortedDictionary<string, string>> ReadAsync(NpgsqlConnection connection)
    {
        var names = new List<string>();
        await using (var tables = new NpgsqlCommand(Tables, connection))
        await using (var reader = await tables.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                names.Add(Sql.Table(reader.GetString(0), reader.GetString(1)));
            }
        }

        var contents = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var name in names)
        {
            await using var command = new NpgsqlCommand($"SELECT count(*), md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) FROM {name} t", connection) { CommandTimeout = 600 };
            await using var reader = await command.ExecuteReaderAsync();
            await reader.ReadAsync();
            contents[name] = string.Create(CultureInfo.InvariantCulture, $"{reader.GetInt64(0)} rows, {reader.GetString(1)}");
        }

        return contents;
    }
}
