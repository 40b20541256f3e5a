using System.Net;
using System.Net.Sockets;

namespace RuleEngineNats.TestKit;

public static class Ports
{
    private static readonly HashSet<int> Given = [];

    /// <summary>A TCP port of 127.0.0.1 that nobody listens on and that this process has not given out before.</summary>
    public static int Free()
    {
        lock (Given)
        {
            while (true)
            {
                using var listener = new TcpListener(IPAddress.Loopback, 0);
                listener.Start();
                var port = ((IPEndPoint)listener.LocalEndpoint).Port;
                if (Given.Add(port))
                {
                    return port;
                }
            }
        }
    }
}
