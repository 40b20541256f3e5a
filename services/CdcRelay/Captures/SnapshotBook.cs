using System.Globalization;
using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.ChangeCapture;

namespace RuleEngineNats.CdcRelay.Captures;

/// <summary>What snapshots last said of each table, until it is in <c>rule_cdc_snapshots</c>.</summary>
internal sealed class SnapshotBook : IProgress<SnapshotProgress>
{
    private readonly Lock _gate = new();
    private Dictionary<(string Snapshot, string Table), SnapshotProgress> _news = [];

    public void Report(SnapshotProgress value)
    {
        lock (_gate)
        {
            _news[(value.SnapshotId, value.Table)] = value;
        }
    }

    public async Task WriteAsync(NpgsqlConnection connection, string capture, CancellationToken cancellationToken)
    {
        Dictionary<(string Snapshot, string Table), SnapshotProgress> news;
        lock (_gate)
        {
            (news, _news) = (_news, []);
        }

        if (news.Count == 0)
        {
            return;
        }

        await using var command = new NpgsqlCommand(
            """
            INSERT INTO rule_cdc_snapshots AS s (capture_name, snapshot_id, table_name, state, rows_read, estimated_rows, reported_at)
            SELECT c.capture_name, n.id, n.name, n.state, n.rows, n.estimated, clock_timestamp()
              FROM rule_cdc_captures c, unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[]) AS n(id, name, state, rows, estimated)
             WHERE c.capture_name = $1
            ON CONFLICT (capture_name, snapshot_id, table_name) DO UPDATE
               SET state = EXCLUDED.state, rows_read = EXCLUDED.rows_read, estimated_rows = EXCLUDED.estimated_rows, reported_at = EXCLUDED.reported_at
            """,
            connection)
        {
            Parameters =
            {
                new() { Value = capture },
                new() { Value = news.Values.Select(table => table.SnapshotId).ToArray() },
                new() { Value = news.Values.Select(table => table.Table).ToArray() },
                new() { Value = news.Values.Select(table => table.State.ToString().ToLower(CultureInfo.InvariantCulture)).ToArray() },
                new() { Value = news.Values.Select(table => table.RowsRead).ToArray() },
                new() { Value = news.Values.Select(table => table.EstimatedRows).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bigint },
            },
        };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
