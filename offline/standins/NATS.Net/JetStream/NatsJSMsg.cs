using System.Buffers;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Text;
using NATS.Client.Core;
using NATS.Client.Core.Internal;

namespace NATS.Client.JetStream;

public readonly record struct NatsJSMsgMetadata(NatsJSSequencePair Sequence, ulong NumDelivered, ulong NumPending, DateTimeOffset Timestamp, string Stream, string Consumer, string Domain);

public readonly record struct NatsJSSequencePair(ulong Stream, ulong Consumer);

public static class NatsJSConstants
{
    public static readonly ReadOnlySequence<byte> Ack = new(Encoding.ASCII.GetBytes("+ACK"));
    public static readonly ReadOnlySequence<byte> Nak = new(Encoding.ASCII.GetBytes("-NAK"));
    public static readonly ReadOnlySequence<byte> AckProgress = new(Encoding.ASCII.GetBytes("+WPI"));
    public static readonly ReadOnlySequence<byte> AckTerminate = new(Encoding.ASCII.GetBytes("+TERM"));
}

public interface INatsJSMsg<out T> : INatsMsg
{
    string Subject { get; }

    int Size { get; }

    T? Data { get; }

    INatsConnection? Connection { get; }

    NatsJSMsgMetadata? Metadata { get; }

    string? ReplyTo { get; }

    NatsException? Error { get; }

    void EnsureSuccess();

    [Obsolete("ReplyAsync is not valid when using JetStream. The reply message will never reach the Requestor as NATS will reply to all JetStream publish by default.")]
    ValueTask ReplyAsync(NatsHeaders? headers = null, string? replyTo = null, NatsPubOpts? opts = null, CancellationToken cancellationToken = default);

    ValueTask AckAsync(AckOpts? opts = null, CancellationToken cancellationToken = default);

    ValueTask NakAsync(AckOpts? opts = null, CancellationToken cancellationToken = default);

    ValueTask AckProgressAsync(AckOpts? opts = null, CancellationToken cancellationToken = default);

    ValueTask AckTerminateAsync(AckOpts? opts = null, CancellationToken cancellationToken = default);
}

/// <summary>A message of a stream, with what its consumer needs to hear about it.</summary>
public readonly struct NatsJSMsg<T> : INatsJSMsg<T>
{
    private readonly INatsJSContext _context;
    private readonly NatsMsg<T> _msg;

    public NatsJSMsg(NatsMsg<T> msg, INatsJSContext context)
    {
        _msg = msg;
        _context = context;
    }

    public string Subject => _msg.Subject;

    public int Size => _msg.Size;

    public NatsHeaders? Headers => _msg.Headers;

    public T? Data => _msg.Data;

    public INatsConnection? Connection => _msg.Connection;

    public NatsJSMsgMetadata? Metadata => AckSubject.Parse(_msg.ReplyTo);

    public string? ReplyTo => _msg.ReplyTo;

    public NatsException? Error => _msg.Error;

    internal NatsMsg<T> Msg => _msg;

    public void EnsureSuccess() => _msg.EnsureSuccess();

    [Obsolete("ReplyAsync is not valid when using JetStream. The reply message will never reach the Requestor as NATS will reply to all JetStream publish by default.")]
    public ValueTask ReplyAsync(NatsHeaders? headers = null, string? replyTo = null, NatsPubOpts? opts = null, CancellationToken cancellationToken = default) =>
        _msg.ReplyAsync(headers, replyTo, opts, cancellationToken);

    public ValueTask AckAsync(AckOpts? opts = null, CancellationToken cancellationToken = default) => SendAsync(AckBytes.Ack, opts, cancellationToken);

    public ValueTask NakAsync(AckOpts? opts = null, CancellationToken cancellationToken = default) =>
        opts?.NakDelay is { } delay && delay != TimeSpan.Zero
            ? SendAsync(Encoding.ASCII.GetBytes($"-NAK {{\"delay\": {delay.Ticks * 100}}}"), opts, cancellationToken)
            : SendAsync(AckBytes.Nak, opts, cancellationToken);

    public ValueTask AckProgressAsync(AckOpts? opts = null, CancellationToken cancellationToken = default) => SendAsync(AckBytes.Progress, opts, cancellationToken);

    public ValueTask AckTerminateAsync(AckOpts? opts = null, CancellationToken cancellationToken = default) =>
        string.IsNullOrEmpty(opts?.TerminateReason)
            ? SendAsync(AckBytes.Terminate, opts, cancellationToken)
            : SendAsync(Encoding.ASCII.GetBytes("+TERM " + opts.Value.TerminateReason), opts, cancellationToken);

    private ValueTask SendAsync(byte[] payload, AckOpts? opts, CancellationToken cancellationToken)
    {
        CheckOrigin();
        return opts?.DoubleAck ?? _context.Opts.DoubleAck
            ? SendAndWaitAsync(Connection, ReplyTo, payload, cancellationToken)
            : Connection.PublishAsync(ReplyTo, payload, null, null, NatsRawSerializer<byte[]>.Default, null, cancellationToken);
    }

    private static async ValueTask SendAndWaitAsync(INatsConnection connection, string replyTo, byte[] payload, CancellationToken cancellationToken) =>
        await connection.RequestAsync<byte[], object?>(
            replyTo,
            payload,
            requestSerializer: NatsRawSerializer<byte[]>.Default,
            replySerializer: IgnoredReply.Default,
            cancellationToken: cancellationToken).ConfigureAwait(false);

    [MemberNotNull(nameof(Connection), nameof(ReplyTo))]
    private void CheckOrigin()
    {
        if (Connection is null)
        {
            throw new NatsException("unable to send acknowledgment; message did not originate from a consumer");
        }

        if (string.IsNullOrWhiteSpace(ReplyTo))
        {
            throw new NatsException("unable to send acknowledgment; ReplyTo is empty");
        }
    }
}

