using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Text.Json;
using RuleEngineNats.Entities.Definitions;

namespace RuleEngineNats.Entities.Reading;

/// <summary>Turns a JSON value into the value of a column, or says why it cannot be one.</summary>
internal static class ReadValue
{
    /// <returns>Null, or the code of the violation.</returns>
    public static string? Read(FieldType type, in Token token, out EntityValue value)
    {
        value = default;
        switch (type)
        {
            case FieldType.String:
                return token.Type == JsonTokenType.String ? ReadText(token, out value) : ViolationCodes.WrongType;
            case FieldType.Integer:
                return token.Type == JsonTokenType.Number ? ReadInteger(token.Raw, out value) : ViolationCodes.WrongType;
            case FieldType.Float:
                return token.Type == JsonTokenType.Number ? ReadDouble(token.Raw, out value) : ViolationCodes.WrongType;
            case FieldType.Decimal:
                return token.Type switch
                {
                    JsonTokenType.Number => ReadDecimal(token.Raw, out value),
                    // Many send money as a string, since JavaScript's numbers are binary.
                    JsonTokenType.String => IsJsonNumber(Unquoted(token)) ? ReadDecimal(Unquoted(token), out value) : ViolationCodes.NotADecimal,
                    _ => ViolationCodes.WrongType,
                };
            case FieldType.Boolean:
                value = EntityValue.FromBoolean(token.Type == JsonTokenType.True);
                return token.Type is JsonTokenType.True or JsonTokenType.False ? null : ViolationCodes.WrongType;
            case FieldType.DateTime:
                return token.Type == JsonTokenType.String ? Moments.ReadTimestamp(Unquoted(token), out value) : ViolationCodes.WrongType;
            case FieldType.Date:
                return token.Type == JsonTokenType.String ? Moments.ReadDate(Unquoted(token), out value) : ViolationCodes.WrongType;
            default:
                value = EntityValue.FromUtf8(EntityValueKind.Jsonb, token.Source, token.Start, token.Length);
                return IsJson(type, token) ? null : ViolationCodes.WrongType;
        }
    }

    /// <summary>Whether a value has the JSON type of a field, whatever else is wrong with it.</summary>
    public static bool IsOfType(FieldType type, JsonTokenType token) => type switch
    {
        FieldType.Integer or FieldType.Float => token == JsonTokenType.Number,
        FieldType.Decimal => token is JsonTokenType.Number or JsonTokenType.String,
        FieldType.Boolean => token is JsonTokenType.True or JsonTokenType.False,
        FieldType.Object => token == JsonTokenType.StartObject,
        FieldType.ListOfStrings or FieldType.ListOfObjects => token == JsonTokenType.StartArray,
        _ => token == JsonTokenType.String,
    };

    private static string? ReadText(in Token token, out EntityValue value)
    {
        if (!token.Escaped)
        {
            value = EntityValue.FromUtf8(EntityValueKind.Text, token.Source, token.Start + 1, token.Length - 2);
            return null;
        }

        var text = Unescape(token, out var length);
        value = EntityValue.FromUtf8(EntityValueKind.Text, text, 0, length);
        return null;
    }

    // Some writers escape more than they must: .NET's sends the + of an offset as \u002B.
    private static ReadOnlySpan<byte> Unquoted(in Token token) => token.Escaped ? Unescape(token, out var length).AsSpan(0, length) : token.Raw[1..^1];

    private static byte[] Unescape(in Token token, out int length)
    {
        var reader = new Utf8JsonReader(token.Raw, Json.Options);
        reader.Read();
        var text = new byte[token.Length];
        length = reader.CopyString(text);
        return text;
    }

    private static string? ReadInteger(ReadOnlySpan<byte> number, out EntityValue value)
    {
        var read = Utf8Parser.TryParse(number, out long integer, out var consumed);
        value = EntityValue.FromBigint(integer);
        if (read && consumed == number.Length)
        {
            return null;
        }

        return number.ContainsAny((byte)'.', (byte)'e', (byte)'E') ? ViolationCodes.NotAnInteger : ViolationCodes.OutOfRange;
    }

    private static string? ReadDouble(ReadOnlySpan<byte> number, out EntityValue value)
    {
        var read = double.TryParse(number, NumberStyles.Float, CultureInfo.InvariantCulture, out var real);
        value = EntityValue.FromReal(real);
        return read && double.IsFinite(real) ? null : ViolationCodes.OutOfRange;
    }

    // Money is short: up to 18 digits without exponent need no decimal arithmetic.
    private static string? ReadDecimal(ReadOnlySpan<byte> number, out EntityValue value)
    {
        var negative = number[0] == (byte)'-';
        long digits = 0;
        var (count, scale, point) = (0, 0, false);
        foreach (var unit in number[(negative ? 1 : 0)..])
        {
            if (unit == (byte)'.')
            {
                point = true;
                continue;
            }

            if (unit > (byte)'9' || ++count > 18)
            {
                return ReadLongDecimal(number, out value);
            }

            digits = (digits * 10) + (unit - '0');
            scale += point ? 1 : 0;
        }

        value = EntityValue.FromNumeric(negative ? -digits : digits, (byte)scale);
        return null;
    }

    private static string? ReadLongDecimal(ReadOnlySpan<byte> number, out EntityValue value)
    {
        value = default;
        if (!decimal.TryParse(number, NumberStyles.Float, CultureInfo.InvariantCulture, out var exact))
        {
            return ViolationCodes.OutOfRange;
        }

        value = EntityValue.FromNumeric(exact);
        return IsExact(number, exact) ? null : ViolationCodes.TooPrecise;
    }

    // decimal rounds what it cannot hold. Whether it did shows in the significant digits, which must be the same.
    private static bool IsExact(ReadOnlySpan<byte> number, decimal parsed)
    {
        Span<byte> printed = stackalloc byte[40];
        return parsed.TryFormat(printed, out var length, provider: CultureInfo.InvariantCulture)
            && Significant(number).SequenceEqual(Significant(printed[..length]));
    }

    private static ReadOnlySpan<byte> Significant(ReadOnlySpan<byte> number)
    {
        var exponent = number.IndexOfAny((byte)'e', (byte)'E');
        var digits = new byte[number.Length];
        var count = 0;
        foreach (var unit in exponent < 0 ? number : number[..exponent])
        {
            if (unit is >= (byte)'0' and <= (byte)'9')
            {
                digits[count++] = unit;
            }
        }

        return digits.AsSpan(0, count).Trim((byte)'0');
    }

    private static bool IsJsonNumber(ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty || text.Length > Contracts.PayloadRules.MaxNumberLength || text.ContainsAnyExcept(NumberBytes))
        {
            return false;
        }

        try
        {
            var reader = new Utf8JsonReader(text, Json.Options);
            return reader.Read() && reader.TokenType == JsonTokenType.Number && !reader.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static readonly SearchValues<byte> NumberBytes = SearchValues.Create("0123456789+-.eE"u8);

    private static bool IsJson(FieldType type, in Token token)
    {
        if (type == FieldType.Object)
        {
            return token.Type == JsonTokenType.StartObject;
        }

        if (token.Type != JsonTokenType.StartArray)
        {
            return false;
        }

        var wanted = type == FieldType.ListOfStrings ? JsonTokenType.String : JsonTokenType.StartObject;
        var reader = new Utf8JsonReader(token.Raw, Json.Options);
        reader.Read();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != wanted)
            {
                return false;
            }

            reader.Skip();
        }

        return true;
    }
}
