using System.Net;
using System.Net.Sockets;

namespace RuleEngineNats.TestKit;

/// <summary>Takes connections and never says a word: whoever speaks TLS to it waits for a handshake that does not come.</summary>
public sealed class SilentServer : IDisposable
{
    private readonly List<Socket> _connections = [];
    private readonly TcpListener _listener;

    private SilentServer(TcpListener listener)
    {
        _listener = listener;
        _ = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>How many have come so far.</summary>
    public int Connections
    {
        get
        {
            lock (_connections)
            {
                return _connections.Count;
            }
        }
    }

    /// <exception cref="SocketException">The port is in use.</exception>
    public static SilentServer Start(IPAddress? address = null, int port = 0)
    {
        var listener = new TcpListener(address ?? IPAddress.Loopback, port);
        listener.Start();
        return new(listener);
    }

    public void Dispose()
    {
        _listener.Dispose();
        lock (_connections)
        {
            _connections.ForEach(connection => connection.Dispose());
        }
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            try
            {
                var connection = await _listener.AcceptSocketAsync();
                lock (_connections)
                {
                    _connections.Add(connection);
                }
            }
            catch (Exception e) when (e is ObjectDisposedException or SocketException)
            {
                return;
            }
        }
    }
}
