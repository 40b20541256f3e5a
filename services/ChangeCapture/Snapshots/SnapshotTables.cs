using Npgsql;
using RuleEngineNats.ChangeCapture.Filters;
using RuleEngineNats.ChangeCapture.Replication;

namespace RuleEngineNats.ChangeCapture.Snapshots;

/// <summary>Which tables a snapshot is of, and whether they can be read.</summary>
internal sealed class SnapshotTables(CaptureOptions options, CaptureFilter filter)
{
    private const string Captured = """
        SELECT p.schemaname::text, p.tablename::text,
               EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END),
               has_table_privilege(c.oid, 'SELECT'), row_security_active(c.oid), current_user::text, current_setting('server_encoding'),
               pg_is_in_recovery()
          FROM (SELECT DISTINCT schemaname, tablename FROM pg_publication_tables WHERE pubname = ANY ($1)) p
          JOIN pg_namespace n ON n.nspname = p.schemaname
          JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
         ORDER BY 1, 2
        """;

    public static string WithoutKey(string table)
        => $"table {table} has nothing to tell its rows apart: add a primary key, or a unique index on columns that are NOT NULL and ALTER TABLE {table} REPLICA IDENTITY USING INDEX …, or leave the table out";

    /// <param name="field">Where the patterns stand.</param>
    /// <param name="patterns">None for all that are captured.</param>
    /// <returns>The tables, each as a pattern that fits it alone, and everything that is wrong.</returns>
    public async Task<(IReadOnlyList<string> Tables, IReadOnlyList<string> Problems)> FindAsync(
        NpgsqlConnection connection, string field, IReadOnlyCollection<string> patterns, CancellationToken cancellationToken)
    {
        var (tables, problems, parsed) = (new List<string>(), new List<string>(), new List<(NamePattern Pattern, bool Used)>());
        foreach (var text in patterns)
        {
            var (pattern, problem) = NamePattern.Parse(text, NamePattern.Table);
            if (pattern is null)
            {
                problems.Add($"{field}: {problem}");
            }
            else
            {
                parsed.Add((pattern, false));
            }
        }

        await using var command = new NpgsqlCommand(Captured, connection) { Parameters = { new() { Value = options.Publications.ToArray() } } };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var (schema, name) = (reader.GetString(0), reader.GetString(1));
            var wanted = patterns.Count == 0;
            for (var index = 0; index < parsed.Count; index++)
            {
                if (parsed[index].Pattern.Matches(schema, name))
                {
                    (wanted, parsed[index]) = (true, parsed[index] with { Used = true });
                }
            }

            if (wanted && filter.Includes(schema, name))
            {
                var table = $"{NamePattern.Literal(schema)}.{NamePattern.Literal(name)}";
                tables.Add(table);
                problems.AddRange(Problems(reader, table));
            }
        }

        problems.AddRange(parsed.Where(pattern => !pattern.Used).Select(pattern => $"{field}: no published table is {pattern.Pattern}"));
        if (tables.Count == 0 && problems.Count == 0)
        {
            problems.Add($"{field}: no captured table is left");
        }

        return (tables, problems);
    }

    private static IEnumerable<string> Problems(NpgsqlDataReader reader, string table)
    {
        if (!reader.GetBoolean(2))
        {
            yield return WithoutKey(table);
        }

        if (!reader.GetBoolean(3))
        {
            yield return $"table {table} cannot be read: GRANT SELECT ON {table} TO {CaptureSource.Quote(reader.GetString(5))}";
        }
        else if (reader.GetBoolean(4))
        {
            yield return $"table {table} has rows that row-level security hides: ALTER ROLE {CaptureSource.Quote(reader.GetString(5))} BYPASSRLS";
        }

        if (reader.GetBoolean(7))
        {
            yield return $"table {table} cannot be read: this server is a standby, and a snapshot leaves marks in the WAL";
        }

        if (reader.GetString(6) == "SQL_ASCII")
        {
            yield return $"table {table} cannot be read: in a database whose encoding is SQL_ASCII its keys may not be texts";
        }
    }
}
