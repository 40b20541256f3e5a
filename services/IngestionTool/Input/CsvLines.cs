using System.Buffers;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using CsvHelper;
using CsvHelper.Configuration;

namespace RuleEngineNats.IngestionTool.Input;

/// <param name="Delimiter">What is between fields.</param>
/// <param name="Infer">Fields that look like numbers, true, false or null become these.</param>
/// <param name="Columns">Types by name; the others are strings.</param>
internal sealed record CsvFormat(string Delimiter, bool Infer, IReadOnlyDictionary<string, CsvType> Columns);

/// <summary>CSV as RFC 4180 has it, with a header row: each record becomes an object with the header's names, one after another.</summary>
/// <param name="line">What begins up to this line was read before and is passed over.</param>
internal sealed class CsvLines(Stream input, CsvFormat format, long line = 0) : ILines
{
    // An unclosed quote takes the whole rest of a file for one field.
    private const double MaxField = NdjsonLines.MaxLine;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: true, throwOnInvalidBytes: true);
    private static readonly JsonWriterOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly ArrayBufferWriter<byte> _document = new();
    private bool _badQuote;
    private string[] _names = [];
    private CsvType[] _types = [];

    public bool CanSeek => false;

    public async IAsyncEnumerable<SourceLine> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var text = new StreamReader(input, Strict, detectEncodingFromByteOrderMarks: true, bufferSize: 64 * 1024, leaveOpen: true);
        using var parser = new CsvParser(text, new CsvConfiguration(CultureInfo.InvariantCulture)
        {
            Delimiter = format.Delimiter,
            BadDataFound = _ => _badQuote = true,
            IgnoreBlankLines = false,
            MaxFieldSize = MaxField,
        }, leaveOpen: true);
        using var writer = new Utf8JsonWriter(_document, Plain);
        var header = false;
        for (var begin = 1L; await NextAsync(parser, begin, cancellationToken); begin = parser.RawRow + 1L)
        {
            if (!header)
            {
                header = true;
                ReadHeader(parser);
            }
            else if (begin > line)
            {
                yield return ToLine(parser, writer, begin);
            }

            _badQuote = false;
        }

        if (!header)
        {
            throw new InputException("the input is empty; CSV begins with a row of field names");
        }
    }

    private static async ValueTask<bool> NextAsync(CsvParser parser, long line, CancellationToken cancellationToken)
    {
        try
        {
            return await parser.ReadAsync().WaitAsync(cancellationToken);
        }
        catch (MaxFieldSizeException)
        {
            throw new InputException($"line {line}: a field above {MaxField} characters; is a quote not closed?");
        }
        catch (DecoderFallbackException)
        {
            throw new InputException($"near line {line}: not UTF-8; iconv -t UTF-8 changes it");
        }
    }

    private void ReadHeader(CsvParser parser)
    {
        _names = parser.Record!;
        var problems = new List<string>();
        if (_badQuote || _names.Contains(""))
        {
            problems.Add("a field has no name, or a quote that does not belong there");
        }

        problems.AddRange(_names.Where(name => name.Length > 0).CountBy(name => name).Where(name => name.Value > 1).Select(name => $"'{name.Key}' is there {name.Value} times"));
        problems.AddRange(format.Columns.Keys.Except(_names).Select(name => $"--column {name}: there is no such field"));
        if (problems.Count > 0)
        {
            throw new InputException($"the header row: {string.Join("; ", problems)}. Its fields: {string.Join(", ", _names)}. Is '{format.Delimiter}' what is between them (--delimiter)?");
        }

        _types = [.. _names.Select(name => format.Columns.TryGetValue(name, out var type) ? type : format.Infer ? CsvType.Inferred : CsvType.String)];
    }

    private SourceLine ToLine(CsvParser parser, Utf8JsonWriter writer, long number)
    {
        var end = input.CanSeek ? input.Position : 0;
        if (parser.Count == 1 && parser[0].Length == 0)
        {
            return new(number, default, end);
        }

        _document.ResetWrittenCount();
        writer.Reset();
        var problem = parser.Count == _names.Length ? null : new LineProblem("invalid_csv", null, $"{parser.Count} fields where the header row has {_names.Length}");
        writer.WriteStartObject();
        for (var field = 0; field < Math.Min(_names.Length, parser.Count); field++)
        {
            writer.WritePropertyName(_names[field]);
            if (CsvColumn.Write(writer, _types[field], parser[field]) is { } wrong)
            {
                problem ??= new("invalid_value", _names[field], wrong);
            }
        }

        writer.WriteEndObject();
        writer.Flush();
        // Found when the fields are read, one by one.
        problem = _badQuote ? new("invalid_csv", null, "a quote inside a field, or one that is not closed; a field with quotes is in quotes, and has each of them twice") : problem;
        if (_document.WrittenCount > NdjsonLines.MaxLine)
        {
            problem ??= new("too_large", null, $"{_document.WrittenCount} bytes as JSON; no document above {NdjsonLines.MaxLine} is sent: the API takes far smaller ones");
        }

        // The record goes into the file of rejected lines as far as it could be read.
        return new(number, _document.WrittenMemory, end) { Problem = problem };
    }
}
