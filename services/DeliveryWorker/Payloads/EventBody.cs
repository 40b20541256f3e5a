using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Payloads;

/// <summary>Reads a body that jsonb would take too, so that SQL and the worker judge the same documents. Of a name given twice the last counts, as there.</summary>
internal static class EventBody
{
    /// <summary>PostgreSQL goes as deep as its stack, some thousand levels; what our own edges take has 64.</summary>
    public const int MaxDepth = 1000;

    // numeric's own limits, beyond which the cast to jsonb fails.
    private const int MaxWeight = 131_071;
    private const int MaxScale = 16_383;

    /// <returns>Null when it is no such JSON.</returns>
    public static JsonDocument? Parse(ReadOnlyMemory<byte> body)
    {
        if (!Utf8.IsValid(body.Span))
        {
            return null;
        }

        try
        {
            return IsTakenByJsonb(body.Span) ? JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = MaxDepth }) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Whether the bytes are one JSON value in valid UTF-8, whatever its numbers and escapes stand for.</summary>
    public static bool IsJson(ReadOnlySpan<byte> body)
    {
        if (!Utf8.IsValid(body))
        {
            return false;
        }

        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = MaxDepth });
        try
        {
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static bool IsTakenByJsonb(ReadOnlySpan<byte> body)
    {
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = MaxDepth });
        while (reader.Read())
        {
            var taken = reader.TokenType switch
            {
                JsonTokenType.PropertyName or JsonTokenType.String => !reader.ValueIsEscaped || IsText(ref reader),
                JsonTokenType.Number => IsNumeric(reader.ValueSpan),
                _ => true,
            };
            if (!taken)
            {
                return false;
            }
        }

        return true;
    }

    // Half a surrogate pair and the character NUL are no text in PostgreSQL.
    private static bool IsText(ref Utf8JsonReader reader)
    {
        try
        {
            return !reader.GetString()!.Contains('\0', StringComparison.Ordinal);
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    private static bool IsNumeric(ReadOnlySpan<byte> raw)
    {
        // Too short to leave the limits without an exponent: nearly all of them.
        if (raw.Length < 1000 && raw.IndexOfAny((byte)'e', (byte)'E') < 0)
        {
            return true;
        }

        return JsonNumber.TryParse(raw, out var number) && number.Scale <= MaxScale && (number.IsZero || number.Weight <= MaxWeight);
    }

    /// <summary>The text of a value inside another text: of a string its characters, of anything else its JSON; nothing for null.</summary>
    public static void AppendText(StringBuilder text, JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.String)
        {
            text.Append(value.GetString());
        }
        else if (value.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined))
        {
            text.Append(value.GetRawText());
        }
    }
}
