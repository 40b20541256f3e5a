using System.Buffers;
using Google.Protobuf;
using RuleEngineNats.Contracts.Changes;

namespace RuleEngineNats.ChangeCapture.Formats;

/// <summary>How one event is told from the next on standard output and in files.</summary>
internal abstract class Framing
{
    /// <summary>One event a line.</summary>
    public static Framing Lines { get; } = new LineFraming();

    /// <summary>The length of each as a varint before it, as Protocol Buffers' libraries read it.</summary>
    public static Framing Lengths { get; } = new LengthFraming();

    public abstract void Write(IBufferWriter<byte> buffer, ReadOnlySpan<byte> body);

    /// <summary>Bytes of a file up to the end of its last whole event: a crash may have left a part of another behind it.</summary>
    /// <exception cref="InvalidDataException">It is not a file of such events.</exception>
    public abstract long WholeBytes(FileStream file);

    private sealed class LineFraming : Framing
    {
        public override void Write(IBufferWriter<byte> buffer, ReadOnlySpan<byte> body)
        {
            buffer.Write(body);
            buffer.Write("\n"u8);
        }

        public override long WholeBytes(FileStream file)
        {
            Span<byte> part = stackalloc byte[4096];
            var end = file.Length;
            while (end > 0)
            {
                var start = Math.Max(0, end - part.Length);
                var read = part[..RandomAccess.Read(file.SafeFileHandle, part[..(int)(end - start)], start)];
                if (read.LastIndexOf((byte)'\n') is >= 0 and var newLine)
                {
                    return start + newLine + 1;
                }

                end = start;
            }

            return 0;
        }
    }

    private sealed class LengthFraming : Framing
    {
        public override void Write(IBufferWriter<byte> buffer, ReadOnlySpan<byte> body)
        {
            var length = (uint)body.Length;
            for (; length >= 0x80; length >>= 7)
            {
                buffer.Write([(byte)(length | 0x80)]);
            }

            buffer.Write([(byte)length]);
            buffer.Write(body);
        }

        public override long WholeBytes(FileStream file)
        {
            // Not disposed: the file is used on.
            var reader = new BufferedStream(file, 64 * 1024);
            for (var whole = 0L; ;)
            {
                reader.Position = whole;
                var length = ReadLength(reader);
                var next = reader.Position + (length ?? 0);
                if (whole == 0 && length is > 0 && reader.Position < file.Length)
                {
                    CheckFirst(reader, length.Value, file.Length - reader.Position);
                }

                if (length is null || next > file.Length)
                {
                    return whole;
                }

                whole = next;
            }
        }

        // Null at the end of the file.
        private static long? ReadLength(BufferedStream reader)
        {
            var length = 0L;
            for (var shift = 0; shift < 35; shift += 7)
            {
                var next = reader.ReadByte();
                if (next < 0)
                {
                    return null;
                }

                length |= (long)(next & 0x7F) << shift;
                if (next < 0x80)
                {
                    return length;
                }
            }

            throw Other();
        }

        // What is cut off would be somebody's: {" begins an event of another format.
        private static void CheckFirst(BufferedStream reader, long declared, long available)
        {
            var first = new byte[Math.Min(declared, available)];
            reader.ReadExactly(first);
            if (first[0] == '"' && declared == '{')
            {
                throw Other();
            }

            try
            {
                _ = declared <= available ? CapturedEvent.Parser.ParseFrom(first) : null;
            }
            catch (InvalidProtocolBufferException)
            {
                throw Other();
            }
        }

        private static InvalidDataException Other() => new("it holds something else than protobuf events: name another file");
    }
}
