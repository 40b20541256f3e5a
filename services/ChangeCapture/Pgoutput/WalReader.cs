using System.Buffers.Binary;
using System.Text;

namespace RuleEngineNats.ChangeCapture.Pgoutput;

/// <summary>Reads the fields of one pgoutput message: integers in network order, texts in UTF-8 with a NUL behind.</summary>
internal ref struct WalReader(ReadOnlyMemory<byte> message)
{
    private readonly ReadOnlyMemory<byte> _message = message;
    private int _at;

    public readonly int Remaining => _message.Length - _at;

    public byte Byte() => Take(1).Span[0];

    public ushort UInt16() => BinaryPrimitives.ReadUInt16BigEndian(Take(2).Span);

    public int Int32() => BinaryPrimitives.ReadInt32BigEndian(Take(4).Span);

    public uint UInt32() => BinaryPrimitives.ReadUInt32BigEndian(Take(4).Span);

    public long Int64() => BinaryPrimitives.ReadInt64BigEndian(Take(8).Span);

    public ulong UInt64() => BinaryPrimitives.ReadUInt64BigEndian(Take(8).Span);

    public string Text()
    {
        var length = _message.Span[_at..].IndexOf((byte)0);
        if (length < 0)
        {
            throw new PgoutputException("a text has no end");
        }

        var text = Encoding.UTF8.GetString(Take(length).Span);
        _at++;
        return text;
    }

    /// <summary>A part of the message, not copied: it is as short-lived as the message.</summary>
    public ReadOnlyMemory<byte> Take(int length)
    {
        if (length < 0 || length > Remaining)
        {
            throw new PgoutputException($"a field of {length} bytes where {Remaining} are left");
        }

        var part = _message.Slice(_at, length);
        _at += length;
        return part;
    }
}

/// <summary>A message that is not what the protocol says: a server that is newer than this program, or a defect.</summary>
internal sealed class PgoutputException(string message) : Exception($"pgoutput: {message}");
