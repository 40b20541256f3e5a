using System.Net;
using System.Net.Sockets;

namespace Aspire.Hosting.Local;

/// <summary>
/// One address in front of the replicas: each new connection goes to the next replica in turn that takes it, so one that is
/// gone or not yet listening is passed over.
/// </summary>
internal sealed class EndpointProxy : IDisposable
{
    private readonly IReadOnlyList<Socket> _listeners;
    private readonly IReadOnlyList<int> _replicaPorts;
    private int _next = -1;

    public EndpointProxy(int port, IReadOnlyList<int> replicaPorts)
    {
        _replicaPorts = replicaPorts;
        _listeners = LocalPorts.Listeners(port);
        foreach (var listener in _listeners)
        {
            _ = AcceptAsync(listener);
        }
    }

    public void Dispose()
    {
        foreach (var listener in _listeners)
        {
            listener.Dispose();
        }
    }

    private async Task AcceptAsync(Socket listener)
    {
        while (true)
        {
            try
            {
                _ = ServeAsync(await listener.AcceptAsync().ConfigureAwait(false));
            }
            catch (Exception exception) when (exception is ObjectDisposedException or SocketException { SocketErrorCode: SocketError.OperationAborted })
            {
                return;
            }
            catch (SocketException)
            {
                // The client gave up between its SYN and our accept.
            }
        }
    }

    private async Task ServeAsync(Socket client)
    {
        using (client)
        {
            try
            {
                using var replica = await ConnectAsync().ConfigureAwait(false);
                if (replica is null)
                {
                    return;
                }

                client.NoDelay = true;
                await Task.WhenAll(CopyAsync(client, replica), CopyAsync(replica, client)).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                // One side broke off; closing both tells the other.
            }
        }
    }

    private async Task<Socket?> ConnectAsync()
    {
        for (var attempt = 0; attempt < _replicaPorts.Count; attempt++)
        {
            var port = _replicaPorts[(int)((uint)Interlocked.Increment(ref _next) % _replicaPorts.Count)];
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port)).ConfigureAwait(false);
                return socket;
            }
            catch (SocketException)
            {
                socket.Dispose();
            }
        }

        return null;
    }

    private static async Task CopyAsync(Socket from, Socket to)
    {
        var buffer = new byte[16 * 1024];
        try
        {
            while (await from.ReceiveAsync(buffer).ConfigureAwait(false) is > 0 and var received)
            {
                for (var sent = 0; sent < received;)
                {
                    sent += await to.SendAsync(buffer.AsMemory(sent, received - sent)).ConfigureAwait(false);
                }
            }

            // A half-closed connection may still carry the answer.
            to.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            from.Dispose();
            to.Dispose();
        }
    }
}
