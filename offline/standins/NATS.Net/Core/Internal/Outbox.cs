using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace NATS.Client.Core.Internal;

/// <summary>
/// What is to be sent. Callers append whole commands under a lock; one pump swaps the buffer out and sends it in one
/// write, so that many small publishes become few system calls. It outlives a connection: commands that no socket took
/// completely go out again on the next one.
/// </summary>
internal sealed class Outbox(int highWater) : IThreadPoolWorkItem
{
    private const int InitialSize = 64 * 1024;

    private readonly Lock _gate = new();
    private byte[] _buffer = new byte[InitialSize];
    private int _length;
    private byte[] _sending = new byte[InitialSize];
    private int _sendingLength;
    private int _sent;
    private bool _pumping;
    private INatsSocketConnection? _socket;
    private Action<Exception>? _onError;
    private TaskCompletionSource? _room;
    private TaskCompletionSource? _idle;

    /// <summary>False when too much waits already; the caller then awaits <see cref="RoomAsync"/>.</summary>
    public bool TryPublish(string subject, string? replyTo, bool hasHeaders, ReadOnlySpan<byte> headers, ReadOnlySpan<byte> payload, Encoding encoding)
    {
        lock (_gate)
        {
            if (_length >= highWater)
            {
                return false;
            }

            var max = (subject.Length + (replyTo?.Length ?? 0)) * 4 + 40 + headers.Length + payload.Length;
            var span = Reserve(max);
            var at = 0;
            Put(span, ref at, hasHeaders ? "HPUB "u8 : "PUB "u8);
            PutText(span, ref at, subject, encoding);
            span[at++] = (byte)' ';
            if (replyTo is not null)
            {
                PutText(span, ref at, replyTo, encoding);
                span[at++] = (byte)' ';
            }

            if (hasHeaders)
            {
                PutNumber(span, ref at, headers.Length);
                span[at++] = (byte)' ';
            }

            PutNumber(span, ref at, headers.Length + payload.Length);
            Put(span, ref at, "\r\n"u8);
            Put(span, ref at, headers);
            Put(span, ref at, payload);
            Put(span, ref at, "\r\n"u8);
            _length += at;
            Wake();
            return true;
        }
    }

    public void Subscribe(int sid, string subject, string? queueGroup, int? maxMsgs, Encoding encoding)
    {
        lock (_gate)
        {
            _length += WriteSubscribe(Reserve((subject.Length + (queueGroup?.Length ?? 0)) * 4 + 80), sid, subject, queueGroup, maxMsgs, encoding);
            Wake();
        }
    }

    public void Unsubscribe(int sid)
    {
        lock (_gate)
        {
            var span = Reserve(32);
            var at = 0;
            Put(span, ref at, "UNSUB "u8);
            PutNumber(span, ref at, sid);
            Put(span, ref at, "\r\n"u8);
            _length += at;
            Wake();
        }
    }

    public void Pong() => Append("PONG\r\n"u8);

    /// <summary>The waiter is queued under the same lock, so that PONGs come back in the order of their PINGs.</summary>
    public void Ping(Queue<TaskCompletionSource> pongs, TaskCompletionSource waiter)
    {
        lock (_gate)
        {
            pongs.Enqueue(waiter);
            Append("PING\r\n"u8);
        }
    }

    public TaskCompletionSource? TakePong(Queue<TaskCompletionSource> pongs)
    {
        lock (_gate)
        {
            return pongs.TryDequeue(out var waiter) ? waiter : null;
        }
    }

    public Task RoomAsync(TimeSpan timeout, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            return _length < highWater
                ? Task.CompletedTask
                : (_room ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task.WaitAsync(timeout, cancellationToken);
        }
    }

