using Npgsql;

namespace RuleEngineNats.Sql.Tests;

/// <summary>docs/sql-reference.md: functions, tables and views with the comments that the database keeps.</summary>
internal static class SqlReference
{
    private const int Width = 120;

    public static async Task<List<string>> ReadAsync(SqlDatabase database)
    {
        List<string> lines =
        [
            "# SQL reference",
            "",
            "Everything in schema `public`. Generated from the comments in the database (`\\df+`, `\\d+` show the same); a test compares the two. After a change of",
            "`sql/`:",
            "",
            "```sh", GeneratedDocument.Command, "```",
            "",
            "States, owners of columns and SQLSTATEs: [sql/README.md](../sql/README.md). Who may do what: [sql-roles.md](sql-roles.md).",
        ];
        var section = "";
        await ReadAsync(database, Functions, reader =>
        {
            if (reader.GetString(0) is var next && next != section)
            {
                section = next;
                lines.AddRange(["", $"## {section}"]);
            }

            var roles = reader.GetString(5);
            lines.AddRange(["", $"### {reader.GetString(1)}", "", "```", .. Signature(reader), "```", "", GeneratedDocument.Text(reader.GetString(4))]);
            if (roles.Length > 0)
            {
                lines.AddRange(["", $"For {roles}."]);
            }
        });
        var relation = "";
        await ReadAsync(database, Columns, reader =>
        {
            if (reader.GetString(0) is var next && next != section)
            {
                section = next;
                lines.AddRange(["", $"## {section}"]);
            }

            if (reader.GetString(1) is var name && name != relation)
            {
                relation = name;
                lines.AddRange(["", $"### {name}", "", GeneratedDocument.Text(reader.GetString(2)), "", "| Column | Type | Meaning |", "| --- | --- | --- |"]);
            }

            lines.Add($"| `{reader.GetString(3)}` | `{reader.GetString(4)}` | {GeneratedDocument.Text(reader.GetString(5))} |");
        });
        return lines;
    }

    /// <summary>Functions, tables, views and columns that say nothing about themselves.</summary>
    public static Task<string[]> UndocumentedAsync(SqlDatabase database) => database.ScalarAsync<string[]>("""
        SELECT coalesce(array_agg(o.what ORDER BY o.what), '{}') FROM (
            SELECT 'function ' || p.oid::regprocedure FROM pg_proc p
             WHERE p.pronamespace = 'public'::regnamespace AND coalesce(obj_description(p.oid, 'pg_proc'), '') = ''
            UNION ALL
            SELECT CASE c.relkind WHEN 'v' THEN 'view ' ELSE 'table ' END || c.relname FROM pg_class c
             WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
               AND coalesce(obj_description(c.oid, 'pg_class'), '') = ''
            UNION ALL
            SELECT 'column ' || c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
               AND coalesce(col_description(c.oid, a.attnum), '') = '') o(what)
        """);

    private static IEnumerable<string> Signature(NpgsqlDataReader reader)
    {
        var arguments = reader.GetFieldValue<string[]>(2);
        var line = $"{reader.GetString(1)}({string.Join(", ", arguments)}) → {reader.GetString(3)}";
        return line.Length <= Width
            ? [line]
            : [$"{reader.GetString(1)}(", .. arguments.Select((argument, i) => $"    {argument}{(i < arguments.Length - 1 ? "," : "")}"), $") → {reader.GetString(3)}"];
    }

    private static async Task ReadAsync(SqlDatabase database, string sql, Action<NpgsqlDataReader> row)
    {
        await using var command = database.Source.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            row(reader);
        }
    }

    private const string Functions = """
        SELECT CASE WHEN f.prorettype = 'trigger'::regtype THEN 'Trigger functions' WHEN f.callers ~ 'publisher|admin|stats' THEN 'Functions'
                    WHEN f.callers <> '' THEN 'Functions of the services' ELSE 'Functions of other functions' END AS section,
               f.proname,
               ARRAY(SELECT concat_ws(' ', a.name, format_type(a.type, NULL), 'DEFAULT ' || pg_get_function_arg_default(f.oid, a.n::integer))
                       FROM unnest(coalesce(f.proallargtypes, f.proargtypes::oid[]), f.proargnames, f.proargmodes) WITH ORDINALITY a(type, name, mode, n)
                      WHERE coalesce(a.mode, 'i') IN ('i', 'b', 'v') ORDER BY a.n),
               pg_get_function_result(f.oid), coalesce(obj_description(f.oid, 'pg_proc'), ''), f.callers
          FROM (SELECT p.*, (SELECT coalesce(string_agg('`' || r.role || '`', ', ' ORDER BY r.n), '')
                               FROM unnest(ARRAY['rule_publisher', 'rule_relay', 'rule_worker', 'rule_ingest', 'rule_admin', 'rule_stats']) WITH ORDINALITY r(role, n)
                              WHERE has_function_privilege(r.role, p.oid, 'EXECUTE')) AS callers
                  FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace) f
         ORDER BY array_position(ARRAY['Functions', 'Functions of the services', 'Functions of other functions'], CASE
                      WHEN f.prorettype = 'trigger'::regtype THEN NULL WHEN f.callers ~ 'publisher|admin|stats' THEN 'Functions'
                      WHEN f.callers <> '' THEN 'Functions of the services' ELSE 'Functions of other functions' END),
                  f.proname COLLATE "C", f.oid::regprocedure::text COLLATE "C"
        """;

    private const string Columns = """
        SELECT CASE c.relkind WHEN 'v' THEN 'Views' ELSE 'Tables' END, c.relname, coalesce(obj_description(c.oid, 'pg_class'), ''), a.attname,
               format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
                   || CASE WHEN a.attgenerated = '' THEN coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '') ELSE ' GENERATED' END,
               coalesce(col_description(c.oid, a.attnum), '')
          FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
         ORDER BY c.relkind = 'v', c.relname COLLATE "C", a.attnum
        """;
}
