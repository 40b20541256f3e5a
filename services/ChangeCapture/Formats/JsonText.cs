using System.Buffers;
using System.Globalization;
using System.Text;

namespace RuleEngineNats.ChangeCapture.Formats;

/// <summary>
/// Writes JSON into a buffer that is used again: bytes of PostgreSQL's text format go through as they are. Escapes what JSON requires and
/// nothing else, in the form upstream's writer (serde_json) gives it; Utf8JsonWriter has no such encoder (it escapes emoji).
/// </summary>
internal sealed class JsonText(bool pretty)
{
    private static readonly SearchValues<byte> Escaped = SearchValues.Create([.. Enumerable.Range(0, 32).Select(code => (byte)code), (byte)'"', (byte)'\\']);

    private readonly ArrayBufferWriter<byte> _buffer = new(1024);
    private int _depth;
    private bool _first = true;

    public ReadOnlySpan<byte> Written => _buffer.WrittenSpan;

    public void Clear()
    {
        _buffer.ResetWrittenCount();
        (_depth, _first) = (0, true);
    }

    public void BeginObject() => Open((byte)'{');

    public void EndObject() => Close((byte)'}');

    public void BeginArray() => Open((byte)'[');

    public void EndArray() => Close((byte)']');

    /// <summary>The name of the member whose value is written next.</summary>
    public void Name(ReadOnlySpan<byte> name)
    {
        Item();
        Quote(name);
        _buffer.Write(pretty ? ": "u8 : ":"u8);
    }

    /// <summary>An element of an array is written next.</summary>
    public void Item()
    {
        if (!_first)
        {
            _buffer.Write(","u8);
        }

        _first = false;
        NewLine();
    }

    public void String(ReadOnlySpan<byte> value) => Quote(value);

    public void String(string value)
    {
        var bytes = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(value.Length));
        Quote(bytes.AsSpan(0, Encoding.UTF8.GetBytes(value, bytes)));
        ArrayPool<byte>.Shared.Return(bytes);
    }

    public void Number(long value)
    {
        value.TryFormat(_buffer.GetSpan(20), out var length, default, CultureInfo.InvariantCulture);
        _buffer.Advance(length);
    }

    public void Boolean(bool value) => _buffer.Write(value ? "true"u8 : "false"u8);

    public void Null() => _buffer.Write("null"u8);

    /// <summary>Something that is JSON already.</summary>
    public void Raw(ReadOnlySpan<byte> json) => _buffer.Write(json);

    private void Open(byte bracket)
    {
        _buffer.Write([bracket]);
        _depth++;
        _first = true;
    }

    private void Close(byte bracket)
    {
        _depth--;
        if (!_first)
        {
            NewLine();
        }

        _first = false;
        _buffer.Write([bracket]);
    }

    private void NewLine()
    {
        if (pretty)
        {
            var indented = _buffer.GetSpan(1 + (2 * _depth))[..(1 + (2 * _depth))];
            indented.Fill((byte)' ');
            indented[0] = (byte)'\n';
            _buffer.Advance(indented.Length);
        }
    }

    private void Quote(ReadOnlySpan<byte> text)
    {
        _buffer.Write("\""u8);
        for (var special = text.IndexOfAny(Escaped); special >= 0; special = text.IndexOfAny(Escaped))
        {
            _buffer.Write(text[..special]);
            Escape(text[special]);
            text = text[(special + 1)..];
        }

        _buffer.Write(text);
        _buffer.Write("\""u8);
    }

    private void Escape(byte value)
    {
        switch (value)
        {
            case (byte)'"': _buffer.Write("\\\""u8); break;
            case (byte)'\\': _buffer.Write("\\\\"u8); break;
            case (byte)'\b': _buffer.Write("\\b"u8); break;
            case (byte)'\f': _buffer.Write("\\f"u8); break;
            case (byte)'\n': _buffer.Write("\\n"u8); break;
            case (byte)'\r': _buffer.Write("\\r"u8); break;
            case (byte)'\t': _buffer.Write("\\t"u8); break;
            default: _buffer.Write(Encoding.ASCII.GetBytes($"\\u{value:x4}")); break;
        }
    }
}
