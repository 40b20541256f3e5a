using System.Buffers;
using System.IO.Pipelines;

namespace NATS.Client.Core.Internal;

/// <summary>One session with one server: its socket, its read loop, the PINGs that wait for their PONG.</summary>
internal sealed class Link(NatsConnection connection, INatsSocketConnection socket, ServerUri uri) : IProtocolTarget
{
    private readonly TaskCompletionSource<Exception> _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _handshake = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Queue<TaskCompletionSource> _pongs = new();
    private Task _reading = Task.CompletedTask;
    private int _unanswered;

    // Subjects repeat: the last one's text is kept, so that a stream of messages on one subject decodes it once.
    private byte[] _lastSubject = [];
    private string _lastSubjectText = string.Empty;

    public ServerUri Uri => uri;

    public INatsSocketConnection Socket => socket;

    /// <summary>Completes, never fails, with what ended the session.</summary>
    public Task<Exception> Closed => _closed.Task;

    public void Start(PipeReader pipe) => _reading = NatsConnection.RunApart(() => ReadAsync(pipe));

    /// <summary>CONNECT and what follows it; done when the server answers PONG, refused when it answers -ERR.</summary>
    public async Task HandshakeAsync(ReadOnlyMemory<byte> commands, TimeSpan timeout)
    {
        await SendAsync(commands, timeout).ConfigureAwait(false);
        await _handshake.Task.WaitAsync(timeout).ConfigureAwait(false);
    }

    /// <summary>Before the outbox is attached only.</summary>
    public async Task SendAsync(ReadOnlyMemory<byte> commands, TimeSpan timeout)
    {
        while (!commands.IsEmpty)
        {
            var send = socket.SendAsync(commands).AsTask();
            _ = send.ContinueWith(static t => _ = t.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
            commands = commands[await send.WaitAsync(timeout).ConfigureAwait(false)..];
        }
    }

    public Task PingAsync(Outbox outbox)
    {
        var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        outbox.Ping(_pongs, waiter);
        if (_closed.Task.IsCompleted)
        {
            waiter.TrySetCanceled();
        }

        return waiter.Task;
    }

    /// <summary>One more PING; false when too many have no answer.</summary>
    public bool TryKeepAlive(Outbox outbox, int maxOut)
    {
        if (Interlocked.Increment(ref _unanswered) > maxOut)
        {
            return false;
        }

        _ = PingAsync(outbox).ContinueWith(static t => _ = t.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        return true;
    }

    public async ValueTask CloseAsync(Exception reason)
    {
        if (_closed.TrySetResult(reason))
        {
            _handshake.TrySetException(reason);
            _ = _handshake.Task.Exception;
            try
            {
                await socket.DisposeAsync().ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException or System.Net.Sockets.SocketException)
            {
                // Closing what is closed.
            }
        }
    }

    /// <summary>After the close: nobody waits for a PONG any more, and the read loop is out.</summary>
    public async Task DrainedAsync(Outbox outbox)
    {
        while (outbox.TakePong(_pongs) is { } waiter)
        {
            waiter.TrySetCanceled();
        }

        await _reading.ConfigureAwait(false);
    }

    public ValueTask OnMessageAsync(ReadOnlySpan<byte> subject, int sid, ReadOnlySpan<byte> replyTo, in ReadOnlySequence<byte>? headers, in ReadOnlySequence<byte> payload)
    {
        if (sid == connection.Inbox.Sid)
        {
            return connection.Inbox.ReceiveAsync(subject, replyTo, headers, payload);
        }

        if (!connection.Subs.TryGet(sid, out var sub))
        {
            // It ended while the message was on its way.
            return default;
        }

        var encoding = connection.Opts.SubjectEncoding;
        if (!subject.SequenceEqual(_lastSubject))
        {
            _lastSubject = subject.ToArray();
            _lastSubjectText = encoding.GetString(subject);
        }

        return sub!.ReceiveAsync(_lastSubjectText, replyTo.IsEmpty ? null : encoding.GetString(replyTo), headers, payload);
    }

    public void OnInfo(ServerInfo info) => connection.OnInfo(info, uri);

    public void OnPing() => connection.Outbox.Pong();

    public void OnPong()
    {
        Volatile.Write(ref _unanswered, 0);
        if (!_handshake.TrySetResult())
        {
            connection.Outbox.TakePong(_pongs)?.TrySetResult();
        }
    }

    public void OnError(string error)
    {
        connection.OnServerError(error);
        _handshake.TrySetException(new NatsServerException(error));
        _ = _handshake.Task.Exception;
    }

    private async Task ReadAsync(PipeReader pipe)
    {
        try
        {
            await new ProtocolReader(pipe, this, connection.Opts.MaxPayloadHardCap).RunAsync().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            await CloseAsync(e).ConfigureAwait(false);
        }
        finally
        {
            await pipe.CompleteAsync().ConfigureAwait(false);
        }
    }
}
