using NATS.Client.JetStream;
using Npgsql;

namespace RuleEngineNats.CdcRelay.Reconciliation;

/// <summary>A stream of one NATS configuration.</summary>
internal readonly record struct StreamName(string Config, string Stream);

/// <summary>
/// Compares the rows stored since a moment with what the stream holds: both are read once, in the order of their sequences, so the memory it takes is
/// that of what is missing.
/// </summary>
internal sealed class CompareStream(NpgsqlDataSource dataSource)
{
    // Clocks of the database and of the server may differ.
    private static readonly TimeSpan ClockDifference = TimeSpan.FromMinutes(1);

    private const string Rows = """
        SELECT h.publish_id, h.nats_msg_id, h.sequence_number, h.stored_at
          FROM rule_nats_publish_history h
         WHERE h.publish_id >= $1 AND h.stored_at >= $2 AND h.state = 'stored' AND h.stream_name = $3
           AND (h.config_id = (SELECT c.config_id FROM rule_nats_config c WHERE c.config_name = $4) OR h.config_id IS NULL AND $4 = 'default')
         ORDER BY h.sequence_number
        """;

    /// <summary>Whether the last of the rows is at its place: then nothing behind it was lost, and it is safe to go on publishing.</summary>
    public async Task<bool> TailIsIntactAsync(INatsJSStream stream, StreamName name, DateTimeOffset since, CancellationToken cancellationToken)
    {
        await using var command = await CommandAsync($"{Rows} DESC LIMIT 1", name, since, cancellationToken);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (await NextAsync(reader, cancellationToken) is not { } last)
        {
            return true;
        }

        await foreach (var (sequence, id) in ReadMessageIds.FromAsync(stream, last.Sequence, cancellationToken))
        {
            return sequence == last.Sequence && id == last.Id;
        }

        return false;
    }

    /// <param name="look">Looks at the stream once the rows are fixed: what was acknowledged before must be there.</param>
    public async Task<Comparison> RunAsync(
        StreamName name, DateTimeOffset since, Func<Task<INatsJSStream>> look, CancellationToken cancellationToken)
    {
        var missing = new List<MissingRow>();
        var rows = 0L;
        await using var command = await CommandAsync(Rows, name, since, cancellationToken);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var stream = await look();
        var next = await NextAsync(reader, cancellationToken);
        if (next is { } first)
        {
            await foreach (var (sequence, id) in ReadMessageIds.FromAsync(stream, first.Sequence, cancellationToken))
            {
                for (; next is { } row && row.Sequence <= sequence; next = await NextAsync(reader, cancellationToken), rows++)
                {
                    if (row.Sequence < sequence || row.Id != id)
                    {
                        missing.Add(row with { ReusedByAnother = row.Sequence == sequence });
                    }
                }

                if (next is null)
                {
                    break;
                }
            }
        }

        for (; next is { } row; next = await NextAsync(reader, cancellationToken), rows++)
        {
            missing.Add(row);
        }

        await reader.CloseAsync();
        return new(rows, stream, missing, missing.Count == 0 ? [] : await FindAsync(stream, missing, since, cancellationToken));
    }

    // What was published again after a loss is younger than the loss, and so than the moment the rows begin at.
    private static async Task<Dictionary<string, ulong>> FindAsync(
        INatsJSStream stream, List<MissingRow> missing, DateTimeOffset since, CancellationToken cancellationToken)
    {
        var ids = missing.Select(row => row.Id).ToHashSet(StringComparer.Ordinal);
        var found = new Dictionary<string, ulong>(StringComparer.Ordinal);
        await foreach (var (sequence, id) in ReadMessageIds.SinceAsync(stream, since - ClockDifference, cancellationToken))
        {
            if (ids.Contains(id))
            {
                found[id] = sequence;
            }
        }

        return found;
    }

    private async Task<NpgsqlCommand> CommandAsync(string sql, StreamName name, DateTimeOffset since, CancellationToken cancellationToken)
    {
        await using var low = dataSource.CreateCommand("SELECT rule_nats_stored_since($1)");
        low.Parameters.Add(new() { Value = since });
        var from = (long)(await low.ExecuteScalarAsync(cancellationToken))!;
        var command = dataSource.CreateCommand(sql);
        command.CommandTimeout = 0;
        command.Parameters.Add(new() { Value = from });
        command.Parameters.Add(new() { Value = since });
        command.Parameters.Add(new() { Value = name.Stream });
        command.Parameters.Add(new() { Value = name.Config });
        return command;
    }

    private static async ValueTask<MissingRow?> NextAsync(NpgsqlDataReader reader, CancellationToken cancellationToken)
        => await reader.ReadAsync(cancellationToken)
            ? new(reader.GetInt64(0), reader.GetString(1), (ulong)reader.GetInt64(2), reader.GetFieldValue<DateTimeOffset>(3), ReusedByAnother: false)
            : null;

    /// <param name="Rows">How many were compared.</param>
    /// <param name="FoundAt">Where the stream has the id of a missing row.</param>
    internal sealed record Comparison(long Rows, INatsJSStream Stream, IReadOnlyList<MissingRow> Missing, IReadOnlyDictionary<string, ulong> FoundAt);
}
