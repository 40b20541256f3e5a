using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;

namespace NATS.Client.Core.Internal;

/// <summary>Plain TCP.</summary>
internal sealed class TcpSocket : INatsTlsUpgradeableSocketConnection
{
    private int _disposed;

    private TcpSocket(Socket socket) => Socket = socket;

    public Socket Socket { get; }

    public static async ValueTask<TcpSocket> ConnectAsync(ServerUri uri, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(uri.Host, uri.Port, cancellationToken).ConfigureAwait(false);
            return new TcpSocket(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public ValueTask<int> SendAsync(ReadOnlyMemory<byte> buffer) => Socket.SendAsync(buffer, SocketFlags.None);

    public ValueTask<int> ReceiveAsync(Memory<byte> buffer) => Socket.ReceiveAsync(buffer, SocketFlags.None);

    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            try
            {
                Socket.Shutdown(SocketShutdown.Both);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // Already gone: nothing to shut down.
            }

            Socket.Dispose();
        }

        return default;
    }
}

/// <summary>TLS over a socket that was plain until the server's INFO.</summary>
internal sealed class TlsSocket : INatsSocketConnection
{
    private readonly INatsTlsUpgradeableSocketConnection _inner;
    private readonly SslStream _stream;
    private int _disposed;

    private TlsSocket(INatsTlsUpgradeableSocketConnection inner)
    {
        _inner = inner;
        _stream = new SslStream(new NetworkStream(inner.Socket, ownsSocket: true));
    }

    public static async ValueTask<TlsSocket> UpgradeAsync(INatsTlsUpgradeableSocketConnection inner, NatsTlsOpts opts, string host, TimeSpan timeout)
    {
        var options = await opts.ClientOptionsAsync(host).ConfigureAwait(false);
        var tls = new TlsSocket(inner);
        try
        {
            using var cts = new CancellationTokenSource(timeout);
            await tls._stream.AuthenticateAsClientAsync(options, cts.Token).ConfigureAwait(false);
            return tls;
        }
        catch (Exception e)
        {
            await tls.DisposeAsync().ConfigureAwait(false);
            throw e switch
            {
                OperationCanceledException => new NatsException("TLS authentication timed out"),
                AuthenticationException => new NatsException("TLS authentication failed", e),
                _ => e,
            };
        }
    }

    public async ValueTask<int> SendAsync(ReadOnlyMemory<byte> buffer)
    {
        await _stream.WriteAsync(buffer).ConfigureAwait(false);
        return buffer.Length;
    }

    public ValueTask<int> ReceiveAsync(Memory<byte> buffer) => _stream.ReadAsync(buffer);

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            // The socket first: a peer that does not read must not hold up a close_notify.
            await _inner.DisposeAsync().ConfigureAwait(false);
            await _stream.DisposeAsync().ConfigureAwait(false);
        }
    }
}

/// <summary>Lets System.IO.Pipelines read from any socket connection, straight into its own blocks.</summary>
internal sealed class SocketReadStream(INatsSocketConnection socket) : Stream
{
    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => socket.ReceiveAsync(buffer);

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Flush()
    {
    }
}
