using System.Globalization;
using System.Text;
using System.Text.Json;

namespace RuleEngineNats.IngestionTool.Input;

internal enum CsvType
{
    String,
    Integer,
    Float,
    Boolean,
    Json,

    /// <summary>A number, true, false or null as JSON writes it becomes one; all else is a string.</summary>
    Inferred,
}

/// <summary>How a field of a CSV record becomes a value of a document.</summary>
internal static class CsvColumn
{
    public const string Types = "string, integer, float, boolean or json";

    public static CsvType? TypeOf(string name) => name switch
    {
        "string" => CsvType.String,
        "integer" => CsvType.Integer,
        "float" => CsvType.Float,
        "boolean" => CsvType.Boolean,
        "json" => CsvType.Json,
        _ => null,
    };

    /// <summary>Writes the value, and returns what is wrong with it. An empty field is null, but for strings.</summary>
    public static string? Write(Utf8JsonWriter writer, CsvType type, string text)
    {
        if (text.Length == 0 && type is not (CsvType.String or CsvType.Inferred))
        {
            writer.WriteNullValue();
            return null;
        }

        return type switch
        {
            CsvType.Integer => Raw(writer, Integer(text), text, "an integer"),
            CsvType.Float => Raw(writer, Float(text), text, "a number"),
            CsvType.Boolean => Raw(writer, Boolean(text), text, "a boolean: true, false, t, f, yes, no, 1 or 0"),
            CsvType.Json => Raw(writer, IsJson(text) ? text.Replace('\n', ' ').Replace('\r', ' ') : null, text, "JSON"),
            CsvType.Inferred when IsLiteral(text) => Raw(writer, text, text, ""),
            _ => Text(writer, text),
        };
    }

    private static string? Text(Utf8JsonWriter writer, string text)
    {
        writer.WriteStringValue(text);
        return null;
    }

    // What is wrong stays as it is, to be mended.
    private static string? Raw(Utf8JsonWriter writer, string? json, string text, string wanted)
    {
        if (json is null)
        {
            writer.WriteStringValue(text);
            return $"not {wanted}";
        }

        writer.WriteRawValue(json, skipInputValidation: true);
        return null;
    }

    // JSON knows neither a plus sign nor leading zeros. Digits stay as they are, however many.
    private static string? Integer(string text)
    {
        var sign = text[0] == '-' ? "-" : "";
        var digits = text.AsSpan(text[0] is '-' or '+' ? 1 : 0);
        return digits.IsEmpty || digits.ContainsAnyExceptInRange('0', '9') ? null
            : digits.TrimStart('0') is { IsEmpty: false } significant ? $"{sign}{significant}" : "0";
    }

    private static string? Float(string text)
        => IsLiteral(text) && text[0] is '-' or (>= '0' and <= '9') ? text
            : double.TryParse(text, NumberStyles.Float & ~(NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite), CultureInfo.InvariantCulture, out var value) && double.IsFinite(value)
                ? value.ToString("R", CultureInfo.InvariantCulture)
                : null;

    private static string? Boolean(string text) => text.ToUpperInvariant() switch
    {
        "TRUE" or "T" or "YES" or "Y" or "1" => "true",
        "FALSE" or "F" or "NO" or "N" or "0" => "false",
        _ => null,
    };

    // A number, true, false or null, and nothing before or behind it.
    private static bool IsLiteral(string text)
        => text.Length > 0 && text[0] is '-' or (>= '0' and <= '9') or 't' or 'f' or 'n' && text[^1] > ' ' && IsJson(text);

    private static bool IsJson(string text)
    {
        try
        {
            var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(text));
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
}
