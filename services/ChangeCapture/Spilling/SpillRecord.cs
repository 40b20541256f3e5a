using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;

namespace RuleEngineNats.ChangeCapture.Spilling;

/// <summary>A message in a file: its length (4 bytes), LSN (8) and CRC-32C of LSN and message (4), little-endian, then the message. The first says which PostgreSQL the file is of.</summary>
internal static class SpillRecord
{
    public const int HeaderBytes = sizeof(int) + sizeof(ulong) + sizeof(uint);

    public static void Write(IBufferWriter<byte> buffer, ulong lsn, ReadOnlySpan<byte> message)
    {
        var header = buffer.GetSpan(HeaderBytes);
        BinaryPrimitives.WriteInt32LittleEndian(header, message.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(header[sizeof(int)..], lsn);
        BinaryPrimitives.WriteUInt32LittleEndian(header[(sizeof(int) + sizeof(ulong))..], Checksum(lsn, message));
        buffer.Advance(HeaderBytes);
        buffer.Write(message);
    }

    /// <returns>False where there is no whole record.</returns>
    public static bool TryRead(FileStream file, ref byte[] buffer, out ulong lsn, out ReadOnlyMemory<byte> message)
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        (lsn, message) = (0, default);
        if (file.ReadAtLeast(header, HeaderBytes, throwOnEndOfStream: false) < HeaderBytes)
        {
            return false;
        }

        var length = BinaryPrimitives.ReadInt32LittleEndian(header);
        if (length < 0 || length > file.Length - file.Position)
        {
            return false;
        }

        if (buffer.Length < length)
        {
            buffer = new byte[Math.Max(length, 2 * buffer.Length)];
        }

        file.ReadExactly(buffer, 0, length);
        lsn = BinaryPrimitives.ReadUInt64LittleEndian(header[sizeof(int)..]);
        message = buffer.AsMemory(0, length);
        return Checksum(lsn, message.Span) == BinaryPrimitives.ReadUInt32LittleEndian(header[(sizeof(int) + sizeof(ulong))..]);
    }

    private static uint Checksum(ulong lsn, ReadOnlySpan<byte> message)
    {
        var checksum = BitOperations.Crc32C(uint.MaxValue, lsn);
        for (; message.Length >= sizeof(ulong); message = message[sizeof(ulong)..])
        {
            checksum = BitOperations.Crc32C(checksum, BinaryPrimitives.ReadUInt64LittleEndian(message));
        }

        foreach (var value in message)
        {
            checksum = BitOperations.Crc32C(checksum, value);
        }

        return ~checksum;
    }
}
