using System.Net;
using System.Net.Sockets;

namespace Aspire.Hosting.Local;

/// <summary>Free ports, taken below the range from which the kernel serves outgoing connections.</summary>
internal static class LocalPorts
{
    private const int First = 20_000;
    private const int Last = 31_999;

    private static readonly HashSet<int> Given = [];

    public static int Free()
    {
        for (var attempt = 0; attempt < Last - First; attempt++)
        {
            var port = Random.Shared.Next(First, Last + 1);
            lock (Given)
            {
                if (Given.Contains(port) || !IsFree(port))
                {
                    continue;
                }

                Given.Add(port);
                return port;
            }
        }

        throw new DistributedApplicationException($"No free port between {First} and {Last}.");
    }

    public static bool IsFree(int port)
    {
        try
        {
            foreach (var listener in Listeners(port))
            {
                listener.Dispose();
            }

            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>Listens on "localhost", which is two addresses where IPv6 is on.</summary>
    public static IReadOnlyList<Socket> Listeners(int port)
    {
        var listeners = new List<Socket>();
        try
        {
            foreach (var address in Socket.OSSupportsIPv6 ? [IPAddress.Loopback, IPAddress.IPv6Loopback] : new[] { IPAddress.Loopback })
            {
                var listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
                listeners.Add(listener);
                listener.Bind(new IPEndPoint(address, port));
                listener.Listen();
            }
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.AddressNotAvailable && listeners.Count == 2)
        {
            // No ::1 on this machine: IPv4 alone is "localhost".
            listeners[1].Dispose();
            listeners.RemoveAt(1);
        }
        catch
        {
            listeners.ForEach(static listener => listener.Dispose());
            throw;
        }

        return listeners;
    }
}
