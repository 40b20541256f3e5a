using NATS.Client.JetStream;
using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Payloads;
using RuleEngineNats.DeliveryWorker.Streams;

namespace RuleEngineNats.DeliveryWorker.Replays;

/// <summary>Which of a stream's messages a replay is about.</summary>
internal sealed class SelectEvents(ReadBody bodies, NpgsqlDataSource database)
{
    public async Task<IReadOnlyList<OutgoingEvent>> RunAsync(
        Replay replay, Endpoint endpoint, IEnumerable<INatsJSMsg<byte[]>> messages, CancellationToken cancellationToken)
    {
        var arrived = messages.Select(message => StreamEvent.From(message, replay.Stream, DateTimeOffset.MinValue))
            .Where(message => SubjectFilter.Matches(endpoint.Filter, message.Outgoing.Subject)).ToList();
        if (replay.Status is { } status && arrived.Count > 0)
        {
            var outcomes = await OutcomesAsync(replay.WebhookId, [.. arrived.Select(message => message.Outgoing.EventId).Distinct()], cancellationToken);
            arrived.RemoveAll(message => !status.Contains(outcomes[message.Outgoing.EventId]));
        }

        var taken = new List<OutgoingEvent>(arrived.Count);
        foreach (var message in arrived)
        {
            var outgoing = replay.DryRun && !endpoint.Payload.HasFilter ? message.Outgoing : await WithBodyAsync(message, cancellationToken);
            if (IsTaken(endpoint, outgoing))
            {
                taken.Add(outgoing);
            }
        }

        return taken;
    }

    // Those that are read at once are bounded by the replay's own limit.
    private async Task<OutgoingEvent> WithBodyAsync(StreamEvent arrived, CancellationToken cancellationToken)
    {
        using var held = await bodies.OfAsync(arrived, cancellationToken);
        return held.Event;
    }

    /// <summary>Whether the webhook, as it is now, takes an event at all: the one place where a replay asks.</summary>
    internal static bool IsTaken(Endpoint endpoint, OutgoingEvent outgoing)
        => SubjectFilter.Matches(endpoint.Filter, outgoing.Subject) && FilterContent.Keep([endpoint], outgoing).Count > 0;

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
