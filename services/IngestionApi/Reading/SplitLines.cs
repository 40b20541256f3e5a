using System.Buffers;

namespace RuleEngineNats.IngestionApi.Reading;

/// <summary>One document a line: LF or CRLF, and none behind the last one.</summary>
internal sealed class SplitLines(int maxLineBytes) : ISplitBatch
{
    private int _line;
    private long _looked;
    private bool _passing;

    public bool TryTake(ref ReadOnlySequence<byte> arrived, bool isEnd, out BatchItem item)
    {
        item = default;
        if (arrived.Slice(_looked).PositionOf((byte)'\n') is { } newline)
        {
            var line = arrived.Slice(0, newline);
            arrived = arrived.Slice(arrived.GetPosition(1, newline));
            item = Make(line, BatchItemKind.Document);
            return true;
        }

        if (isEnd)
        {
            var last = arrived;
            arrived = arrived.Slice(arrived.End);
            item = Make(last, BatchItemKind.Last);
            // Nothing behind the last newline is no line.
            return item.Kind is BatchItemKind.TooLong or BatchItemKind.Last;
        }

        _looked = arrived.Length;
        if (_looked > maxLineBytes + 1)
        {
            _passing = true;
        }

        if (_passing)
        {
            arrived = arrived.Slice(arrived.End);
            _looked = 0;
        }

        return false;
    }

    private BatchItem Make(ReadOnlySequence<byte> line, BatchItemKind kind)
    {
        var passed = _passing;
        (_looked, _passing) = (0, false);
        _line++;
        if (passed)
        {
            return new(_line, BatchItemKind.TooLong, default);
        }

        line = JsonSpace.Trim(line);
        return line.IsEmpty ? new(_line, BatchItemKind.Blank, default)
            : line.Length > maxLineBytes ? new(_line, BatchItemKind.TooLong, default)
            : new(_line, kind, line);
    }
}

/// <summary>The white space of JSON.</summary>
internal static class JsonSpace
{
    public static ReadOnlySequence<byte> Trim(ReadOnlySequence<byte> bytes)
    {
        if (bytes.IsSingleSegment)
        {
            var span = bytes.FirstSpan;
            var start = span.IndexOfAnyExcept(" \t\r\n"u8);
            return start < 0 ? default : bytes.Slice(start, span.LastIndexOfAnyExcept(" \t\r\n"u8) - start + 1);
        }

        return TrimPieces(bytes);
    }

    public static ReadOnlySequence<byte> TrimStart(ReadOnlySequence<byte> bytes)
    {
        foreach (var piece in bytes)
        {
            var start = piece.Span.IndexOfAnyExcept(" \t\r\n"u8);
            if (start >= 0)
            {
                return bytes.Slice(start);
            }

            bytes = bytes.Slice(piece.Length);
        }

        return bytes;
    }

    private static ReadOnlySequence<byte> TrimPieces(ReadOnlySequence<byte> bytes)
    {
        long start = -1, end = 0, at = 0;
        foreach (var piece in bytes)
        {
            var first = piece.Span.IndexOfAnyExcept(" \t\r\n"u8);
            if (first >= 0)
            {
                start = start < 0 ? at + first : start;
                end = at + piece.Span.LastIndexOfAnyExcept(" \t\r\n"u8) + 1;
            }

            at += piece.Length;
        }

        return start < 0 ? default : bytes.Slice(start, end - start);
    }
}
