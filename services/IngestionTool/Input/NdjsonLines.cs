using System.Runtime.CompilerServices;

namespace RuleEngineNats.IngestionTool.Input;

/// <summary>Lines as they are, whatever is in them: the API judges. Holds one block of the input, or one line.</summary>
/// <param name="input">Read from where it is.</param>
/// <param name="offset">That place in the whole input.</param>
/// <param name="line">The number of the last line before it.</param>
/// <param name="block">How much is asked for at once.</param>
internal sealed class NdjsonLines(Stream input, long offset = 0, long line = 0, int maxLine = NdjsonLines.MaxLine, int block = 256 * 1024) : ILines
{
    /// <summary>What is longer is not sent: the API's limits are far below.</summary>
    public const int MaxLine = 4 * 1024 * 1024;

    private byte[] _buffer = new byte[block];
    private int _start;
    private int _end;
    private int _searched;
    private long _offset = offset;
    private long _dropped;

    public bool CanSeek => true;

    public async IAsyncEnumerable<SourceLine> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var number = line;
        var first = _offset == 0;
        while (true)
        {
            var length = _buffer.AsSpan(_searched, _end - _searched).IndexOf((byte)'\n');
            if (length >= 0)
            {
                var end = _searched + length;
                yield return Take(++number, end, end + 1);
                continue;
            }

            _searched = _end;
            DropTooLong();
            if (!await FillAsync(cancellationToken))
            {
                break;
            }

            if (first)
            {
                first = false;
                PassByteOrderMark();
            }
        }

        if (_end > _start || _dropped > 0)
        {
            yield return Take(++number, _end, _end) with { Unterminated = true };
        }
    }

    private SourceLine Take(long number, int end, int next)
    {
        var length = _dropped + end - _start;
        var document = _dropped > 0 ? default : _buffer.AsMemory(_start, end - _start);
        _offset += _dropped + next - _start;
        (_start, _searched, _dropped) = (next, next, 0);
        return length > maxLine
            ? new(number, default, _offset) { Problem = new("too_large", null, $"{length} bytes; no line above {maxLine} is sent: the API takes far smaller ones") }
            : new(number, document, _offset);
    }

    // The rest of such a line is counted and not kept.
    private void DropTooLong()
    {
        if (_end - _start > maxLine || _dropped > 0)
        {
            _dropped += _end - _start;
            (_start, _searched, _end) = (0, 0, 0);
        }
    }

    private async ValueTask<bool> FillAsync(CancellationToken cancellationToken)
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _searched, _end) = (0, _searched - _start, _end - _start);
        }

        if (_end == _buffer.Length)
        {
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        var read = await input.ReadAsync(_buffer.AsMemory(_end), cancellationToken);
        _end += read;
        return read > 0;
    }

    private void PassByteOrderMark()
    {
        var begin = _buffer.AsSpan(_start, _end - _start);
        if (begin.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xFE]) || begin.StartsWith((ReadOnlySpan<byte>)[0xFE, 0xFF]))
        {
            throw new InputException("the input is UTF-16; documents are UTF-8: iconv -f UTF-16 -t UTF-8 changes it");
        }

        if (begin.StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF]))
        {
            (_start, _searched, _offset) = (_start + 3, _searched + 3, _offset + 3);
        }
    }
}
