using System.ComponentModel.DataAnnotations;
using System.Net;

namespace RuleEngineNats.Messaging;

/// <summary>
/// Where deliveries may go; section <c>Delivery:Egress</c>. The defaults are those of production: public addresses, https, port 443. The delivery worker keeps to it
/// with every request; ConfigService refuses by it, when a webhook is registered, changed or tested, what the worker would refuse: give both the same.
/// </summary>
public sealed class EgressOptions
{
    /// <summary>Name of the configuration section, in every service that has it.</summary>
    public const string Section = "Delivery:Egress";

    /// <summary>Default false. True lets endpoints reach this machine's own loopback addresses, and with them every service that listens there.</summary>
    public bool AllowLoopback { get; set; }

    /// <summary>Default false. True lets endpoints reach private networks (RFC 1918 and unique local IPv6), which whoever may register a webhook can then probe.</summary>
    public bool AllowPrivate { get; set; }

    /// <summary>
    /// Default empty: private, carrier-grade NAT and loopback networks that endpoints may reach besides, e.g. <c>10.1.0.0/16</c> or <c>fd00:1::/32</c>. They open
    /// nothing of another class: the metadata service of a cloud stays out of reach.
    /// </summary>
    public IList<string> AllowedNetworks { get; set; } = [];

    /// <summary>Default false. True allows http URLs: bodies and signatures then cross the network in clear.</summary>
    public bool AllowHttp { get; set; }

    /// <summary>Default false. True allows every port but 0; mail and database servers can then be spoken to.</summary>
    public bool AllowAnyPort { get; set; }

    /// <summary>Default empty: ports allowed besides 80 and 443.</summary>
    public IList<int> AllowedPorts { get; set; } = [];

    /// <summary>
    /// Default null: connections are direct. <c>http://host:port</c> of a forward proxy that every request goes through, http ones too, by CONNECT to the address that
    /// was checked, so that the proxy has no name to resolve to another one. Names are therefore still resolved by the worker, and the proxy has to take addresses.
    /// </summary>
    public string? Proxy { get; set; }

    /// <summary>Default 5 s: time for name resolution, proxy, TCP and TLS together; a longer one lets dead endpoints hold their places longer.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "00:01:00")]
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Why an address may not be sent to, or null.</summary>
    public string? FindProblem(IPAddress address)
        => AddressTable.Classify(address) is var kind && (Allows(kind) || (CanBeListed(kind) && IsListed(AddressTable.Plain(address))))
            ? null : "address is " + kind.ToString().ToLowerInvariant();

    /// <summary>Whether a whole class is allowed.</summary>
    public bool Allows(AddressClass kind) => kind switch
    {
        AddressClass.Public => true,
        AddressClass.Loopback => AllowLoopback,
        AddressClass.Private => AllowPrivate,
        _ => false,
    };

    /// <summary>The address of <see cref="Proxy"/>, or null.</summary>
    public DnsEndPoint? ProxyEndPoint()
        => !string.IsNullOrEmpty(Proxy) && Uri.TryCreate(Proxy, UriKind.Absolute, out var uri) && uri.Scheme == Uri.UriSchemeHttp && uri.Port > 0
            && uri is { UserInfo: "", PathAndQuery: "/", Fragment: "", IdnHost: not "" }
            ? new(uri.IdnHost, uri.Port) : null;

    internal static bool CanBeListed(AddressClass kind) => kind is AddressClass.Private or AddressClass.CarrierGradeNat or AddressClass.Loopback;

    private bool IsListed(IPAddress address)
    {
        foreach (var text in AllowedNetworks)
        {
            if (IPNetwork.TryParse(text, out var network) && network.Contains(address))
            {
                return true;
            }
        }

        return false;
    }
}
