using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using RuleEngineNats.Contracts;
using RuleEngineNats.DeliveryWorker.Delivery;

namespace RuleEngineNats.DeliveryWorker.Payloads;

/// <summary>An event as one JSON document, the structured mode of CloudEvents 1.0: its attributes and, in <c>data</c>, the very bytes of the payload.</summary>
internal static class StructuredEvent
{
    public const string ContentType = "application/cloudevents+json";

    private const string Prefix = "ce-";

    private static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static bool IsAttributeHeader(string name) => name.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase);

    /// <param name="outgoing">The event, whose headers have its attributes.</param>
    /// <param name="payload">What goes into <c>data</c>.</param>
    /// <param name="facts">What stands for attributes that the event has no header for.</param>
    public static ReadOnlyMemory<byte> Write(OutgoingEvent outgoing, ReadOnlyMemory<byte> payload, EventFacts facts)
    {
        var output = new ArrayBufferWriter<byte>(payload.Length + 512);
        using var writer = new Utf8JsonWriter(output, Writing);
        writer.WriteStartObject();
        writer.WriteString("specversion", EventHeaders.CloudEventSpecVersionValue);
        writer.WriteString("id", Header(outgoing, EventHeaders.CloudEventId) ?? facts.Id);
        writer.WriteString("source", facts.Source);
        writer.WriteString("type", facts.Type);
        writer.WriteString("time", facts.Time);
        WriteFurther(writer, outgoing);
        WriteData(writer, outgoing, payload);
        writer.WriteEndObject();
        writer.Flush();
        return output.WrittenMemory;
    }

    /// <summary>The value of a header of the event.</summary>
    public static string? Header(OutgoingEvent outgoing, string name)
        => outgoing.Headers.FirstOrDefault(header => header.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;

    // Names of attributes are letters and digits of ASCII; any other could not be one.
    private static void WriteFurther(Utf8JsonWriter writer, OutgoingEvent outgoing)
    {
        var written = new HashSet<string>(["specversion", "id", "source", "type", "time", "datacontenttype", "data"], StringComparer.Ordinal);
        foreach (var (header, value) in outgoing.Headers.Where(header => IsAttributeHeader(header.Key)))
        {
            var name = header[Prefix.Length..].ToLowerInvariant();
            if (name.Length > 0 && name.All(char.IsAsciiLetterOrDigit) && written.Add(name))
            {
                writer.WriteString(name, value);
            }
        }
    }

    private static void WriteData(Utf8JsonWriter writer, OutgoingEvent outgoing, ReadOnlyMemory<byte> payload)
    {
        if (payload.IsEmpty)
        {
            return;
        }

        if (EventBody.IsJson(payload.Span))
        {
            writer.WriteString("datacontenttype", "application/json");
            writer.WritePropertyName("data");
            writer.WriteRawValue(payload.Span, skipInputValidation: true);
        }
        else
        {
            writer.WriteString("datacontenttype", Header(outgoing, "Content-Type") ?? "application/octet-stream");
            writer.WriteBase64String("data_base64", payload.Span);
        }
    }
}
