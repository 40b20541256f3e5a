using System.Text.Json;

namespace RuleEngineNats.Entities.Reading;

/// <summary>A JSON value where it lies: nothing is copied before it is known to be wanted.</summary>
/// <param name="Source">The array it lies in; null when there is no value.</param>
/// <param name="Escaped">Whether a string has escapes.</param>
internal readonly record struct Token(byte[] Source, int Start, int Length, JsonTokenType Type, bool Escaped)
{
    public bool Exists => Source is not null;

    /// <summary>With the quotes of a string.</summary>
    public ReadOnlySpan<byte> Raw => Source.AsSpan(Start, Length);

    /// <summary>The value the reader stands on; it moves to its end.</summary>
    /// <param name="offset">Where the reader's bytes begin in <paramref name="source"/>.</param>
    public static Token Take(ref Utf8JsonReader reader, byte[] source, int offset)
    {
        var (start, type, escaped) = ((int)reader.TokenStartIndex, reader.TokenType, reader.ValueIsEscaped);
        if (type is JsonTokenType.StartObject or JsonTokenType.StartArray)
        {
            reader.Skip();
        }

        return new(source, offset + start, (int)reader.BytesConsumed - start, type, escaped);
    }

    /// <summary>The value that a path of names leads to in an object.</summary>
    public Token Find(byte[][] path)
    {
        var token = this;
        foreach (var name in path)
        {
            if (token.Type != JsonTokenType.StartObject)
            {
                return default;
            }

            token = token.Property(name);
        }

        return token;
    }

    private Token Property(byte[] name)
    {
        var reader = new Utf8JsonReader(Raw, Json.Options);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var found = reader.ValueTextEquals(name);
            reader.Read();
            var value = Take(ref reader, Source, Start);
            if (found)
            {
                return value;
            }
        }

        return default;
    }
}

internal static class Json
{
    public static readonly JsonReaderOptions Options = new() { MaxDepth = Contracts.PayloadRules.MaxDepth + 1 };

    public static string Name(JsonTokenType type) => type switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "a list",
        JsonTokenType.String => "a string",
        JsonTokenType.Number => "a number",
        JsonTokenType.True or JsonTokenType.False => "a truth value",
        _ => "null",
    };
}
