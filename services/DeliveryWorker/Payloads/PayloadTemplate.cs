using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace RuleEngineNats.DeliveryWorker.Payloads;

/// <summary>What a placeholder may say about an event, besides its body.</summary>
internal sealed record EventFacts(string Id, string? Subject, string Time, string? Type, string? Source, string Webhook);

/// <summary>
/// A webhook's payload_template: JSON in which <c>{{path}}</c> stands for a part of the body. A text that is one placeholder becomes the value with its very
/// digits and spaces; elsewhere the value is inserted as text. Nothing is computed. The grammar is that of rule_webhook_template_check.
/// </summary>
internal sealed partial class PayloadTemplate
{
    /// <summary>Most bytes it may come to: what a receiver may expect of an event.</summary>
    public const int MaxOutput = 1024 * 1024;

    private static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private readonly Node _root;

    private PayloadTemplate(Node root) => _root = root;

    /// <exception cref="FormatException">It has a placeholder that is none.</exception>
    public static PayloadTemplate Compile(JsonElement template) => new(Read(template));

    /// <exception cref="TemplateException">It cannot be filled from this event.</exception>
    public ReadOnlyMemory<byte> Fill(ReadOnlyMemory<byte> body, EventFacts facts)
    {
        using var document = EventBody.Parse(body) ?? throw new TemplateException("the body is no JSON");
        var output = new ArrayBufferWriter<byte>();
        using var writer = new Utf8JsonWriter(output, Writing);
        Write(_root, new Filling(writer, document.RootElement, facts));
        writer.Flush();
        return output.WrittenMemory;
    }

    private static Node Read(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => new Node.Members([.. element.EnumerateObject().Select(member => (JsonEncodedText.Encode(member.Name, Writing.Encoder), Read(member.Value)))]),
        JsonValueKind.Array => new Node.Elements([.. element.EnumerateArray().Select(Read)]),
        JsonValueKind.String => ReadText(element.GetString()!),
        _ => new Node.Raw(element.GetRawText()),
    };

    private static Node ReadText(string text)
    {
        var parts = new List<Node>();
        var at = 0;
        while (text.IndexOf("{{", at, StringComparison.Ordinal) is var open and >= 0)
        {
            if (open > at)
            {
                parts.Add(new Node.Text(text[at..open]));
            }

            var match = Placeholder().Match(text, open);
            if (!match.Success)
            {
                throw new FormatException($"payload_template: no placeholder at character {open + 1}");
            }

            parts.Add(match.Groups["fact"] is { Success: true } fact ? new Node.Fact(fact.Value) : new Node.Path(ReadPath(match.Groups["path"].Value)));
            at = open + match.Length;
        }

        if (at < text.Length || parts.Count == 0)
        {
            parts.Add(new Node.Text(text[at..]));
        }

        return parts.Count == 1 ? parts[0] : new Node.Joined([.. parts]);
    }

    private static object[] ReadPath(string path) => [.. Steps().Matches(path).Select(step => step.Value switch
    {
        ['[', .. var index, ']'] => int.Parse(index, NumberStyles.None, CultureInfo.InvariantCulture),
        ['"', .. var quoted, '"'] => Escapes().Replace(quoted, "$1"),
        var name => (object)name,
    })];

    private static void Write(Node node, Filling filling)
    {
        filling.Bound(0);
        switch (node)
        {
            case Node.Members members:
                WriteMembers(members, filling);
                break;
            case Node.Elements elements:
                filling.Writer.WriteStartArray();
                Array.ForEach(elements.Values, element => Write(element, filling));
                filling.Writer.WriteEndArray();
                break;
            case Node.Raw raw:
                filling.Writer.WriteRawValue(raw.Json, skipInputValidation: true);
                break;
            case Node.Path path when Find(filling.Body, path.Steps) is { ValueKind: not JsonValueKind.Undefined } found:
                WriteRaw(found, filling);
                break;
            case Node.Path:
                filling.Writer.WriteNullValue();
                break;
            case Node.Fact fact:
                filling.Writer.WriteStringValue(filling.Of(fact.Word));
                break;
            case Node.Text text:
                filling.Writer.WriteStringValue(text.Value);
                break;
            case Node.Joined joined:
                filling.Writer.WriteStringValue(Join(joined, filling));
                break;
        }

        filling.Bound(0);
    }

