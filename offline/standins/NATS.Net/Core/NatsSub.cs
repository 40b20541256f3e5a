using System.Buffers;
using System.Threading.Channels;
using NATS.Client.Core.Internal;

namespace NATS.Client.Core;

/// <summary>A subscription that is read from a channel.</summary>
public sealed class NatsSub<T> : NatsSubBase, INatsSub<T>
{
    private readonly Channel<NatsMsg<T>> _msgs;
    private readonly INatsDeserialize<T> _serializer;

    public NatsSub(
        INatsConnection connection,
        INatsSubscriptionManager manager,
        string subject,
        string? queueGroup,
        NatsSubOpts? opts,
        INatsDeserialize<T> serializer,
        CancellationToken cancellationToken = default)
        : base(connection, manager, subject, queueGroup, opts, cancellationToken)
    {
        _serializer = serializer;
        _msgs = Channel.CreateBounded<NatsMsg<T>>(
            connection.GetBoundedChannelOpts(opts?.ChannelOpts),
            dropped => Connection.OnMessageDropped(this, _msgs?.Reader.Count ?? 0, dropped));
        Msgs = new ActivityEndingReader<NatsMsg<T>>(_msgs.Reader);
    }

    public ChannelReader<NatsMsg<T>> Msgs { get; }

    protected override ValueTask ReceiveInternalAsync(string subject, string? replyTo, ReadOnlySequence<byte>? headersBuffer, ReadOnlySequence<byte> payloadBuffer)
    {
        var msg = NatsMsg<T>.Build(subject, replyTo, headersBuffer, payloadBuffer, Connection, Connection.HeaderParser, _serializer);
        if (!_msgs.Writer.TryWrite(msg))
        {
            return WriteAsync(msg);
        }

        ResetSlowConsumer(_msgs.Reader.Count);
        DecrementMaxMsgs();
        return default;
    }

    protected override void TryComplete() => _msgs?.Writer.TryComplete();

    private async ValueTask WriteAsync(NatsMsg<T> msg)
    {
        await _msgs.Writer.WriteAsync(msg).ConfigureAwait(false);
        DecrementMaxMsgs();
    }
}
