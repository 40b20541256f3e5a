using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace RuleEngineNats.DeliveryWorker.Egress;

/// <summary>
/// A connection through a forward proxy (RFC 9110, section 9.3.6). SocketsHttpHandler's own support would hand the proxy the host name, which it resolves again: what was
/// checked here would not be what is connected to. So the tunnel is opened here, for http targets as well, and asks for the checked address.
/// <code>
/// CONNECT 203.0.114.7:443 HTTP/1.1
/// Host: 203.0.114.7:443
/// </code>
/// </summary>
internal static class ProxyTunnel
{
    private const int MaxAnswerBytes = 8 * 1024;

    /// <summary>Tries the addresses in turn, each on a connection of its own, since a proxy that refuses may close it.</summary>
    public static async Task<Stream> OpenAsync(DnsEndPoint proxy, IPAddress[] addresses, int port, CancellationToken cancellationToken)
    {
        ProxyRefusedException? last = null;
        foreach (var address in addresses)
        {
            try
            {
                return await OpenAsync(proxy, new IPEndPoint(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address, port), cancellationToken);
            }
            catch (ProxyRefusedException e)
            {
                last = e;
            }
        }

        throw last ?? (Exception)new SocketException((int)SocketError.HostNotFound);
    }

    private static async Task<Stream> OpenAsync(DnsEndPoint proxy, IPEndPoint target, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(proxy, cancellationToken);
            var stream = new NetworkStream(socket, ownsSocket: true);
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"), cancellationToken);
            var status = StatusOf(await ReadHeadAsync(stream, cancellationToken));
            return status is >= 200 and < 300 ? stream : throw new ProxyRefusedException(status is 0 ? "no HTTP" : status.ToString(CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            socket.Dispose();
            throw new ProxyRefusedException(e is SocketException failed ? failed.SocketErrorCode.ToString() : "connection lost");
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    // Byte by byte: what follows the empty line already belongs to the receiver.
    private static async Task<string> ReadHeadAsync(NetworkStream stream, CancellationToken cancellationToken)
    {
        var head = new byte[MaxAnswerBytes];
        for (var length = 0; length < head.Length; length++)
        {
            if (await stream.ReadAsync(head.AsMemory(length, 1), cancellationToken) == 0)
            {
                return string.Empty;
            }

            if (head.AsSpan(0, length + 1).EndsWith("\r\n\r\n"u8))
            {
                return Encoding.ASCII.GetString(head, 0, length);
            }
        }

        return string.Empty;
    }

    // HTTP/1.1 200 Connection established
    private static int StatusOf(string head)
        => head.StartsWith("HTTP/1.", StringComparison.Ordinal) && head.Length >= 12 && head[8] == ' '
            && int.TryParse(head.AsSpan(9, 3), NumberStyles.None, CultureInfo.InvariantCulture, out var status)
            ? status : 0;
}

/// <summary>The forward proxy cannot be reached or opens no tunnel.</summary>
#pragma warning disable CA1032 // Thrown in one place, with one kind of content.
internal sealed class ProxyRefusedException(string reason) : Exception("proxy: " + reason);
#pragma warning restore CA1032
