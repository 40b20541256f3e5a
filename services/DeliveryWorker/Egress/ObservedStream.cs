using System.Net;
using System.Net.Sockets;
using RuleEngineNats.DeliveryWorker.Delivery;

namespace RuleEngineNats.DeliveryWorker.Egress;

/// <summary>A connection that tells each request it carries where it leads; everything else is the socket's.</summary>
internal sealed class ObservedStream(Socket socket) : NetworkStream(socket, ownsSocket: true)
{
    private readonly EndPoint? _remote = socket.RemoteEndPoint;

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (ExchangeTrace.Current is { } trace)
        {
            trace.Remote = _remote;
        }

        return base.WriteAsync(buffer, cancellationToken);
    }
}
