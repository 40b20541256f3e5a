using Npgsql;

namespace RuleEngineNats.Sql.Tests;

/// <summary>docs/sql-roles.md: what each role may do with each object, as the database itself answers (so what comes from PUBLIC or a membership counts).</summary>
internal static class RoleMatrix
{
    public static readonly string[] Roles = ["rule_publisher", "rule_relay", "rule_worker", "rule_ingest", "rule_admin", "rule_stats", "PUBLIC"];

    public static async Task<List<string>> ReadAsync(SqlDatabase database)
    {
        List<string> lines =
        [
            "# Roles and grants",
            "",
            "Generated from the database; a test compares the two. After a change of `sql/`:",
            "",
            "```sh", GeneratedDocument.Command, "```",
            "",
            "The roles have no login: grant them to the logins of your services and applications.",
            "",
            "| Role | For |",
            "| --- | --- |",
            "| `rule_publisher` | applications: the functions that publish, and no table |",
            "| `rule_relay` | CdcRelay, the reconciler and PublishService's history writer |",
            "| `rule_worker` | DeliveryWorker |",
            "| `rule_ingest` | IngestionApi and IngestionWorker; the tables of the entities are granted by whoever owns them |",
            "| `rule_admin` | ConfigService and operators |",
            "| `rule_stats` | dashboards: counts and times, no payloads and no secrets |",
            "",
            "PUBLIC, which is everybody, has nothing but the USAGE of schema public that PostgreSQL gives. *columns*: see the second table. A function that",
            "touches a table runs with the rights of its owner and a pinned search_path, so a role needs no right on that table.",
            "",
            $"| Object | {string.Join(" | ", Roles.Select(role => $"`{role}`"))} |",
            $"| --- |{string.Concat(Enumerable.Repeat(" --- |", Roles.Length))}",
        ];
        await ReadAsync(database, Objects, reader =>
            lines.Add($"| {reader.GetString(0)} `{reader.GetString(1)}` | {string.Join(" | ", reader.GetFieldValue<string[]>(2).Select(GeneratedDocument.Text))} |"));
        lines.AddRange(["", "| Table | Role | May | Columns |", "| --- | --- | --- | --- |"]);
        await ReadAsync(database, Columns, reader =>
            lines.Add($"| `{reader.GetString(0)}` | `{reader.GetString(1)}` | {reader.GetString(2)} | {reader.GetString(3)} |"));
        return lines;
    }

    private static async Task ReadAsync(SqlDatabase database, string sql, Action<NpgsqlDataReader> row)
    {
        await using var command = database.Source.CreateCommand(sql);
        command.Parameters.Add(new() { Value = Roles.Select(role => role.Replace("PUBLIC", "public", StringComparison.Ordinal)).ToArray() });
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            row(reader);
        }
    }

    // Partitions come and go with the history: those of a table are one row. The pseudo-role "public" is PUBLIC.
    private const string Objects = """
        WITH object AS (
            SELECT 1 AS place, 'schema' AS kind, n.oid, n.nspname::text AS name, ARRAY['USAGE', 'CREATE'] AS privileges
              FROM pg_namespace n WHERE n.nspname = 'public'
            UNION ALL
            SELECT CASE c.relkind WHEN 'v' THEN 3 WHEN 'S' THEN 4 ELSE 2 END,
                   CASE WHEN c.relispartition THEN 'each partition of' WHEN c.relkind = 'v' THEN 'view' WHEN c.relkind = 'S' THEN 'sequence' ELSE 'table' END,
                   c.oid, coalesce((SELECT i.inhparent::regclass::text FROM pg_inherits i WHERE i.inhrelid = c.oid), c.relname),
                   CASE c.relkind WHEN 'S' THEN ARRAY['USAGE', 'SELECT', 'UPDATE']
                        ELSE ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'] END
              FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
            UNION ALL
            SELECT 5, 'function', p.oid, p.oid::regprocedure::text, ARRAY['EXECUTE'] FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace),
        granted AS (
            SELECT o.place, o.kind, o.name, r.n, coalesce(string_agg(CASE
                       WHEN o.kind = 'schema' THEN CASE WHEN has_schema_privilege(r.role, o.oid, p.privilege) THEN p.privilege END
                       WHEN o.kind = 'sequence' THEN CASE WHEN has_sequence_privilege(r.role, o.oid, p.privilege) THEN p.privilege END
                       WHEN o.kind = 'function' THEN CASE WHEN has_function_privilege(r.role, o.oid, p.privilege) THEN p.privilege END
                       WHEN has_table_privilege(r.role, o.oid, p.privilege) THEN p.privilege
                       WHEN p.privilege IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') AND has_any_column_privilege(r.role, o.oid, p.privilege)
                       THEN p.privilege || ' columns' END, ', ' ORDER BY p.n), '') AS may
              FROM object o, unnest($1::text[]) WITH ORDINALITY r(role, n), unnest(o.privileges) WITH ORDINALITY p(privilege, n)
             GROUP BY o.place, o.kind, o.oid, o.name, r.n)
        SELECT g.kind, g.name, array_agg(g.may ORDER BY g.n)
          FROM (SELECT DISTINCT * FROM granted) g GROUP BY g.place, g.kind, g.name ORDER BY g.place, g.name COLLATE "C", g.kind DESC
        """;

    private const string Columns = """
        SELECT c.relname, replace(r.role, 'public', 'PUBLIC'), p.privilege, string_agg(a.attname, ', ' ORDER BY a.attnum)
          FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped,
               unnest($1::text[]) WITH ORDINALITY r(role, n), unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) WITH ORDINALITY p(privilege, n)
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT has_table_privilege(r.role, c.oid, p.privilege)
           AND has_column_privilege(r.role, c.oid, a.attnum, p.privilege)
         GROUP BY c.relname, r.role, r.n, p.privilege, p.n ORDER BY c.relname COLLATE "C", r.n, p.n
        """;
}
