using System.Diagnostics;
using System.Text.Json;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>The event of a history row as it is published, the first time and when it has to be published again.</summary>
internal static class OutboxMessage
{
    public static EventMessage Of(
        OutboxRow row, Destination destination, IReadOnlyList<KeyValuePair<string, string>> headers, Activity? activity)
        => new(row.Subject, row.Body, row.NatsMessageId, destination.Stream)
        {
            Config = destination.Config,
            WebhookId = row.WebhookId,
            CallId = row.CallId,
            TraceParent = activity?.Id ?? row.TraceParent,
            RuleExecutionId = row.RuleExecutionId,
            BodySha256 = row.BodySha256,
            BodyObject = row.BodyObject,
            Time = row.PublishedAt,
            Headers = headers,
        };

    public static PublishOutcome.Refused? ReadHeaders(string? json, out IReadOnlyList<KeyValuePair<string, string>> headers)
    {
        headers = [];
        if (json is null)
        {
            return null;
        }

        var read = new List<KeyValuePair<string, string>>();
        using var document = JsonDocument.Parse(json);
        if (document.RootElement.ValueKind is not JsonValueKind.Object)
        {
            return new(RefusalReason.InvalidHeader, "headers is not a JSON object");
        }

        foreach (var header in document.RootElement.EnumerateObject())
        {
            // CloudEvents attributes take the place of ours, however they are written.
            var name = header.Name.StartsWith("ce-", StringComparison.OrdinalIgnoreCase) ? header.Name.ToLowerInvariant() : header.Name;
            read.Add(new(name, header.Value.ValueKind is JsonValueKind.String ? header.Value.GetString()! : header.Value.GetRawText()));
        }

        headers = read;
        return HeaderRules.Check(read) is { } problem ? new(RefusalReason.InvalidHeader, problem.ToString()) : null;
    }
}
