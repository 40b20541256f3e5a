using Npgsql;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>
/// Which endpoints an event needs no more, asked for messages that come, or may come, a second time. After an outage that is every message of a backlog:
/// questions that come in while one is being answered are asked together.
/// </summary>
internal sealed class RecordedDeliveries(NpgsqlDataSource database)
{
    // 'unknown' is the trace of a worker that died: nobody can say whether the receiver got it.
    private const string Sql = """
        SELECT event_id, webhook_id FROM rule_webhook_call_history
         WHERE event_id = ANY($1) AND webhook_id IS NOT NULL AND outcome IS DISTINCT FROM 'unknown'
        UNION
        SELECT event_id, webhook_id FROM rule_webhook_calls WHERE event_id = ANY($1)
        """;

    private readonly Lock _gate = new();
    private List<Question> _waiting = [];
    private bool _asking;

    public async Task<IReadOnlySet<int>> OfAsync(string eventId, CancellationToken cancellationToken)
    {
        var question = new Question(eventId, new(TaskCreationOptions.RunContinuationsAsynchronously));
        bool ask;
        lock (_gate)
        {
            _waiting.Add(question);
            ask = !_asking;
            _asking = true;
        }

        if (ask)
        {
            _ = AskAsync(); // It throws nothing: whatever happens is somebody's answer.
        }

        return await question.Answer.Task.WaitAsync(cancellationToken);
    }

    // Asks for all until nothing waits; no one's cancellation may take the others' answer away.
    private async Task AskAsync()
    {
        while (true)
        {
            List<Question> questions;
            lock (_gate)
            {
                if (_waiting.Count == 0)
                {
                    _asking = false;
                    return;
                }

                (questions, _waiting) = (_waiting, []);
            }

            try
            {
                var recorded = await ReadAsync([.. questions.Select(question => question.EventId).Distinct()]);
                questions.ForEach(question => question.Answer.TrySetResult(recorded[question.EventId].ToHashSet()));
            }
            catch (Exception e)
            {
                questions.ForEach(question => question.Answer.TrySetException(e));
            }
        }
    }

    private async Task<ILookup<string, int>> ReadAsync(string[] eventIds)
    {
        await using var command = database.CreateCommand(Sql);
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = eventIds });
        await using var reader = await command.ExecuteReaderAsync(CancellationToken.None);
        var rows = new List<(string EventId, int WebhookId)>();
        while (await reader.ReadAsync(CancellationToken.None))
        {
            rows.Add((reader.GetString(0), reader.GetInt32(1)));
        }

        return rows.ToLookup(row => row.EventId, row => row.WebhookId);
    }

    private sealed record Question(string EventId, TaskCompletionSource<IReadOnlySet<int>> Answer);
}
