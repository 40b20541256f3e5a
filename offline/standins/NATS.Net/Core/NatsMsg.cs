using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using NATS.Client.Core.Internal;

namespace NATS.Client.Core;

[Flags]
public enum NatsMsgFlags : byte
{
    None = 0,
    Empty = 1,
    NoResponders = 2,
}

public interface INatsMsg
{
    NatsHeaders? Headers { get; }
}

public interface INatsMsg<T> : INatsMsg
{
    string Subject { get; init; }

    string? ReplyTo { get; init; }

    int Size { get; init; }

    T? Data { get; init; }

    INatsConnection? Connection { get; init; }

    NatsException? Error { get; }

    void EnsureSuccess();

    ValueTask ReplyAsync(NatsHeaders? headers = default, string? replyTo = default, NatsPubOpts? opts = default, CancellationToken cancellationToken = default);

    ValueTask ReplyAsync<TReply>(TReply data, NatsHeaders? headers = default, string? replyTo = default, INatsSerialize<TReply>? serializer = default, NatsPubOpts? opts = default, CancellationToken cancellationToken = default);

    ValueTask ReplyAsync<TReply>(NatsMsg<TReply> msg, INatsSerialize<TReply>? serializer = default, NatsPubOpts? opts = default, CancellationToken cancellationToken = default);
}

/// <summary>One message, received or to be published.</summary>
public readonly record struct NatsMsg<T> : INatsMsg<T>
{
    private const uint SizeMask = 0x3FFFFFFF;

    // Two bits of flags above thirty bits of size: the struct is copied through channels, so it is kept small.
    private readonly uint _flagsAndSize;

    public NatsMsg(string subject, string? replyTo, int size, NatsHeaders? headers, T? data, INatsConnection? connection, NatsMsgFlags flags = default)
    {
        Subject = subject;
        ReplyTo = replyTo;
        _flagsAndSize = ((uint)flags << 30) | ((uint)size & SizeMask);
        Headers = headers;
        Data = data;
        Connection = connection;
    }

    public NatsException? Error => Headers?.Error;

    public string Subject { get; init; }

    public string? ReplyTo { get; init; }

    public int Size
    {
        get => (int)(_flagsAndSize & SizeMask);
        init => _flagsAndSize = (_flagsAndSize & ~SizeMask) | ((uint)value & SizeMask);
    }

    public NatsMsgFlags Flags
    {
        get => (NatsMsgFlags)(_flagsAndSize >> 30);
        init => _flagsAndSize = (_flagsAndSize & SizeMask) | ((uint)value << 30);
    }

    public NatsHeaders? Headers { get; init; }

    public T? Data { get; init; }

    public INatsConnection? Connection { get; init; }

    public bool IsEmpty => (Flags & NatsMsgFlags.Empty) != 0;

    public bool HasNoResponders => (Flags & NatsMsgFlags.NoResponders) != 0;

    /// <summary>Turns bytes from the wire into a message; a failure to parse is carried in <see cref="Error"/>.</summary>
    public static NatsMsg<T> Build(
        string subject,
        string? replyTo,
        in ReadOnlySequence<byte>? headersBuffer,
        in ReadOnlySequence<byte> payloadBuffer,
        INatsConnection? connection,
        NatsHeaderParser headerParser,
        INatsDeserialize<T> serializer)
    {
        NatsHeaders? headers = null;
        var flags = payloadBuffer.IsEmpty ? NatsMsgFlags.Empty : NatsMsgFlags.None;
        var size = subject.Length + (replyTo?.Length ?? 0) + payloadBuffer.Length;
        if (headersBuffer is { } raw)
        {
            size += raw.Length;
            headers = new NatsHeaders();
            try
            {
                if (!headerParser.ParseHeaders(new SequenceReader<byte>(raw), headers))
                {
                    throw new NatsException("Error parsing headers");
                }
            }
            catch (Exception e)
            {
                headers.Error = new NatsHeaderParseException(raw.ToArray(), e);
            }

            if (headers.Code == 503 && payloadBuffer.IsEmpty)
            {
                flags |= NatsMsgFlags.NoResponders;
            }

            headers.SetReadOnly();
        }

        if (Telemetry.HasListeners())
        {
            headers ??= new NatsHeaders();
            headers.Activity = Telemetry.StartReceive(connection, subject, replyTo, payloadBuffer.Length, size, headers);
        }

        T? data = default;
        if (headers?.Error is null)
        {
            try
            {
                data = serializer.Deserialize(payloadBuffer);
            }
            catch (Exception e)
            {
                headers ??= new NatsHeaders();
                headers.Error = new NatsDeserializeException(payloadBuffer.ToArray(), e);
            }
        }

        return new NatsMsg<T>(subject, replyTo, (int)size, headers, data, connection, flags);
    }

    public void EnsureSuccess()
    {
        if (HasNoResponders)
        {
            throw new NatsNoRespondersException();
        }

        if (Error is { } error)
        {
            throw error;
        }
    }

    public ValueTask ReplyAsync(NatsHeaders? headers = default, string? replyTo = default, NatsPubOpts? opts = default, CancellationToken cancellationToken = default)
    {
        CheckReply();
        return Connection.PublishAsync(ReplyTo, headers, replyTo, opts, cancellationToken);
    }

    public ValueTask ReplyAsync<TReply>(TReply data, NatsHeaders? headers = default, string? replyTo = default, INatsSerialize<TReply>? serializer = default, NatsPubOpts? opts = default, CancellationToken cancellationToken = default)
    {
        CheckReply();
        return Connection.PublishAsync(ReplyTo, data, headers, replyTo, serializer, opts, cancellationToken);
    }

    public ValueTask ReplyAsync<TReply>(NatsMsg<TReply> msg, INatsSerialize<TReply>? serializer = default, NatsPubOpts? opts = default, CancellationToken cancellationToken = default)
    {
        CheckReply();
        return Connection.PublishAsync(msg with { Subject = ReplyTo }, serializer, opts, cancellationToken);
    }

    public void Deconstruct(out string subject, out string? replyTo, out int size, out NatsHeaders? headers, out T? data, out INatsConnection? connection, out NatsMsgFlags flags)
    {
        subject = Subject;
        replyTo = ReplyTo;
        size = Size;
        headers = Headers;
        data = Data;
        connection = Connection;
        flags = Flags;
    }

    [MemberNotNull(nameof(Connection), nameof(ReplyTo))]
    private void CheckReply()
    {
        if (Connection is null)
        {
            throw new NatsException("unable to send reply; message did not originate from a subscription");
        }

        if (string.IsNullOrWhiteSpace(ReplyTo))
        {
            throw new NatsException("unable to send reply; ReplyTo is empty");
        }
    }
}

