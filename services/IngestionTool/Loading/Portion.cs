using System.Buffers;
using RuleEngineNats.IngestionTool.Input;

namespace RuleEngineNats.IngestionTool.Loading;

/// <summary>The lines of one request: documents as one body, and what was refused here.</summary>
internal sealed class Portion
{
    /// <summary>
    /// Most bytes of a body with more than one line. The API's server takes that much off the wire, whatever the API itself is doing; with more, it may wait for us to
    /// read verdicts while we wait for it to read lines.
    /// </summary>
    public const int MaxBytes = 1024 * 1024;

    private readonly ArrayBufferWriter<byte> _body = new();
    private readonly List<(long Number, int Begin, int End)> _lines = [];
    private int _refusedBytes;

    /// <summary>Line of the first document.</summary>
    public long FirstLine => _lines[0].Number;

    public int Count => _lines.Count;

    public long Blank { get; private set; }

    public List<(long Line, LineProblem Problem, byte[] Document)> Refused { get; } = [];

    /// <summary>The last line that is part of it.</summary>
    public long LastLine { get; private set; }

    /// <summary>Where the next begins; see <see cref="SourceLine.End"/>.</summary>
    public long End { get; private set; }

    public ReadOnlyMemory<byte> Body => _body.WrittenMemory;

    public bool IsEmpty => LastLine == 0;

    public long LineOf(int index) => _lines[index].Number;

    public ReadOnlyMemory<byte> DocumentOf(int index) => _body.WrittenMemory[_lines[index].Begin.._lines[index].End];

    /// <summary>Whether the line belongs into this portion; a first one always does.</summary>
    public bool Takes(in SourceLine line, int most)
        => Count + Refused.Count == 0 || (Count + Refused.Count < most && _body.WrittenCount + _refusedBytes + line.Document.Length < MaxBytes);

    public void Add(in SourceLine line)
    {
        (LastLine, End) = (line.Number, line.End);
        if (line.Problem is not null)
        {
            _refusedBytes += line.Document.Length;
            Refused.Add((line.Number, line.Problem, line.Document.ToArray()));
            return;
        }

        if (line.IsBlank)
        {
            Blank++;
            return;
        }

        var begin = _body.WrittenCount;
        _body.Write(line.Document.Span);
        _lines.Add((line.Number, begin, _body.WrittenCount));
        if (!line.Unterminated)
        {
            _body.Write("\n"u8);
        }
    }

    /// <summary>Cuts the input into portions: where depends on nothing but the lines and <paramref name="most"/>, so that a repetition has the same.</summary>
    public static async IAsyncEnumerable<Portion> OfAsync(IAsyncEnumerable<SourceLine> lines, int most)
    {
        var portion = new Portion();
        await foreach (var line in lines)
        {
            if (!portion.Takes(line, most))
            {
                yield return portion;
                portion = new();
            }

            portion.Add(line);
        }

        if (!portion.IsEmpty)
        {
            yield return portion;
        }
    }
}
