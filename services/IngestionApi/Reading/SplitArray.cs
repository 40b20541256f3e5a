using System.Buffers;

namespace RuleEngineNats.IngestionApi.Reading;

/// <summary>
/// The elements of a JSON array. It looks for where each ends and for nothing else, so that one which is no JSON is refused alone; whether an element is JSON is told by who reads it.
/// </summary>
internal sealed class SplitArray(int maxElementBytes) : ISplitBatch
{
    private static readonly SearchValues<byte> Structure = SearchValues.Create("\"[]{},"u8);
    private static readonly SearchValues<byte> InText = SearchValues.Create("\"\\"u8);

    private int _line;
    private long _looked;
    private int _depth;
    private bool _inText;
    private bool _escaped;
    private bool _passing;
    private Place _place = Place.Before;

    private enum Place
    {
        Before,
        First,
        Within,
        After,
        Over,
    }

    public bool TryTake(ref ReadOnlySequence<byte> arrived, bool isEnd, out BatchItem item)
    {
        item = default;
        if (_place is Place.Before or Place.After)
        {
            arrived = JsonSpace.TrimStart(arrived);
            if (arrived.IsEmpty)
            {
                return _place == Place.Before && isEnd && Stop(BatchItemKind.NoArray, ref arrived, out item);
            }

            if (_place == Place.After || arrived.FirstSpan[0] != (byte)'[')
            {
                return Stop(_place == Place.After ? BatchItemKind.AfterArray : BatchItemKind.NoArray, ref arrived, out item);
            }

            arrived = arrived.Slice(1);
            _place = Place.First;
        }

        return _place != Place.Over && TryTakeElement(ref arrived, isEnd, out item);
    }

    private bool TryTakeElement(ref ReadOnlySequence<byte> arrived, bool isEnd, out BatchItem item)
    {
        item = default;
        if (FindEnd(arrived) is { } end)
        {
            var element = JsonSpace.Trim(arrived.Slice(0, end));
            var closes = arrived.Slice(end).FirstSpan[0] == (byte)']';
            arrived = arrived.Slice(end + 1);
            var isNone = closes && _place == Place.First && element.IsEmpty && !_passing;
            _place = closes ? Place.After : Place.Within;
            item = isNone ? default : Make(element, BatchItemKind.Document);
            return !isNone || TryTake(ref arrived, isEnd, out item);
        }

        if (isEnd)
        {
            item = Make(JsonSpace.Trim(arrived), BatchItemKind.Unclosed);
            arrived = arrived.Slice(arrived.End);
            _place = Place.Over;
            return true;
        }

        _looked = arrived.Length;
        _passing |= _looked > maxElementBytes;
        if (_passing)
        {
            arrived = arrived.Slice(arrived.End);
            _looked = 0;
        }

        return false;
    }

    private BatchItem Make(ReadOnlySequence<byte> element, BatchItemKind kind)
    {
        var isTooLong = _passing || element.Length > maxElementBytes;
        (_looked, _depth, _inText, _escaped, _passing) = (0, 0, false, false, false);
        return new(++_line, isTooLong ? BatchItemKind.TooLong : kind, isTooLong ? default : element);
    }

    private bool Stop(BatchItemKind kind, ref ReadOnlySequence<byte> arrived, out BatchItem item)
    {
        item = new(++_line, kind, default);
        arrived = arrived.Slice(arrived.End);
        _place = Place.Over;
        return true;
    }

    /// <summary>Where the comma or bracket behind the element is; null where it has not come yet.</summary>
    private long? FindEnd(in ReadOnlySequence<byte> arrived)
    {
        var at = _looked;
        foreach (var piece in arrived.Slice(_looked))
        {
            var span = piece.Span;
            for (var index = 0; index < span.Length; index++)
            {
                if (_escaped)
                {
                    _escaped = false;
                    continue;
                }

                var next = span[index..].IndexOfAny(_inText ? InText : Structure);
                if (next < 0)
                {
                    break;
                }

                index += next;
                if (IsEnd(span[index]))
                {
                    return at + index;
                }
            }

            at += span.Length;
        }

        return null;
    }

    private bool IsEnd(byte character)
    {
        switch (character)
        {
            case (byte)'"':
                _inText = !_inText;
                return false;
            case (byte)'\\':
                _escaped = true;
                return false;
            case (byte)'[' or (byte)'{':
                _depth++;
                return false;
            case (byte)',' or (byte)']' when _depth == 0:
                return true;
            case (byte)']' or (byte)'}' when _depth > 0:
                _depth--;
                return false;
            default:
                return false;
        }
    }
}
