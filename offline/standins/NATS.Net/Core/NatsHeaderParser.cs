using System.Buffers;
using System.Buffers.Text;
using System.Text;
using Microsoft.Extensions.Primitives;

namespace NATS.Client.Core;

/// <summary>Reads what <c>HMSG</c> carries: a version line with an optional status, then name: value lines.</summary>
public class NatsHeaderParser
{
    private static readonly (byte[] Bytes, string Text, NatsHeaders.Messages Kind)[] Known =
    [
        Entry("Idle Heartbeat", NatsHeaders.Messages.IdleHeartbeat),
        Entry("Bad Request", NatsHeaders.Messages.BadRequest),
        Entry("Consumer Deleted", NatsHeaders.Messages.ConsumerDeleted),
        Entry("Consumer is push based", NatsHeaders.Messages.ConsumerIsPushBased),
        Entry("No Messages", NatsHeaders.Messages.NoMessages),
        Entry("Request Timeout", NatsHeaders.Messages.RequestTimeout),
        Entry("Message Size Exceeds MaxBytes", NatsHeaders.Messages.MessageSizeExceedsMaxBytes),
        Entry("Requests Pending", NatsHeaders.Messages.RequestsPending),
    ];

    private readonly Encoding _encoding;

    public NatsHeaderParser(Encoding encoding) => _encoding = encoding;

    public bool ParseHeaders(SequenceReader<byte> reader, NatsHeaders headers)
    {
        var first = true;
        while (!reader.End)
        {
            if (!reader.TryReadTo(out ReadOnlySpan<byte> line, "\r\n"u8))
            {
                throw Reject(reader.UnreadSequence.ToArray());
            }

            if (first)
            {
                ParseStatus(line, headers);
                first = false;
            }
            else if (line.Length > 0)
            {
                ParseField(line, headers);
            }
        }

        return !first;
    }

    private static (byte[] Bytes, string Text, NatsHeaders.Messages Kind) Entry(string text, NatsHeaders.Messages kind) => (Encoding.ASCII.GetBytes(text), text, kind);

    private static NatsException Reject(ReadOnlySpan<byte> line) =>
        new($"Protocol error: invalid request header line '{Encoding.ASCII.GetString(line)}'");

    // NATS/1.0 100 Idle Heartbeat
    private void ParseStatus(ReadOnlySpan<byte> line, NatsHeaders headers)
    {
        var rest = NextToken(ref line);
        if (!rest.SequenceEqual("NATS/1.0"u8))
        {
            throw new NatsException("Protocol error: header version mismatch");
        }

        if (line.IsEmpty)
        {
            return;
        }

        if (!Utf8Parser.TryParse(NextToken(ref line), out int code, out _))
        {
            throw new NatsException("Protocol error: header code is not a number");
        }

        headers.Code = code;
        if (line.IsEmpty)
        {
            return;
        }

        foreach (var known in Known)
        {
            if (line.SequenceEqual(known.Bytes))
            {
                headers.Message = known.Kind;
                headers.MessageText = known.Text;
                return;
            }
        }

        headers.Message = NatsHeaders.Messages.Text;
        headers.MessageText = _encoding.GetString(line);
    }

    private static ReadOnlySpan<byte> NextToken(ref ReadOnlySpan<byte> line)
    {
        var end = line.IndexOf((byte)' ');
        var token = end < 0 ? line : line[..end];
        line = end < 0 ? default : line[end..].TrimStart((byte)' ');
        return token;
    }

    private void ParseField(ReadOnlySpan<byte> line, NatsHeaders headers)
    {
        var colon = line.IndexOfAny((byte)':', (byte)' ', (byte)'\t');
        if (colon <= 0 || line[colon] != (byte)':')
        {
            throw Reject(line);
        }

        var key = _encoding.GetString(line[..colon]);
        var value = _encoding.GetString(line[(colon + 1)..].Trim(" \t"u8));
        headers[key] = headers.TryGetValue(key, out var before) ? StringValues.Concat(before, value) : value;
    }
}
