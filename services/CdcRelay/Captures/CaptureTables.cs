using Npgsql;
using RuleEngineNats.ChangeCapture.Snapshots;

namespace RuleEngineNats.CdcRelay.Captures;

/// <summary>The tables of captures: read by every relay, written by the one that runs a capture.</summary>
internal sealed class CaptureTables(NpgsqlDataSource dataSource)
{
    public async Task<IReadOnlyList<CaptureDefinition>> ReadAsync(CancellationToken cancellationToken)
    {
        // A table that was dropped has no name any more, and nothing to hide.
        await using var command = dataSource.CreateCommand("""
            SELECT c.capture_name,
                   c.enabled AND c.dropped_at IS NULL
                   AND (EXISTS (SELECT FROM rule_cdc_tables t WHERE t.capture_name = c.capture_name)
                        OR c.captured_since IS NOT NULL OR EXISTS (SELECT FROM pg_replication_slots s WHERE s.slot_name = c.slot_name AND s.database = current_database())),
                   c.dropped_at IS NOT NULL, c.recover, c.captured_since IS NOT NULL,
                   EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
                            WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
                              AND ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended('rule_cdc ' || c.capture_name, 0)),
                   EXISTS (SELECT FROM rule_cdc_snapshot_requests q WHERE q.capture_name = c.capture_name),
                   c.slot_name, c.publication_name, c.config_name, c.stream_name, c.subject_prefix, c.format, c.typed_values,
                   c.with_transaction, c.event_unit, c.oversized, c.wal_policy, c.wal_limit, c.heartbeat_seconds, p.excluded, p.hashed, p.masked, p.filters
              FROM rule_cdc_captures c
              CROSS JOIN LATERAL (
                    SELECT coalesce(array_agg(l.prefix || l.name ORDER BY l.prefix, l.name) FILTER (WHERE l.kind = 'exclude'), '{}') AS excluded,
                           coalesce(array_agg(l.prefix || l.name ORDER BY l.prefix, l.name) FILTER (WHERE l.kind = 'hash'), '{}') AS hashed,
                           coalesce(array_agg(l.prefix || l.name ORDER BY l.prefix, l.name) FILTER (WHERE l.kind = 'mask'), '{}') AS masked,
                           coalesce(array_agg(l.prefix || l.name ORDER BY l.prefix, l.name) FILTER (WHERE l.kind = 'rows'), '{}') AS filters
                      FROM (SELECT k.kind, format('"%s"."%s"', replace(n.nspname, '"', '""'), replace(r.relname, '"', '""')) AS prefix,
                                   CASE k.kind WHEN 'rows' THEN '=' || k.name ELSE format('."%s"', replace(k.name, '"', '""')) END AS name
                              FROM rule_cdc_tables t
                              JOIN pg_class r ON r.oid = t.relation
                              JOIN pg_namespace n ON n.oid = r.relnamespace
                              CROSS JOIN LATERAL (SELECT 'exclude' AS kind, unnest(t.exclude_columns) AS name
                                                  UNION ALL SELECT 'hash', unnest(t.hash_columns)
                                                  UNION ALL SELECT 'mask', unnest(t.mask_columns)
                                                  UNION ALL SELECT 'rows', t.row_filter WHERE t.row_filter IS NOT NULL) k
                             WHERE t.capture_name = c.capture_name) l) p
             ORDER BY c.capture_name
            """);
        var captures = new List<CaptureDefinition>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            captures.Add(new(reader.GetString(0), reader.GetBoolean(1), reader.GetBoolean(2), reader.GetBoolean(3), reader.GetBoolean(4), reader.GetBoolean(5), reader.GetBoolean(6), Settings(reader)));
        }

        return captures;
    }

    public async Task PauseAsync(string name, string reason, CancellationToken cancellationToken)
        => await ExecuteAsync("UPDATE rule_cdc_captures SET enabled = false, paused_reason = $2 WHERE capture_name = $1 AND enabled", [name, reason], cancellationToken);

    public async Task CapturingAsync(string name, CancellationToken cancellationToken)
        => await ExecuteAsync("UPDATE rule_cdc_captures SET recover = false, captured_since = coalesce(captured_since, now()) WHERE capture_name = $1", [name], cancellationToken);

    /// <summary>Begins the snapshots that were asked for: each is a mark in the WAL of the transaction that takes it out.</summary>
    public async Task BeginSnapshotsAsync(string name, string slot, CancellationToken cancellationToken)
        => await ExecuteAsync(
            """
            WITH taken AS (DELETE FROM rule_cdc_snapshot_requests WHERE capture_name = $1 RETURNING request_id, relations),
                 asked AS (SELECT t.request_id, json_build_object('slot', $2::text, 'tables', json_agg(format('"%s"."%s"', replace(n.nspname, '"', '""'), replace(r.relname, '"', '""'))))::text AS request
                             FROM taken t CROSS JOIN LATERAL unnest(t.relations) AS relation JOIN pg_class r ON r.oid = relation JOIN pg_namespace n ON n.oid = r.relnamespace
                            GROUP BY t.request_id ORDER BY t.request_id)
            SELECT pg_logical_emit_message(true, $3, a.request) FROM asked a
            """,
            [name, slot, SnapshotMessage.Prefix],
            cancellationToken);

    /// <summary>The slot, and then the row.</summary>
    public async Task DropAsync(string name, string slot, CancellationToken cancellationToken)
    {
        await ExecuteAsync("SELECT pg_drop_replication_slot(s.slot_name) FROM pg_replication_slots s WHERE s.slot_name = $1 AND s.database = current_database()", [slot], cancellationToken);
        await ExecuteAsync("DELETE FROM rule_cdc_captures WHERE capture_name = $1 AND dropped_at IS NOT NULL", [name], cancellationToken);
    }

    private static CaptureSettings Settings(NpgsqlDataReader reader) => new(
        reader.GetString(7),
        reader.GetString(8),
        reader.GetString(9),
        reader.GetString(10),
        reader.GetString(11),
        reader.GetString(12),
        reader.GetBoolean(13),
        reader.GetBoolean(14),
        reader.GetString(15),
        reader.GetString(16),
        reader.GetString(17),
        reader.IsDBNull(18) ? null : reader.GetInt64(18),
        reader.GetInt32(19),
        new(reader.GetFieldValue<string[]>(20)),
        new(reader.GetFieldValue<string[]>(21)),
        new(reader.GetFieldValue<string[]>(22)),
        new(reader.GetFieldValue<string[]>(23)));

    private async Task ExecuteAsync(string sql, string[] arguments, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(sql);
        foreach (var argument in arguments)
        {
            command.Parameters.Add(new() { Value = argument });
        }

        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
