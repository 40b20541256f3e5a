using NATS.Client.Core;
using NATS.Client.JetStream;
using RuleEngineNats.Contracts;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Routing;

namespace RuleEngineNats.DeliveryWorker.Streams;

/// <summary>A message of a stream as the consumer gets it; the body is the very array that came from the server.</summary>
/// <param name="Outgoing">What is sent on.</param>
/// <param name="CallId">The call of an event that was queued as well.</param>
/// <param name="PublishedThrough">The webhook it was published through, if any.</param>
/// <param name="Redelivered">True when the server gave it, or may have given it, to some worker before.</param>
/// <param name="Message">The message itself.</param>
internal sealed record StreamEvent(OutgoingEvent Outgoing, long? CallId, int? PublishedThrough, bool Redelivered, INatsJSMsg<byte[]> Message)
{
    /// <param name="message">The message.</param>
    /// <param name="stream">Its stream.</param>
    /// <param name="countedFrom">What was stored before this may have been delivered without the consumer knowing.</param>
    public static StreamEvent From(INatsJSMsg<byte[]> message, string stream, DateTimeOffset countedFrom)
    {
        var metadata = message.Metadata ?? throw new InvalidOperationException("a message without its place in a stream");
        var headers = message.Headers;
        var outgoing = new OutgoingEvent(
            StableEventId.Of(Value(headers, EventHeaders.MessageId), stream, metadata.Sequence.Stream, metadata.Timestamp), message.Data ?? [])
        {
            Subject = message.Subject,
            Stream = stream,
            StreamSequence = (long)metadata.Sequence.Stream,
            TraceParent = Value(headers, EventHeaders.TraceParent),
            Headers = ToSend(headers),
        };
        return new(
            outgoing,
            long.TryParse(Value(headers, EventHeaders.CallId), out var callId) ? callId : null,
            int.TryParse(Value(headers, EventHeaders.WebhookId), out var webhookId) ? webhookId : null,
            metadata.NumDelivered > 1 || metadata.Timestamp < countedFrom || headers?.ContainsKey(EventHeaders.Restored) == true,
            message);
    }

    private static string? Value(NatsHeaders? headers, string name)
        => headers is not null && headers.TryGetValue(name, out var values) && values.Count > 0 ? values[0] : null;

    // What the publisher added and the CloudEvents attributes go on; what speaks to nats-server or to us does not.
    private static List<KeyValuePair<string, string>> ToSend(NatsHeaders? headers)
    {
        var send = new List<KeyValuePair<string, string>>(headers?.Count ?? 0);
        foreach (var (name, values) in headers ?? [])
        {
            if (values.Count == 1 && values[0] is { } value && !IsInternal(name) && EndpointHeaders.MaySend(name, value))
            {
                send.Add(new(name, value));
            }
        }

        return send;
    }

    private static bool IsInternal(string name)
        => name.StartsWith("Nats-", StringComparison.OrdinalIgnoreCase) || name.StartsWith("rule-", StringComparison.OrdinalIgnoreCase);
}
