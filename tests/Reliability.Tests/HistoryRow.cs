using Npgsql;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>A row of rule_nats_publish_history, as far as the checker compares it.</summary>
internal sealed record HistoryRow(long PublishId, string Id, string State, string? Stream, long? Sequence)
{
    public static async Task<IReadOnlyList<HistoryRow>> ReadAsync(NpgsqlDataSource database, int webhookId, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("""
            SELECT publish_id, nats_msg_id, state, stream_name, sequence_number
              FROM rule_nats_publish_history WHERE webhook_id = $1 ORDER BY publish_id
            """);
        command.Parameters.Add(new() { Value = webhookId });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<HistoryRow>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(new(
                reader.GetInt64(0),
                reader.GetString(1),
                reader.GetString(2),
                reader.IsDBNull(3) ? null : reader.GetString(3),
                reader.IsDBNull(4) ? null : reader.GetInt64(4)));
        }

        return rows;
    }
}
