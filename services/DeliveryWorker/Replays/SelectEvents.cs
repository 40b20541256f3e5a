using NATS.Client.JetStream;
using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Payloads;
using RuleEngineNats.DeliveryWorker.Streams;

namespace RuleEngineNats.DeliveryWorker.Replays;

/// <summary>Which of a stream's messages a replay is about.</summary>
internal sealed class SelectEvents(NpgsqlDataSource database)
{
    public async Task<IReadOnlyList<OutgoingEvent>> RunAsync(
        Replay replay, Endpoint endpoint, IEnumerable<INatsJSMsg<byte[]>> messages, CancellationToken cancellationToken)
    {
        var taken = messages.Select(message => StreamEvent.From(message, replay.Stream, DateTimeOffset.MinValue).Outgoing).Where(outgoing => IsTaken(endpoint, outgoing)).ToList();
        if (replay.Status is not { } status || taken.Count == 0)
        {
            return taken;
        }

        var outcomes = await OutcomesAsync(replay.WebhookId, [.. taken.Select(outgoing => outgoing.EventId).Distinct()], cancellationToken);
        return [.. taken.Where(outgoing => status.Contains(outcomes[outgoing.EventId]))];
    }

    /// <summary>Whether the webhook, as it is now, takes an event at all: the one place where a replay asks.</summary>
    internal static bool IsTaken(Endpoint endpoint, OutgoingEvent outgoing)
        => SubjectFilter.Matches(endpoint.Filter, outgoing.Subject) && FilterContent.Keep([endpoint], outgoing.Body).Count > 0;

    private async Task<Dictionary<string, string>> OutcomesAsync(int webhookId, string[] eventIds, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("SELECT event_id, outcome FROM rule_webhook_outcomes($1, $2)");
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = webhookId });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = eventIds });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var outcomes = new Dictionary<string, string>(eventIds.Length, StringComparer.Ordinal);
        while (await reader.ReadAsync(cancellationToken))
        {
            outcomes[reader.GetString(0)] = reader.GetString(1);
        }

        return outcomes;
    }
}
