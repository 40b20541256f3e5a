using Npgsql;
using RuleEngineNats.ChangeCapture.Pgoutput;

namespace RuleEngineNats.ChangeCapture.Snapshots;

/// <summary>A table as pgoutput would describe it now, and what a snapshot needs besides.</summary>
/// <param name="Oid">Its OID, which rows in the WAL name it by.</param>
/// <param name="Relation">Columns as the publications show them.</param>
/// <param name="IsPartitioned">Its rows are those of its partitions.</param>
/// <param name="Key">What rows are told apart and ordered by: the replica identity's index where the table names one, else the primary key. Empty where there is none.</param>
/// <param name="RowFilter">The condition under which the publications show a row; null for all.</param>
/// <param name="Snapshot">Which transactions this transaction sees.</param>
/// <param name="EstimatedRows">PostgreSQL's estimate; null before its first ANALYZE.</param>
internal sealed record TableDescription(
    uint Oid, Relation Relation, bool IsPartitioned, IReadOnlyList<KeyPart> Key, string? RowFilter, TransactionSnapshot Snapshot, long? EstimatedRows)
{
    private const int FirstMajorWithColumnLists = 15;

    // pgoutput describes the types from this OID on.
    private const uint FirstTypeNotBuiltIn = 10_000;

    private const string Published = "SELECT p.attnames::name[] AS attnames, p.rowfilter";

    // Before column lists and row filters there were: what pgoutput sends.
    private const string PublishedBefore15 = """
        SELECT (SELECT array_agg(a.attname) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = p.schemaname AND c.relname = p.tablename AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS attnames, NULL AS rowfilter
        """;

    // Generated columns are not sent before PostgreSQL 18, whatever pg_publication_tables says of them.
    private const string Describe = """
          FROM pg_publication_tables p WHERE p.pubname = ANY ($1) AND p.schemaname = $2 AND p.tablename = $3)
        SELECT c.oid, c.relreplident, c.relkind = 'p', pg_current_snapshot()::text,
               (SELECT CASE WHEN bool_and(rowfilter IS NOT NULL) THEN string_agg(DISTINCT '(' || rowfilter || ')', ' OR ') END FROM published),
               (SELECT sum(nullif(r.reltuples, -1))::bigint FROM pg_class r WHERE r.oid = c.oid OR r.oid IN (SELECT t.relid FROM pg_partition_tree(c.oid) t WHERE t.isleaf)),
               a.attname::text, a.atttypid, a.atttypmod, EXISTS (SELECT FROM published WHERE a.attname = ANY (attnames)),
               c.relreplident = 'f' OR (c.relreplident IN ('d', 'i') AND k.place IS NOT NULL AND k.indimmediate),
               k.place::int, quote_ident(o.nspname) || '.' || quote_ident(l.collname), b.nspname::text, b.typname::text,
               CASE WHEN b.typtype = 'b' AND b.nspname <> 'pg_catalog' THEN quote_ident(b.nspname) END
          FROM pg_class c
          JOIN pg_namespace n ON n.oid = c.relnamespace
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND (a.attgenerated = '' OR current_setting('server_version_num')::int >= 180000)
          LEFT JOIN LATERAL (
               SELECT u.attnum, u.colloid, u.place, i.indimmediate
                 FROM pg_index i, unnest(i.indkey::int2[], i.indcollation::oid[]) WITH ORDINALITY u(attnum, colloid, place)
                WHERE i.indrelid = c.oid AND i.indisvalid AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END AND u.place <= i.indnkeyatts
               ) k ON k.attnum = a.attnum
          LEFT JOIN pg_collation l ON l.oid = k.colloid
          LEFT JOIN pg_namespace o ON o.oid = l.collnamespace
          LEFT JOIN LATERAL (
               WITH RECURSIVE base AS (
                 SELECT t.typtype, t.typname, t.typnamespace, t.typbasetype FROM pg_type t WHERE t.oid = a.atttypid
                 UNION ALL SELECT t.typtype, t.typname, t.typnamespace, t.typbasetype FROM base JOIN pg_type t ON base.typtype = 'd' AND t.oid = base.typbasetype)
               SELECT s.nspname, base.typname, base.typtype FROM base JOIN pg_namespace s ON s.oid = base.typnamespace WHERE base.typtype <> 'd'
               ) b ON true
         WHERE n.nspname = $2 AND c.relname = $3 AND EXISTS (SELECT FROM published)
         ORDER BY a.attnum
        """;

    /// <returns>Null where there is no such table, or it is not published.</returns>
    public static async Task<TableDescription?> LoadAsync(
        NpgsqlConnection connection, IEnumerable<string> publications, string schema, string name, CancellationToken cancellationToken)
    {
        var published = connection.PostgreSqlVersion.Major >= FirstMajorWithColumnLists ? Published : PublishedBefore15;
        await using var command = new NpgsqlCommand($"WITH published AS ({published} {Describe}", connection)
        {
            Parameters = { new() { Value = publications.ToArray() }, new() { Value = schema }, new() { Value = name } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        TableDescription? description = null;
        var (columns, key, types) = (new List<Column>(), new List<KeyPart>(), new List<WalMessage.TypeDescription>());
        while (await reader.ReadAsync(cancellationToken))
        {
            var column = new Column(reader.GetString(6), reader.GetFieldValue<uint>(7), reader.GetInt32(8), reader.GetBoolean(10));
            var (typeSchema, typeName) = (reader.GetString(13), reader.GetString(14));
            if (!reader.IsDBNull(11))
            {
                key.Add(new(column.Name, reader.GetInt32(11), Text(reader, 12), Text(reader, 15)));
            }

            if (reader.GetBoolean(9))
            {
                columns.Add(column);
                if (column.TypeId >= FirstTypeNotBuiltIn)
                {
                    types.Add(new(column.TypeId, typeSchema, typeName));
                }
            }

            description ??= new(
                reader.GetFieldValue<uint>(0), new(0, schema, name, reader.GetChar(1), []), reader.GetBoolean(2), [], Text(reader, 4),
                TransactionSnapshot.Parse(reader.GetString(3)), reader.IsDBNull(5) ? null : reader.GetInt64(5));
        }

        return description is null ? null : description with
        {
            Relation = new(description.Oid, schema, name, description.Relation.ReplicaIdentity, [.. columns]) { Types = types },
            Key = [.. key.OrderBy(part => part.Place)],
        };
    }

    private static string? Text(NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetString(column);
}

/// <summary>A column of the key.</summary>
/// <param name="Collation">The index's, quoted; null where its type has none.</param>
/// <param name="ExtensionSchema">Where its type, and what compares its values, is, quoted; null for what PostgreSQL brings along.</param>
internal sealed record KeyPart(string Name, int Place, string? Collation, string? ExtensionSchema);

/// <summary>Which transactions a statement sees: pg_current_snapshot().</summary>
/// <param name="End">The first id that was not given out yet.</param>
/// <param name="Running">Those before it that it does not see.</param>
internal sealed record TransactionSnapshot(uint End, IReadOnlySet<uint> Running)
{
    /// <param name="text"><c>xmin:xmax:running,running</c>, in 64 bits; pgoutput names transactions by the lower 32.</param>
    public static TransactionSnapshot Parse(string text)
    {
        var parts = text.Split(':');
        return new(Low(parts[1]), parts[2].Split(',', StringSplitOptions.RemoveEmptyEntries).Select(Low).ToHashSet());

        static uint Low(string id) => unchecked((uint)ulong.Parse(id, System.Globalization.CultureInfo.InvariantCulture));
    }

    /// <param name="xid">Of a transaction that has committed; ids go round.</param>
    public bool Sees(uint xid) => unchecked((int)(xid - End)) < 0 && !Running.Contains(xid);
}