/// <summary>Makes messages for tests and for republishing.</summary>
public class NatsMsgBuilder<T>
{
    public string Subject { get; set; } = null!;

    public string? ReplyTo { get; set; }

    public NatsHeaders? Headers { get; set; }

    public T? Data { get; set; }

    public INatsConnection? Connection { get; set; }

    public NatsMsgFlags Flags { get; set; }

    public INatsSerializer<T>? Serializer { get; set; }

    public int SerializationBufferSize { get; set; } = 256;

    public Encoding Encoding { get; set; } = Encoding.UTF8;

    public NatsMsg<T> Msg
    {
        get
        {
            if (string.IsNullOrWhiteSpace(Subject))
            {
                throw new InvalidOperationException("Subject must be specified and non-empty.");
            }

            var size = PayloadSize();
            if (size > 0)
            {
                size += Subject.Length + (ReplyTo?.Length ?? 0) + (Headers?.GetBytesLength() ?? 0);
            }

            return new NatsMsg<T>(Subject, ReplyTo, size, Headers, Data, Connection, Flags);
        }
    }

    private int PayloadSize()
    {
        switch (Data)
        {
            case ReadOnlyMemory<byte> memory:
                return memory.Length;
            case byte[] bytes:
                return bytes.Length;
            case string text:
                return Encoding.GetByteCount(text);
            case not null when Serializer is not null:
                using (var writer = new NatsBufferWriter<byte>(SerializationBufferSize))
                {
                    Serializer.Serialize(writer, Data);
                    return writer.WrittenCount;
                }

            default:
                return 0;
        }
    }
}
