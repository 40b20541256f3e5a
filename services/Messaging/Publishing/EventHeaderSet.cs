using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using NATS.Client.Core;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Messaging;

/// <summary>The headers of one event; made once and sent with every attempt.</summary>
internal sealed class EventHeaderSet
{
    private EventHeaderSet(NatsHeaders headers, string bodySha256)
    {
        Headers = headers;
        BodySha256 = bodySha256;
    }

    public NatsHeaders Headers { get; }

    public string BodySha256 { get; }

    public static EventHeaderSet Create(EventMessage message, TimeProvider time)
    {
        var sha256 = Hash(message);
        var headers = new NatsHeaders(message.Headers.Count + (message.IsCloudEvent ? 14 : 4))
        {
            [EventHeaders.MessageId] = message.MessageId,
            [EventHeaders.ExpectedStream] = message.ExpectedStream,
            [EventHeaders.BodySha256] = sha256,
        };
        if (message.IsCloudEvent)
        {
            headers[EventHeaders.CloudEventSpecVersion] = EventHeaders.CloudEventSpecVersionValue;
            headers[EventHeaders.CloudEventId] = message.CloudEventId ?? message.MessageId;
            headers[EventHeaders.CloudEventType] = message.CloudEventType ?? message.Subject;
            headers[EventHeaders.CloudEventSource] = message.CloudEventSource ?? "/rule-engine";
            headers[EventHeaders.CloudEventTime] = (message.Time ?? time.GetUtcNow()).UtcDateTime.ToString("O", CultureInfo.InvariantCulture);
        }

        if (message.WebhookId is { } webhookId)
        {
            headers[EventHeaders.WebhookId] = webhookId.ToString(CultureInfo.InvariantCulture);
        }

        if (message.CallId is { } callId)
        {
            headers[EventHeaders.CallId] = callId.ToString(CultureInfo.InvariantCulture);
        }

        if (message.RuleExecutionId is { } ruleExecutionId)
        {
            headers[EventHeaders.RuleExecutionId] = ruleExecutionId.ToString(CultureInfo.InvariantCulture);
        }

        if ((message.TraceParent ?? Activity.Current?.Id) is { } traceParent)
        {
            headers[EventHeaders.TraceParent] = traceParent;
        }

        if (message.BodyObject is { } stored)
        {
            headers[EventHeaders.BodyObject] = stored.Reference;
            headers[EventHeaders.BodyObjectSize] = stored.Size.ToString(CultureInfo.InvariantCulture);
        }

        foreach (var (name, value) in message.Headers)
        {
            headers[name] = value;
        }

        return new EventHeaderSet(headers, sha256);
    }

    /// <summary>SHA-256 of an event's body in lower-case hexadecimal.</summary>
    public static string Hash(EventMessage message)
    {
        if (message.BodySha256.Length == SHA256.HashSizeInBytes)
        {
            return Convert.ToHexStringLower(message.BodySha256.Span);
        }

        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(message.Body.Span, hash);
        return Convert.ToHexStringLower(hash);
    }
}
