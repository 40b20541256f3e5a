using Npgsql;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>Which endpoints an event needs no more, asked for messages that come a second time.</summary>
internal sealed class RecordedDeliveries(NpgsqlDataSource database)
{
    // 'unknown' is the trace of a worker that died: nobody can say whether the receiver got it.
    private const string Sql = """
        SELECT webhook_id FROM rule_webhook_call_history WHERE event_id = $1 AND webhook_id IS NOT NULL AND outcome IS DISTINCT FROM 'unknown'
        UNION
        SELECT webhook_id FROM rule_webhook_calls WHERE event_id = $1
        """;

    public async Task<IReadOnlySet<int>> OfAsync(string eventId, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(Sql);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = eventId });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var webhooks = new HashSet<int>();
        while (await reader.ReadAsync(cancellationToken))
        {
            webhooks.Add(reader.GetInt32(0));
        }

        return webhooks;
    }
}
