using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Egress;

/// <summary>
/// Opens connections for deliveries. The name is resolved here and the connection goes to the very address that was checked, so a name server that
/// answers differently the second time gains nothing; through a forward proxy too, which is told that address. One address that is not allowed refuses the
/// name: a mixed answer is an attempt.
/// </summary>
internal sealed class GuardedConnector(EgressOptions options, Func<string, CancellationToken, Task<IPAddress[]>> resolve)
{
    private readonly DnsEndPoint? _proxy = options.ProxyEndPoint();

    public async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var began = Stopwatch.GetTimestamp();
        var target = context.DnsEndPoint;
        var addresses = IPAddress.TryParse(target.Host, out var literal) ? [literal] : await resolve(target.Host, cancellationToken);
        foreach (var address in addresses)
        {
            if (options.FindProblem(address) is { } problem)
            {
                throw new AddressBlockedException(problem);
            }
        }

        var stream = _proxy is null
            ? await ConnectAsync(addresses, target.Port, cancellationToken)
            : await ProxyTunnel.OpenAsync(_proxy, addresses, target.Port, cancellationToken);
        if (context.InitialRequestMessage.Options.TryGetValue(ExchangeTrace.Key, out var trace))
        {
            trace.Connect = Stopwatch.GetElapsedTime(began);
            trace.ConnectedAt = Stopwatch.GetTimestamp();
        }

        return stream;
    }

    /// <summary>Called when the connection is ready for its first request: after the TLS handshake, where there is one.</summary>
    public static ValueTask<Stream> ReadyAsync(SocketsHttpPlaintextStreamFilterContext context, CancellationToken cancellationToken)
    {
        if (context.InitialRequestMessage.RequestUri?.Scheme == Uri.UriSchemeHttps && context.InitialRequestMessage.Options.TryGetValue(ExchangeTrace.Key, out var trace))
        {
            trace.Tls = Stopwatch.GetElapsedTime(trace.ConnectedAt);
        }

        return ValueTask.FromResult(context.PlaintextStream);
    }

    private static async Task<Stream> ConnectAsync(IPAddress[] addresses, int port, CancellationToken cancellationToken)
    {
        SocketException? last = null;
        foreach (var address in addresses)
        {
            var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(new IPEndPoint(address, port), cancellationToken);
                return new ObservedStream(socket);
            }
            catch (SocketException e)
            {
                socket.Dispose();
                last = e;
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }

        throw last ?? new SocketException((int)SocketError.HostNotFound);
    }
}

/// <summary>The endpoint's name leads to an address deliveries may not go to.</summary>
#pragma warning disable CA1032 // Thrown in one place, with one kind of content.
internal sealed class AddressBlockedException(string problem) : Exception(problem);
#pragma warning restore CA1032
