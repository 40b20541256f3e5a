using System.Text.Json;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Messaging;

/// <summary>The publisher's headers as <c>rule_nats_publish_history.headers</c> keeps them: an object of strings, from which the event can be published again.</summary>
public static class HistoryHeaders
{
    /// <summary>The JSON text; null without headers.</summary>
    public static string? Json(EventMessage message)
    {
        if (message is { Headers.Count: 0, CloudEventType: null, CloudEventSource: null })
        {
            return null;
        }

        var headers = message.Headers.ToDictionary(header => header.Key, header => header.Value);
        if (message.CloudEventType is { } type)
        {
            headers[EventHeaders.CloudEventType] = type;
        }

        if (message.CloudEventSource is { } source)
        {
            headers[EventHeaders.CloudEventSource] = source;
        }

        return JsonSerializer.Serialize(headers);
    }
}
