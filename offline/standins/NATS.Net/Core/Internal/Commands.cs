using System.Buffers;
using System.Buffers.Text;

namespace NATS.Client.Core.Internal;

/// <summary>Finds command borders in bytes that were written for a socket that is gone.</summary>
internal static class Commands
{
    public static void CopyUnsent(ReadOnlySpan<byte> data, int sent, ArrayBufferWriter<byte> target)
    {
        var at = 0;
        while (at < data.Length)
        {
            var line = data[at..(at + data[at..].IndexOf((byte)'\n') + 1)];
            var end = at + line.Length;
            if (line[0] == (byte)'H' || line.StartsWith("PUB "u8))
            {
                var size = line[(line.LastIndexOf((byte)' ') + 1)..];
                end += (Utf8Parser.TryParse(size, out int length, out _) ? length : 0) + 2;
            }

            // A PING belongs to the connection it was meant for; its waiter is gone with it.
            var keep = end > sent && !line.SequenceEqual("PING\r\n"u8) && !line.SequenceEqual("PONG\r\n"u8);
            if (keep)
            {
                target.Write(data[at..end]);
            }

            at = end;
        }
    }
}
