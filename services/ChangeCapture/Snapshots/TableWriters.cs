using Microsoft.Extensions.Logging;
using Npgsql;

namespace RuleEngineNats.ChangeCapture.Snapshots;

/// <summary>
/// Waits for the transactions that have written to a table. One of them may have its commit in the WAL, before anybody noted what changed, and yet be invisible to
/// what is read next; until it is visible it keeps its lock on the table. CREATE INDEX CONCURRENTLY waits for the same ones.
/// </summary>
internal sealed partial class TableWriters(TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private const string Writers = """
        SELECT DISTINCT virtualtransaction, coalesce(pid, 0)
          FROM pg_locks
         WHERE locktype = 'relation' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND relation IN (SELECT $1::oid UNION SELECT relid::oid FROM pg_partition_tree($1::oid))
           AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
        """;

    public async Task WaitAsync(NpgsqlConnection connection, uint table, string name, CancellationToken cancellationToken)
    {
        var waited = time.GetTimestamp();
        var waitedFor = await FindAsync(connection, table, cancellationToken);
        var running = waitedFor;
        while (running.Count > 0)
        {
            if (time.GetElapsedTime(waited) > Patience)
            {
                Waiting(name, string.Join(", ", running.Select(writer => writer.Value == 0 ? $"prepared ({writer.Key})" : $"process {writer.Value}")));
                waited = time.GetTimestamp();
            }

            await Task.Delay(Interval, time, cancellationToken);
            running = (await FindAsync(connection, table, cancellationToken)).Where(writer => waitedFor.ContainsKey(writer.Key)).ToDictionary();
        }
    }

    private static async Task<Dictionary<string, int>> FindAsync(NpgsqlConnection connection, uint table, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(Writers, connection) { Parameters = { new() { Value = table, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Oid } } };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var writers = new Dictionary<string, int>();
        while (await reader.ReadAsync(cancellationToken))
        {
            writers[reader.GetString(0)] = reader.GetInt32(1);
        }

        return writers;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "the snapshot of {Table} waits for transactions that have written to it: {Transactions}")]
    private partial void Waiting(string table, string transactions);
}