    private static void WriteMembers(Node.Members members, Filling filling)
    {
        filling.Writer.WriteStartObject();
        foreach (var (name, value) in members.Values)
        {
            filling.Writer.WritePropertyName(name);
            Write(value, filling);
        }

        filling.Writer.WriteEndObject();
    }

    private static void WriteRaw(JsonElement found, Filling filling)
    {
        var raw = System.Runtime.InteropServices.JsonMarshal.GetRawUtf8Value(found);
        filling.Bound(raw.Length);
        filling.Writer.WriteRawValue(raw, skipInputValidation: true);
    }

    private static string Join(Node.Joined joined, Filling filling)
    {
        var text = new StringBuilder();
        foreach (var part in joined.Parts)
        {
            switch (part)
            {
                case Node.Text plain:
                    text.Append(plain.Value);
                    break;
                case Node.Fact fact:
                    text.Append(filling.Of(fact.Word));
                    break;
                case Node.Path path:
                    EventBody.AppendText(text, Find(filling.Body, path.Steps));
                    break;
            }

            filling.Bound(text.Length);
        }

        return text.ToString();
    }

    private static JsonElement Find(JsonElement value, object[] steps)
    {
        foreach (var step in steps)
        {
            var found = step switch
            {
                string name when value.ValueKind == JsonValueKind.Object && value.TryGetProperty(name, out var member) => member,
                int index when value.ValueKind == JsonValueKind.Array && index < value.GetArrayLength() => value[index],
                _ => default,
            };
            if (found.ValueKind == JsonValueKind.Undefined)
            {
                return default;
            }

            value = found;
        }

        return value;
    }

    private const string Name = """(?:[A-Za-z_][A-Za-z0-9_-]*|"(?:[^"\\\u0001-\u001f]|\\["\\])*")""";

    [GeneratedRegex(@"\G\{\{ *(?:\$(?<fact>subject|id|time|type|source|webhook)|(?<path>(?:\$|" + Name + @")(?:\." + Name + @"|\[[0-9]{1,9}\])*)) *\}\}")]
    private static partial Regex Placeholder();

    [GeneratedRegex(@"\[[0-9]+\]|" + Name)]
    private static partial Regex Steps();

    [GeneratedRegex(@"\\([""\\])")]
    private static partial Regex Escapes();

    private sealed record Filling(Utf8JsonWriter Writer, JsonElement Body, EventFacts Facts)
    {
        public string? Of(string word) => word switch
        {
            "subject" => Facts.Subject,
            "id" => Facts.Id,
            "time" => Facts.Time,
            "type" => Facts.Type,
            "source" => Facts.Source,
            _ => Facts.Webhook,
        };

        public void Bound(int more)
        {
            if (Writer.BytesCommitted + Writer.BytesPending + more > MaxOutput)
            {
                throw new TemplateException("what is sent would be larger than 1 MiB");
            }
        }
    }

    private abstract record Node
    {
        public sealed record Members((JsonEncodedText Name, Node Value)[] Values) : Node;

        public sealed record Elements(Node[] Values) : Node;

        public sealed record Raw(string Json) : Node;

        public sealed record Text(string Value) : Node;

        public sealed record Fact(string Word) : Node;

        public sealed record Path(object[] Steps) : Node;

        public sealed record Joined(Node[] Parts) : Node;
    }
}

/// <summary>Why a template cannot be filled; never a part of the body.</summary>
internal sealed class TemplateException(string message) : Exception(message);
