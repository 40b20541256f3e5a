using System.Net;
using System.Net.Security;
using RuleEngineNats.DeliveryWorker.Egress;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>The HTTP client of the worker, and of each webhook with a client certificate. It trusts no answer: no redirects, no cookies, no proxy, no decompression, bounded headers.</summary>
internal sealed class DeliveryClient : HttpMessageInvoker
{
    private const int MaxResponseHeadersKiB = 32;

    public DeliveryClient(EgressOptions egress)
        : this(egress, Resolve)
    {
    }

    public DeliveryClient(EgressOptions egress, Func<string, CancellationToken, Task<IPAddress[]>> resolve, SslStreamCertificateContext? certificate = null)
        : base(CreateHandler(egress, resolve, certificate))
    {
    }

    public static Func<string, CancellationToken, Task<IPAddress[]>> Resolve { get; } =
        static (host, cancellationToken) => Dns.GetHostAddressesAsync(host, cancellationToken);

    private static SocketsHttpHandler CreateHandler(EgressOptions egress, Func<string, CancellationToken, Task<IPAddress[]>> resolve, SslStreamCertificateContext? certificate) => new()
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        // A proxy of ours is the connector's business, and one of the environment is none of ours.
        UseProxy = false,
        Credentials = null,
        AutomaticDecompression = DecompressionMethods.None,
        ConnectTimeout = egress.ConnectTimeout,
        SslOptions = new SslClientAuthenticationOptions { ClientCertificateContext = certificate },
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
