using NATS.Client.Core.Internal;

namespace NATS.Client.Core;

public partial class NatsConnection
{
    [ThreadStatic]
    private static Scratch? _scratch;

    private readonly SemaphoreSlim _turnForRoom = new(1, 1);
    private int _waitingForRoom;

    public ValueTask PublishAsync(string subject, NatsHeaders? headers = default, string? replyTo = default, NatsPubOpts? opts = default, CancellationToken cancellationToken = default) =>
        PublishAsync<byte[]>(subject, null, headers, replyTo, NatsRawSerializer<byte[]>.Default, opts, cancellationToken);

    public ValueTask PublishAsync<T>(in NatsMsg<T> msg, INatsSerialize<T>? serializer = default, NatsPubOpts? opts = default, CancellationToken cancellationToken = default) =>
        PublishAsync(msg.Subject, msg.Data, msg.Headers, msg.ReplyTo, serializer, opts, cancellationToken);

    public ValueTask PublishAsync<T>(string subject, T? data, NatsHeaders? headers = default, string? replyTo = default, INatsSerialize<T>? serializer = default, NatsPubOpts? opts = default, CancellationToken cancellationToken = default)
    {
        if (!Opts.SkipSubjectValidation)
        {
            SubjectRules.CheckSubject(subject);
            SubjectRules.CheckReplyTo(replyTo);
        }

        serializer ??= Opts.SerializerRegistry.GetSerializer<T>();
        if (!Telemetry.HasListeners())
        {
            headers?.SetReadOnly();
            return SendAsync(subject, data, headers, replyTo, serializer, cancellationToken);
        }

        using var activity = Telemetry.StartSend(this, "publish", subject, replyTo);
        Telemetry.Inject(activity, ref headers);
        try
        {
            headers?.SetReadOnly();
            return SendAsync(subject, data, headers, replyTo, serializer, cancellationToken);
        }
        catch (Exception e)
        {
            Telemetry.SetException(activity, e);
            throw;
        }
    }

    internal void SendUnsubscribe(int sid)
    {
        // Also while disconnected: a subscription that ended after the reconnect commands were collected must not stay.
        Outbox.Unsubscribe(sid);
    }

    private ValueTask SendAsync<T>(string subject, T? data, NatsHeaders? headers, string? replyTo, INatsSerialize<T> serializer, CancellationToken cancellationToken)
    {
        if (ConnectionState != NatsConnectionState.Open)
        {
            return ConnectAndSendAsync(subject, data, headers, replyTo, serializer, cancellationToken);
        }

        ThrowIfDisposed();
        var scratch = _scratch ?? new Scratch();
        _scratch = null;
        try
        {
            if (headers is not null)
            {
                HeaderWriter.Write(scratch.Headers, headers, Opts.HeaderEncoding);
            }

            // Bytes go straight into the outbox; anything else is serialized beside it first, as its length comes first.
            ReadOnlySpan<byte> payload;
            if (TryRaw(data, serializer, out var raw))
            {
                payload = raw.Span;
            }
            else
            {
                if (data is not null)
                {
                    serializer.Serialize(scratch.Payload, data);
                }

                payload = scratch.Payload.WrittenSpan;
            }

            var size = payload.Length + scratch.Headers.WrittenCount;
            if (_serverInfo is { } info && size > info.MaxPayload)
            {
                throw new NatsPayloadTooLargeException($"Payload size {size} exceeds server's maximum payload size {info.MaxPayload}");
            }

            return Volatile.Read(ref _waitingForRoom) == 0 && Outbox.TryPublish(subject, replyTo, headers is not null, scratch.Headers.WrittenSpan, payload, Opts.SubjectEncoding)
                ? default
                : SendWhenRoomAsync(subject, replyTo, headers is null ? null : scratch.Headers.WrittenSpan.ToArray(), payload.ToArray(), cancellationToken);
        }
        finally
        {
            scratch.Reset();
            _scratch = scratch;
        }
    }

    private static bool TryRaw<T>(T? data, INatsSerialize<T> serializer, out ReadOnlyMemory<byte> bytes)
    {
        if (serializer is NatsRawSerializer<T>)
        {
            if (typeof(T) == typeof(byte[]))
            {
                bytes = (byte[]?)(object?)data;
                return true;
            }

            if (typeof(T) == typeof(ReadOnlyMemory<byte>))
            {
                bytes = (ReadOnlyMemory<byte>)(object)data!;
                return true;
            }

            if (typeof(T) == typeof(Memory<byte>))
            {
                bytes = (Memory<byte>)(object)data!;
                return true;
            }
        }

        bytes = default;
        return false;
    }

    private async ValueTask ConnectAndSendAsync<T>(string subject, T? data, NatsHeaders? headers, string? replyTo, INatsSerialize<T> serializer, CancellationToken cancellationToken)
    {
        await ConnectForCommandAsync(cancellationToken).ConfigureAwait(false);
        await SendAsync(subject, data, headers, replyTo, serializer, cancellationToken).ConfigureAwait(false);
    }

    // Without PublishTimeoutOnDisconnected a publish waits for the connection as long as its caller does.
    private async Task ConnectForCommandAsync(CancellationToken cancellationToken)
    {
        if (!Opts.PublishTimeoutOnDisconnected)
        {
            await ConnectAsync().AsTask().WaitAsync(cancellationToken).ConfigureAwait(false);
            return;
        }

        using var cts = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        cts.CancelAfter(Opts.CommandTimeout);
        await ConnectAsync().AsTask().WaitAsync(cts.Token).ConfigureAwait(false);
    }

    private async ValueTask SendWhenRoomAsync(string subject, string? replyTo, byte[]? headers, byte[] payload, CancellationToken cancellationToken)
    {
        // One after the other and before any that come later: what is published first is sent first.
        Interlocked.Increment(ref _waitingForRoom);
        try
        {
            if (!await _turnForRoom.WaitAsync(Opts.CommandTimeout, cancellationToken).ConfigureAwait(false))
            {
                throw new NatsTimeoutException();
            }

            try
            {
                do
                {
                    await Outbox.RoomAsync(Opts.CommandTimeout, cancellationToken).ConfigureAwait(false);
                    ThrowIfDisposed();
                }
                while (!Outbox.TryPublish(subject, replyTo, headers is not null, headers, payload, Opts.SubjectEncoding));
            }
            catch (TimeoutException)
            {
                throw new NatsTimeoutException();
            }
            finally
            {
                _turnForRoom.Release();
            }
        }
        finally
        {
            Interlocked.Decrement(ref _waitingForRoom);
        }
    }

    /// <summary>Where headers and payload are written before their lengths are known; one per thread.</summary>
    private sealed class Scratch
    {
        private const int Keep = 256 * 1024;

        public NatsBufferWriter<byte> Headers { get; private set; } = new(1024);

        public NatsBufferWriter<byte> Payload { get; private set; } = new(4096);

        public void Reset()
        {
            Headers.Reset();
            Payload.Reset();
            if (Payload.Capacity > Keep)
            {
                Payload.Dispose();
                Payload = new NatsBufferWriter<byte>(4096);
            }
        }
    }
}
