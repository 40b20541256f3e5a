using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using RuleEngineNats.Contracts;
using RuleEngineNats.Entities.Definitions;
using RuleEngineNats.Entities.Reading;
using RuleEngineNats.Entities.Yaml;

namespace RuleEngineNats.Entities.Compilation;

/// <summary>Writes a YAML value as the JSON that a document would have in its place.</summary>
internal static class ToJson
{
    /// <returns>Null when it is no value at all.</returns>
    public static Token? Convert(YamlNode node, FieldType type)
    {
        var text = new StringBuilder();
        if (node is YamlScalar scalar && !FieldTypes.IsJson(type))
        {
            // 5 is a text where a text is wanted; "5" is no number.
            text.Append(scalar.Plain && (FieldTypes.IsNumber(type) || type is FieldType.Boolean) ? scalar.Text : Quote(scalar.Text));
        }
        else
        {
            Append(text, node);
        }

        var json = Encoding.UTF8.GetBytes(text.ToString());
        if (PayloadRules.Check(json, PayloadRules.MaxBytes) is not null)
        {
            return null;
        }

        var reader = new Utf8JsonReader(json);
        reader.Read();
        return Token.Take(ref reader, json, 0);
    }

    private static void Append(StringBuilder text, YamlNode node)
    {
        switch (node)
        {
            case YamlMapping mapping:
                text.Append('{');
                foreach (var (key, value) in mapping.Entries)
                {
                    text.Append(text[^1] == '{' ? "" : ",").Append(Quote(key.Text)).Append(':');
                    Append(text, value);
                }

                text.Append('}');
                return;
            case YamlSequence sequence:
                text.Append('[');
                for (var index = 0; index < sequence.Items.Count; index++)
                {
                    text.Append(index == 0 ? "" : ",");
                    Append(text, sequence.Items[index]);
                }

                text.Append(']');
                return;
            case YamlScalar scalar:
                text.Append(scalar.IsNull ? "null" : scalar.Plain && IsJson(scalar.Text) ? scalar.Text : Quote(scalar.Text));
                return;
        }
    }

    private static bool IsJson(string text)
        => text is "true" or "false" || (text.Length > 0 && (char.IsAsciiDigit(text[0]) || text[0] == '-') && PayloadRules.Check(Encoding.UTF8.GetBytes(text), PayloadRules.MaxBytes) is null);

    private static string Quote(string text) => $"\"{JsonEncodedText.Encode(text, JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"";
}
