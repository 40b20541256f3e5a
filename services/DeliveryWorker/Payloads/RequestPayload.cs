using System.Globalization;
using System.IO.Compression;
using System.Net.Http.Headers;
using RuleEngineNats.Contracts;
using RuleEngineNats.DeliveryWorker.Delivery;

namespace RuleEngineNats.DeliveryWorker.Payloads;

/// <summary>
/// What one request carries. Without settings it is the event's body, byte for byte.
/// <code>
/// body -> template -> CloudEvents envelope = signed -> gzip = sent
/// </code>
/// The signature is over what a receiver's application gets to see: servers and frameworks undo a Content-Encoding before it.
/// </summary>
/// <param name="Sent">The bytes of the request.</param>
/// <param name="Signed">The bytes the signature is of.</param>
internal readonly record struct RequestPayload(ReadOnlyMemory<byte> Sent, ReadOnlyMemory<byte> Signed)
{
    /// <summary>Up to here compression costs more than it saves.</summary>
    public const int MinGzip = 1024;

    private const string Json = "application/json";

    /// <summary>Why it cannot be made, or null.</summary>
    public string? Problem { get; private init; }

    public string ContentType { get; private init; } = Json;

    public bool IsGzip { get; private init; }

    /// <summary>True when the attributes of the event are in the body and not in headers.</summary>
    public bool IsStructured { get; private init; }

    /// <param name="endpoint">Whose settings count.</param>
    /// <param name="outgoing">The event.</param>
    /// <param name="now">Its time, where it has none of its own.</param>
    public static RequestPayload Make(Endpoint endpoint, OutgoingEvent outgoing, DateTimeOffset now)
    {
        var settings = endpoint.Payload;
        if (settings.Problem is { } problem)
        {
            return new(default, default) { Problem = problem };
        }

        var payload = outgoing.Body;
        if (settings.Template is not null || settings.Structured)
        {
            var facts = FactsOf(endpoint, outgoing, now);
            try
            {
                payload = settings.Template?.Fill(payload, facts) ?? payload;
            }
            catch (TemplateException e)
            {
                return new(default, default) { Problem = "template: " + e.Message };
            }

            payload = settings.Structured ? StructuredEvent.Write(outgoing, payload, facts) : payload;
        }

        var compressed = settings.Gzip && payload.Length > MinGzip ? Compress(payload) : payload;
        var isGzip = compressed.Length < payload.Length;
        return new(isGzip ? compressed : payload, payload)
        {
            ContentType = settings.Structured ? StructuredEvent.ContentType : Json,
            IsGzip = isGzip,
            IsStructured = settings.Structured,
        };
    }

    /// <summary>The content of the request.</summary>
    /// <param name="withContentType">False when the endpoint has a Content-Type of its own.</param>
    public HttpContent ToContent(bool withContentType)
    {
        var content = new ReadOnlyMemoryContent(Sent);
        if (withContentType)
        {
            content.Headers.ContentType = new MediaTypeHeaderValue(ContentType);
        }

        if (IsGzip)
        {
            content.Headers.ContentEncoding.Add("gzip");
        }

        return content;
    }

    // The stored event has these headers; an event that another publisher put into the stream, or a queued call, may have none.
    private static EventFacts FactsOf(Endpoint endpoint, OutgoingEvent outgoing, DateTimeOffset now) => new(
        outgoing.EventId,
        outgoing.Subject,
        StructuredEvent.Header(outgoing, EventHeaders.CloudEventTime) ?? now.UtcDateTime.ToString("O", CultureInfo.InvariantCulture),
        StructuredEvent.Header(outgoing, EventHeaders.CloudEventType) ?? outgoing.Subject ?? endpoint.Name,
        StructuredEvent.Header(outgoing, EventHeaders.CloudEventSource) ?? "/rule-engine",
        endpoint.Name);

    private static ReadOnlyMemory<byte> Compress(ReadOnlyMemory<byte> payload)
    {
        using var output = new MemoryStream(payload.Length / 2);
        using (var gzip = new GZipStream(output, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(payload.Span);
        }

        return output.GetBuffer().AsMemory(0, (int)output.Length);
    }
}
