using Npgsql;

namespace RuleEngineNats.SchemaMigrator;

/// <summary>Everything a migration makes, as name and definition, to tell whether a second run changed any of it.</summary>
internal static class SchemaFingerprint
{
    public static async Task<Dictionary<string, string>> ReadAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var objects = new Dictionary<string, string>(StringComparer.Ordinal);
        // Partitions are left out: the number of them depends on how far the history has grown.
        await using var command = new NpgsqlCommand("""
            WITH relation AS (
                SELECT c.* FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition)
            SELECT 'relation ' || c.relname, concat_ws('|', c.relkind, c.reloptions, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(c.relacl) a),
                   obj_description(c.oid, 'pg_class'), CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END)
              FROM relation c WHERE c.relkind IN ('r', 'p', 'v', 'S')
            UNION ALL
            SELECT 'column ' || c.relname || '.' || a.attname, concat_ws('|', a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated,
                   pg_get_expr(d.adbin, d.adrelid), (SELECT array_agg(x::text ORDER BY x::text) FROM unnest(a.attacl) x), col_description(c.oid, a.attnum))
              FROM relation c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
              LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
             WHERE c.relkind IN ('r', 'p')
            UNION ALL
            SELECT 'constraint ' || c.relname || '.' || k.conname, pg_get_constraintdef(k.oid)
              FROM relation c JOIN pg_constraint k ON k.conrelid = c.oid
            UNION ALL
            SELECT 'index ' || c.relname, pg_get_indexdef(c.oid) FROM relation c WHERE c.relkind IN ('i', 'I')
            UNION ALL
            SELECT 'trigger ' || c.relname || '.' || t.tgname, pg_get_triggerdef(t.oid)
              FROM relation c JOIN pg_trigger t ON t.tgrelid = c.oid WHERE NOT t.tgisinternal
            UNION ALL
            SELECT 'function ' || p.oid::regprocedure::text, concat_ws('|', pg_get_functiondef(p.oid),
                   (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(p.proacl) a), obj_description(p.oid, 'pg_proc'))
              FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prokind = 'f'
            UNION ALL
            SELECT 'publication ' || pubname, concat_ws('|', schemaname, tablename, rowfilter) FROM pg_publication_tables
            UNION ALL
            SELECT 'row rule_nats_config ' || r.config_name, r::text FROM rule_nats_config r
            UNION ALL
            SELECT 'row rule_nats_streams ' || r.stream_id, r::text FROM rule_nats_streams r
            UNION ALL
            SELECT 'row rule_nats_relay_state ' || r.relay_name, r.database_id FROM rule_nats_relay_state r
            """, connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            objects[reader.GetString(0)] = reader.GetString(1);
        }

        return objects;
    }

    /// <summary>The names that were added, removed or given another definition.</summary>
    public static IReadOnlyList<string> Compare(IReadOnlyDictionary<string, string> before, IReadOnlyDictionary<string, string> after)
        => [.. before.Keys.Union(after.Keys)
            .Where(name => before.GetValueOrDefault(name) != after.GetValueOrDefault(name))
            .Order(StringComparer.Ordinal)];
}