    /// <summary>Until everything is with the operating system, or the socket is gone.</summary>
    public Task IdleAsync()
    {
        lock (_gate)
        {
            return !_pumping ? Task.CompletedTask : (_idle ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    public void Attach(INatsSocketConnection socket, Action<Exception> onError)
    {
        lock (_gate)
        {
            _socket = socket;
            _onError = onError;
            Wake();
        }
    }

    /// <summary>Call once the socket is closed: waits for the pump and keeps what was not sent.</summary>
    public async Task DetachAsync()
    {
        lock (_gate)
        {
            _socket = null;
        }

        await IdleAsync().ConfigureAwait(false);
        lock (_gate)
        {
            var kept = new ArrayBufferWriter<byte>(Math.Max(1, _sendingLength - _sent + _length));
            Commands.CopyUnsent(_sending.AsSpan(0, _sendingLength), _sent, kept);
            Commands.CopyUnsent(_buffer.AsSpan(0, _length), 0, kept);
            _sendingLength = _sent = _length = 0;
            kept.WrittenSpan.CopyTo(Reserve(kept.WrittenCount));
            _length = kept.WrittenCount;
            ReleaseWaiters();
        }
    }

    void IThreadPoolWorkItem.Execute() => _ = PumpAsync();

    internal static int WriteSubscribe(Span<byte> span, int sid, string subject, string? queueGroup, int? maxMsgs, Encoding encoding)
    {
        var at = 0;
        Put(span, ref at, "SUB "u8);
        PutText(span, ref at, subject, encoding);
        span[at++] = (byte)' ';
        if (queueGroup is not null)
        {
            PutText(span, ref at, queueGroup, encoding);
            span[at++] = (byte)' ';
        }

        PutNumber(span, ref at, sid);
        Put(span, ref at, "\r\n"u8);
        if (maxMsgs is > 0)
        {
            Put(span, ref at, "UNSUB "u8);
            PutNumber(span, ref at, sid);
            span[at++] = (byte)' ';
            PutNumber(span, ref at, maxMsgs.Value);
            Put(span, ref at, "\r\n"u8);
        }

        return at;
    }

    private static void Put(Span<byte> span, ref int at, ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(span[at..]);
        at += bytes.Length;
    }

    private static void PutText(Span<byte> span, ref int at, string text, Encoding encoding) => at += encoding.GetBytes(text, span[at..]);

    private static void PutNumber(Span<byte> span, ref int at, int number)
    {
        Utf8Formatter.TryFormat(number, span[at..], out var written);
        at += written;
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            bytes.CopyTo(Reserve(bytes.Length));
            _length += bytes.Length;
            Wake();
        }
    }

    private Span<byte> Reserve(int size)
    {
        if (_buffer.Length - _length < size)
        {
            Array.Resize(ref _buffer, (int)Math.Max((long)_length + size, Math.Min(_buffer.Length * 2L, Array.MaxLength)));
        }

        return _buffer.AsSpan(_length);
    }

    private void Wake()
    {
        if (!_pumping && _socket is not null && _length > 0)
        {
            _pumping = true;
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
    }

    private void ReleaseWaiters()
    {
        _room?.TrySetResult();
        _room = null;
    }

    private async Task PumpAsync()
    {
        while (true)
        {
            INatsSocketConnection socket;
            lock (_gate)
            {
                _sendingLength = _sent = 0;
                if (_sending.Length > highWater * 2)
                {
                    // One huge message must not hold its memory for the life of the connection.
                    _sending = new byte[InitialSize];
                }

                if (_length == 0 || _socket is null)
                {
                    StopPumping();
                    return;
                }

                socket = _socket;
                (_sending, _buffer) = (_buffer, _sending);
                _sendingLength = _length;
                _length = 0;
                ReleaseWaiters();
            }

            try
            {
                while (_sent < _sendingLength)
                {
                    _sent += await socket.SendAsync(_sending.AsMemory(_sent, _sendingLength - _sent)).ConfigureAwait(false);
                }
            }
            catch (Exception e)
            {
                Action<Exception>? onError;
                lock (_gate)
                {
                    onError = _onError;
                    _socket = null;
                    StopPumping();
                }

                onError?.Invoke(e);
                return;
            }
        }
    }

    private void StopPumping()
    {
        _pumping = false;
        _idle?.TrySetResult();
        _idle = null;
    }
}
