using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace RuleEngineNats.Contracts;

/// <summary>
/// What <see cref="StreamNames.Messages"/> and <see cref="StreamNames.MessagesDeadLetter"/> hold: one document and where it came from, as JSON
/// <c>{"message_id","body","entity_type","received_at","retry_count","source"}</c>. The document is a string in it, character for character.
/// </summary>
/// <param name="MessageId">The document's id; see <see cref="IngestMessageId"/>.</param>
/// <param name="Body">The document's bytes, UTF-8.</param>
/// <param name="EntityType">The entity it was sent as; null when none was named.</param>
/// <param name="ReceivedAt">When it was accepted.</param>
/// <param name="RetryCount">0, unless a publisher of its own counts here.</param>
/// <param name="Source">Where it came from, for the record; null when that is not known.</param>
public sealed record IngestEnvelope(Guid MessageId, ReadOnlyMemory<byte> Body, string? EntityType, DateTimeOffset ReceivedAt, int RetryCount = 0, string? Source = null)
{
    // A quote costs 2 bytes and not 6; the envelope is never put into HTML.
    private static readonly JsonWriterOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>Writes it as JSON.</summary>
    public void WriteTo(IBufferWriter<byte> output)
    {
        using var writer = new Utf8JsonWriter(output, Compact);
        writer.WriteStartObject();
        writer.WriteString("message_id"u8, MessageId);
        writer.WriteString("body"u8, Body.Span);
        writer.WriteString("entity_type"u8, EntityType);
        writer.WriteString("received_at"u8, ReceivedAt.UtcDateTime);
        writer.WriteNumber("retry_count"u8, RetryCount);
        writer.WriteString("source"u8, Source);
        writer.WriteEndObject();
    }

    /// <summary>Reads what <see cref="WriteTo"/> writes; fields it does not know are passed over.</summary>
    /// <param name="json">The message's bytes.</param>
    /// <param name="envelope">The envelope, where there is one.</param>
    /// <param name="problem">What is wrong with it; never a part of it. Null when it could be read.</param>
    public static bool TryRead(ReadOnlySpan<byte> json, out IngestEnvelope? envelope, out string? problem)
    {
        (envelope, problem) = (null, null);
        try
        {
            (envelope, problem) = Read(json);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            // The reader's own message quotes the input.
            problem = "not an envelope in JSON";
        }

        return envelope is not null;
    }

    private static (IngestEnvelope? Envelope, string? Problem) Read(ReadOnlySpan<byte> json)
    {
        Guid? id = null;
        byte[]? body = null;
        DateTimeOffset? received = null;
        (string? entity, string? source, var retries) = (null, null, 0);
        var reader = new Utf8JsonReader(json);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return (null, "not a JSON object");
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("message_id"u8) && reader.Read())
            {
                id = reader.GetGuid();
            }
            else if (reader.ValueTextEquals("body"u8) && reader.Read())
            {
                body = Text(ref reader);
            }
            else if (reader.ValueTextEquals("entity_type"u8) && reader.Read())
            {
                entity = reader.GetString();
            }
            else if (reader.ValueTextEquals("received_at"u8) && reader.Read())
            {
                received = reader.GetDateTimeOffset();
            }
            else if (reader.ValueTextEquals("retry_count"u8) && reader.Read())
            {
                retries = reader.GetInt32();
            }
            else if (reader.ValueTextEquals("source"u8) && reader.Read())
            {
                source = reader.GetString();
            }
            else
            {
                reader.Skip();
            }
        }

        reader.Read();
        return (id, body, received) switch
        {
            (null, _, _) => (null, "message_id is missing"),
            (_, null, _) => (null, "body is missing"),
            (_, _, null) => (null, "received_at is missing"),
            _ => (new(id.Value, body, entity, received.Value, retries, source), null),
        };
    }

    private static byte[] Text(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.String)
        {
            throw new JsonException();
        }

        if (!reader.ValueIsEscaped)
        {
            return reader.ValueSpan.ToArray();
        }

        var buffer = ArrayPool<byte>.Shared.Rent(reader.ValueSpan.Length);
        try
        {
            return buffer.AsSpan(0, reader.CopyString(buffer)).ToArray();
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
