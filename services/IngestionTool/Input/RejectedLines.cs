using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;

namespace RuleEngineNats.IngestionTool.Input;

/// <summary>
/// The file of rejected lines, which can be mended and loaded again. Each of its lines has the document as it is where it is JSON, else as text, else in base64:
/// <code>
/// {"line":3,"code":"invalid_document","field":"$.total","detail":"…","document":{"order_key":3}}
/// {"line":7,"code":"invalid_json","detail":"…","text":"{\"order_key\":"}
/// {"line":9,"code":"too_large","detail":"…"}
/// </code>
/// </summary>
internal sealed class RejectedLines(NdjsonLines lines) : ILines
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    // The document is one level down.
    private static readonly JsonDocumentOptions Deep = new() { MaxDepth = 128 };

    public bool CanSeek => true;

    public static void Write(Utf8JsonWriter writer, long line, LineProblem problem, ReadOnlySpan<byte> document)
    {
        writer.WriteStartObject();
        writer.WriteNumber("line"u8, line);
        writer.WriteString("code"u8, problem.Code);
        if (problem.Field is not null)
        {
            writer.WriteString("field"u8, problem.Field);
        }

        if (problem.Detail is not null)
        {
            writer.WriteString("detail"u8, problem.Detail);
        }

        WriteDocument(writer, document.TrimEnd((byte)'\r'));
        writer.WriteEndObject();
    }

    public async IAsyncEnumerable<SourceLine> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var line in lines.ReadAsync(cancellationToken))
        {
            yield return line.Problem is not null || line.IsBlank ? line : Unwrap(line);
        }
    }

    private static void WriteDocument(Utf8JsonWriter writer, ReadOnlySpan<byte> document)
    {
        if (document.IsEmpty)
        {
            return;
        }

        if (IsJson(document))
        {
            writer.WritePropertyName("document"u8);
            writer.WriteRawValue(document, skipInputValidation: true);
        }
        else if (System.Text.Unicode.Utf8.IsValid(document))
        {
            writer.WriteString("text"u8, document);
        }
        else
        {
            writer.WriteBase64String("base64"u8, document);
        }
    }

    private static bool IsJson(ReadOnlySpan<byte> document)
    {
        try
        {
            var reader = new Utf8JsonReader(document);
            while (reader.Read())
            {
                // Strings that are not UTF-8, or have half a surrogate pair, are seen only when they are read.
                if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName)
                {
                    reader.GetString();
                }
            }

            return true;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    private static SourceLine Unwrap(SourceLine line)
    {
        try
        {
            using var json = JsonDocument.Parse(line.Document, Deep);
            if (json.RootElement.ValueKind == JsonValueKind.Object)
            {
                if (json.RootElement.TryGetProperty("document"u8, out var document))
                {
                    return line with { Document = Strict.GetBytes(document.GetRawText()), Unterminated = false };
                }

                if (json.RootElement.TryGetProperty("text"u8, out var text))
                {
                    return line with { Document = Strict.GetBytes(text.GetString()!), Unterminated = false };
                }

                if (json.RootElement.TryGetProperty("base64"u8, out var base64))
                {
                    return line with { Document = base64.GetBytesFromBase64(), Unterminated = false };
                }
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or ArgumentException)
        {
            // Told below.
        }

        return line with { Document = default, Problem = new("no_document", null, "a line of rejected ones has the document as document, text or base64; --format ndjson sends lines as they are") };
    }
}
