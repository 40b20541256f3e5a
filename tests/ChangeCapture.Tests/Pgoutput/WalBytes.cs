using System.Buffers.Binary;
using System.Text;

namespace RuleEngineNats.ChangeCapture.Tests.Pgoutput;

/// <summary>Writes messages as the server does.</summary>
internal sealed class WalBytes
{
    private readonly List<byte> _bytes = [];

    public static WalBytes Of(char kind) => new WalBytes().Byte(kind);

    public WalBytes Byte(int value)
    {
        _bytes.Add((byte)value);
        return this;
    }

    public WalBytes Int16(int value)
    {
        Span<byte> bytes = stackalloc byte[2];
        BinaryPrimitives.WriteInt16BigEndian(bytes, (short)value);
        return Raw(bytes);
    }

    public WalBytes Int32(long value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, (uint)value);
        return Raw(bytes);
    }

    public WalBytes Int64(ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, value);
        return Raw(bytes);
    }

    public WalBytes Text(string text) => Raw(Encoding.UTF8.GetBytes(text)).Byte(0);

    /// <summary>A row: null for NULL, "\0" for an unchanged TOAST value.</summary>
    public WalBytes Row(char kind, params string?[] values)
    {
        Byte(kind).Int16(values.Length);
        foreach (var value in values)
        {
            _ = value switch
            {
                null => Byte('n'),
                "\0" => Byte('u'),
                _ => Byte('t').Int32(Encoding.UTF8.GetByteCount(value)).Raw(Encoding.UTF8.GetBytes(value)),
            };
        }

        return this;
    }

    /// <summary>Table 16384, public.users: id (key), name.</summary>
    public static WalBytes Users(uint? xid = null)
    {
        var bytes = Of('R');
        return (xid is { } id ? bytes.Int32(id) : bytes).Int32(16384).Text("public").Text("users").Byte('d').Int16(2)
            .Byte(1).Text("id").Int32(23).Int32(-1).Byte(0).Text("name").Int32(25).Int32(-1);
    }

    public byte[] ToArray() => [.. _bytes];

    private WalBytes Raw(ReadOnlySpan<byte> bytes)
    {
        _bytes.AddRange(bytes);
        return this;
    }
}