internal static class AckBytes
{
    public static readonly byte[] Ack = "+ACK"u8.ToArray();
    public static readonly byte[] Nak = "-NAK"u8.ToArray();
    public static readonly byte[] Progress = "+WPI"u8.ToArray();
    public static readonly byte[] Terminate = "+TERM"u8.ToArray();
}

internal sealed class IgnoredReply : INatsDeserialize<object?>
{
    public static readonly IgnoredReply Default = new();

    public object? Deserialize(in ReadOnlySequence<byte> buffer) => null;
}

/// <summary>
/// The reply subject of a delivery says where the message is from (ADR-15):
/// $JS.ACK.stream.consumer.delivered.streamSeq.consumerSeq.time.pending, or with domain and account before the stream.
/// </summary>
internal static class AckSubject
{
    public static NatsJSMsgMetadata? Parse(string? reply)
    {
        if (reply is null || !(reply.StartsWith("$JS.ACK.", StringComparison.Ordinal) || reply.StartsWith("$JS.FC.", StringComparison.Ordinal)))
        {
            return null;
        }

        Span<Range> parts = stackalloc Range[14];
        var text = reply.AsSpan();
        var count = text.Split(parts, '.');
        var at = count == 9 ? 2 : 4;
        if (count is < 9 or 10)
        {
            return null;
        }

        var domain = count == 9 || text[parts[2]] is "_" ? string.Empty : text[parts[2]].ToString();
        var nanos = long.Parse(text[parts[at + 5]]);
        return new NatsJSMsgMetadata(
            new NatsJSSequencePair(ulong.Parse(text[parts[at + 3]]), ulong.Parse(text[parts[at + 4]])),
            ulong.Parse(text[parts[at + 2]]),
            ulong.Parse(text[parts[at + 6]]),
            DateTimeOffset.FromUnixTimeMilliseconds(nanos / 1_000_000),
            text[parts[at]].ToString(),
            text[parts[at + 1]].ToString(),
            domain);
    }
}

public static class NatsJSTelemetryExtensions
{
    public static Activity? StartActivity<T>(this in NatsJSMsg<T> msg, [CallerMemberName] string name = "", IEnumerable<KeyValuePair<string, object?>>? tags = null) =>
        Start(msg.Headers, name, tags);

    public static Activity? StartActivity<T>(this INatsJSMsg<T> msg, [CallerMemberName] string name = "", IEnumerable<KeyValuePair<string, object?>>? tags = null) =>
        Start(msg.Headers, name, tags);

    private static Activity? Start(NatsHeaders? headers, string name, IEnumerable<KeyValuePair<string, object?>>? tags) =>
        Telemetry.HasListeners() ? Telemetry.Source.StartActivity(name, ActivityKind.Internal, headers.GetActivityContext(), tags) : null;
}
