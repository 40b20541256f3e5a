using System.ComponentModel.DataAnnotations;

namespace RuleEngineNats.DeliveryWorker.Egress;

/// <summary>Where deliveries may go. The defaults are those of production: public addresses, https, port 443.</summary>
public sealed class EgressOptions
{
    /// <summary>Default false. True lets endpoints reach this machine's own loopback addresses, and with them every service that listens there.</summary>
    public bool AllowLoopback { get; set; }

    /// <summary>Default false. True lets endpoints reach private networks (RFC 1918 and unique local IPv6), which whoever may register a webhook can then probe.</summary>
    public bool AllowPrivate { get; set; }

    /// <summary>Default false. True allows http URLs: bodies and signatures then cross the network in clear.</summary>
    public bool AllowHttp { get; set; }

    /// <summary>Default false. True allows every port but 0; mail and database servers can then be spoken to.</summary>
    public bool AllowAnyPort { get; set; }

    /// <summary>Default empty: ports allowed besides 80 and 443.</summary>
    public IList<int> AllowedPorts { get; set; } = [];

    /// <summary>Default 5 s: time for name resolution, TCP and TLS together; a longer one lets dead endpoints hold their places longer.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "00:01:00")]
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(5);

    internal bool Allows(AddressClass kind) => kind switch
    {
        AddressClass.Public => true,
        AddressClass.Loopback => AllowLoopback,
        AddressClass.Private => AllowPrivate,
        _ => false,
    };
}
