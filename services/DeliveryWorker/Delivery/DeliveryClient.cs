using System.Net;
using RuleEngineNats.DeliveryWorker.Egress;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>The one HTTP client of the worker. It trusts no answer: no redirects, no cookies, no proxy, no decompression, bounded headers.</summary>
internal sealed class DeliveryClient : HttpMessageInvoker
{
    private const int MaxResponseHeadersKiB = 32;

    public DeliveryClient(EgressOptions egress)
        : this(egress, static (host, cancellationToken) => Dns.GetHostAddressesAsync(host, cancellationToken))
    {
    }

    public DeliveryClient(EgressOptions egress, Func<string, CancellationToken, Task<IPAddress[]>> resolve)
        : base(CreateHandler(egress, resolve))
    {
    }

    private static SocketsHttpHandler CreateHandler(EgressOptions egress, Func<string, CancellationToken, Task<IPAddress[]>> resolve) => new()
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        Credentials = null,
        AutomaticDecompression = DecompressionMethods.None,
        ConnectTimeout = egress.ConnectTimeout,
        ConnectCallback = new GuardedConnector(egress, resolve).ConnectAsync,
        PlaintextStreamFilter = GuardedConnector.ReadyAsync,
        // Long enough to matter, short enough to follow an endpoint that moves.
        PooledConnectionLifetime = TimeSpan.FromMinutes(2),
        PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1),
        MaxResponseHeadersLength = MaxResponseHeadersKiB,
        // An answer that is not read to its end costs a connection, not the reading of it.
        MaxResponseDrainSize = 64 * 1024,
        ResponseDrainTimeout = TimeSpan.FromSeconds(1),
    };
}
