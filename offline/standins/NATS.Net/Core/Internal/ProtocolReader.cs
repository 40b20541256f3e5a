using System.Buffers;
using System.Buffers.Text;
using System.IO.Pipelines;
using System.Text.Json;

namespace NATS.Client.Core.Internal;

/// <summary>Whom the reader tells what it read. Buffers are valid until the returned task is complete.</summary>
internal interface IProtocolTarget
{
    ValueTask OnMessageAsync(ReadOnlySpan<byte> subject, int sid, ReadOnlySpan<byte> replyTo, in ReadOnlySequence<byte>? headers, in ReadOnlySequence<byte> payload);

    void OnInfo(ServerInfo info);

    void OnPing();

    void OnPong();

    void OnError(string error);
}

/// <summary>
/// The one parser of what servers send. A message is taken when it is there completely, with its closing CR LF; until
/// then the pipe keeps it, so that it makes no difference how the bytes were split into reads.
/// </summary>
internal sealed class ProtocolReader(PipeReader pipe, IProtocolTarget target, int maxPayload)
{
    private const int MaxLine = 1024 * 1024;

    public async Task RunAsync()
    {
        while (true)
        {
            var read = await pipe.ReadAsync().ConfigureAwait(false);
            var buffer = read.Buffer;
            while (TryTake(ref buffer, out var pending))
            {
                if (!pending.IsCompletedSuccessfully)
                {
                    await pending.ConfigureAwait(false);
                }
            }

            pipe.AdvanceTo(buffer.Start, buffer.End);
            if (read.IsCompleted)
            {
                throw new IOException("The server closed the connection");
            }
        }
    }

    /// <summary>INFO comes first and alone; TLS may follow on the same socket.</summary>
    public static async Task<ServerInfo> ReadInfoAsync(PipeReader pipe)
    {
        while (true)
        {
            var read = await pipe.ReadAsync().ConfigureAwait(false);
            if (read.Buffer.PositionOf((byte)'\n') is { } end)
            {
                var line = read.Buffer.Slice(0, end);
                var info = ParseInfo(line.ToArray());
                pipe.AdvanceTo(read.Buffer.GetPosition(1, end));
                return info;
            }

            if (read.IsCompleted || read.Buffer.Length > MaxLine)
            {
                throw new IOException("The server closed the connection before it sent INFO");
            }

            pipe.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    internal bool TryTake(ref ReadOnlySequence<byte> buffer, out ValueTask pending)
    {
        pending = default;
        var first = buffer.FirstSpan;
        var newline = first.IndexOf((byte)'\n');
        if (newline >= 0)
        {
            return TryTake(ref buffer, first[..newline], newline + 1, ref pending);
        }

        if (buffer.PositionOf((byte)'\n') is not { } end)
        {
            return buffer.Length > MaxLine ? throw new NatsProtocolViolationException("Protocol line too long") : false;
        }

        var line = buffer.Slice(0, end);
        var copy = ArrayPool<byte>.Shared.Rent((int)line.Length);
        try
        {
            line.CopyTo(copy);
            return TryTake(ref buffer, copy.AsSpan(0, (int)line.Length), (int)line.Length + 1, ref pending);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(copy);
        }
    }

    private bool TryTake(ref ReadOnlySequence<byte> buffer, scoped ReadOnlySpan<byte> line, int lineLength, ref ValueTask pending)
    {
        line = line.TrimEnd((byte)'\r');
        if (line.StartsWith("MSG "u8))
        {
            return TryTakeMessage(ref buffer, line[4..], lineLength, hasHeaders: false, ref pending);
        }

        if (line.StartsWith("HMSG "u8))
        {
            return TryTakeMessage(ref buffer, line[5..], lineLength, hasHeaders: true, ref pending);
        }

        if (line.SequenceEqual("PING"u8))
        {
            target.OnPing();
        }
        else if (line.SequenceEqual("PONG"u8))
        {
            target.OnPong();
        }
        else if (line.StartsWith("INFO "u8))
        {
            target.OnInfo(ParseInfo(line));
        }
        else if (line.StartsWith("-ERR"u8))
        {
            target.OnError(System.Text.Encoding.UTF8.GetString(line[4..].Trim(" '"u8)));
        }
        else if (!line.StartsWith("+OK"u8) && !line.IsEmpty)
        {
            throw new NatsProtocolViolationException($"Unknown protocol line '{System.Text.Encoding.ASCII.GetString(line[..Math.Min(line.Length, 32)])}'");
        }

        buffer = buffer.Slice(lineLength);
        return true;
    }

    // MSG <subject> <sid> [reply-to] <#bytes>
    // HMSG <subject> <sid> [reply-to] <#header bytes> <#total bytes>
    private bool TryTakeMessage(ref ReadOnlySequence<byte> buffer, scoped ReadOnlySpan<byte> args, int lineLength, bool hasHeaders, ref ValueTask pending)
    {
        var subject = Token(ref args);
        var sid = Number(Token(ref args));
        var a = Token(ref args);
        var b = Token(ref args);
        var c = Token(ref args);
        scoped ReadOnlySpan<byte> replyTo;
        var headersLength = 0;
        int total;
        if (hasHeaders)
        {
            var hasReply = !c.IsEmpty;
            replyTo = hasReply ? a : default;
            headersLength = Number(hasReply ? b : a);
            total = Number(hasReply ? c : b);
        }
        else
        {
            var hasReply = !b.IsEmpty;
            replyTo = hasReply ? a : default;
            total = Number(hasReply ? b : a);
        }

        if (headersLength > total || total > maxPayload)
        {
            throw new NatsProtocolViolationException($"Message of {total} bytes with {headersLength} bytes of headers; at most {maxPayload} are taken");
        }

        var needed = (long)lineLength + total + 2;
        if (buffer.Length < needed)
        {
            return false;
        }

        var body = buffer.Slice(lineLength, total);
        pending = hasHeaders
            ? target.OnMessageAsync(subject, sid, replyTo, body.Slice(0, headersLength), body.Slice(headersLength))
            : target.OnMessageAsync(subject, sid, replyTo, null, body);
        buffer = buffer.Slice(needed);
        return true;
    }

    private static ReadOnlySpan<byte> Token(ref ReadOnlySpan<byte> args)
    {
        args = args.TrimStart(" \t"u8);
        var end = args.IndexOfAny((byte)' ', (byte)'\t');
        var token = end < 0 ? args : args[..end];
        args = end < 0 ? default : args[(end + 1)..];
        return token;
    }

    private static int Number(ReadOnlySpan<byte> token) =>
        Utf8Parser.TryParse(token, out int value, out var used) && used == token.Length && value >= 0
            ? value
            : throw new NatsProtocolViolationException("Invalid integer in message header");

    private static ServerInfo ParseInfo(ReadOnlySpan<byte> line) =>
        line.StartsWith("INFO "u8)
            ? JsonSerializer.Deserialize(line[5..].TrimEnd((byte)'\r'), ProtocolJson.Default.ServerInfo) ?? throw new NatsException("Can not parse ServerInfo.")
            : throw new NatsProtocolViolationException("The server did not begin with INFO");
}
