using System.Buffers;
using System.Text;

namespace NATS.Client.Core.Internal;

/// <summary>NATS/1.0\r\nname: value\r\n...\r\n</summary>
internal static class HeaderWriter
{
    private static ReadOnlySpan<byte> VersionLine => "NATS/1.0\r\n"u8;

    public static int Measure(NatsHeaders headers, Encoding encoding)
    {
        var length = VersionLine.Length + 2;
        foreach (var (key, values) in headers)
        {
            foreach (var value in values)
            {
                if (value is not null)
                {
                    length += encoding.GetByteCount(key) + encoding.GetByteCount(value) + 4;
                }
            }
        }

        return length;
    }

    public static void Write(IBufferWriter<byte> writer, NatsHeaders headers, Encoding encoding)
    {
        writer.Write(VersionLine);
        foreach (var (key, values) in headers)
        {
            foreach (var value in values)
            {
                if (value is null)
                {
                    continue;
                }

                var keyLength = encoding.GetByteCount(key);
                var span = writer.GetSpan(keyLength + encoding.GetByteCount(value) + 4);
                encoding.GetBytes(key, span);
                if (!IsKey(span[..keyLength]))
                {
                    throw new NatsException($"Invalid header key '{key}': contains colon, space, or other non-printable ASCII characters");
                }

                span[keyLength] = (byte)':';
                span[keyLength + 1] = (byte)' ';
                var valueLength = encoding.GetBytes(value, span[(keyLength + 2)..]);
                if (span.Slice(keyLength + 2, valueLength).IndexOf("\r\n"u8) >= 0)
                {
                    throw new NatsException($"Invalid header value for key '{key}': contains CRLF");
                }

                "\r\n"u8.CopyTo(span[(keyLength + 2 + valueLength)..]);
                writer.Advance(keyLength + valueLength + 4);
            }
        }

        writer.Write("\r\n"u8);
    }

    private static bool IsKey(ReadOnlySpan<byte> key) =>
        key.IndexOfAnyExceptInRange((byte)33, (byte)126) < 0 && !key.Contains((byte)':');
}
