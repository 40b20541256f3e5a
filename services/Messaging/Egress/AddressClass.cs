namespace RuleEngineNats.Messaging;

/// <summary>What kind of network an address belongs to; only <see cref="Public"/> ones are sent to by default.</summary>
public enum AddressClass
{
    /// <summary>Reachable from everywhere.</summary>
    Public,

    /// <summary>This host on this network: 0.0.0.0/8 and ::.</summary>
    Unspecified,

    /// <summary>This machine itself.</summary>
    Loopback,

    /// <summary>RFC 1918, and unique and site local IPv6.</summary>
    Private,

    /// <summary>100.64.0.0/10.</summary>
    CarrierGradeNat,

    /// <summary>This link, and with it the metadata services of clouds.</summary>
    LinkLocal,

    /// <summary>Set aside for protocols.</summary>
    Protocol,

    /// <summary>For examples in texts.</summary>
    Documentation,

    /// <summary>For measurements.</summary>
    Benchmark,

    /// <summary>To many at once.</summary>
    Multicast,

    /// <summary>For nobody yet.</summary>
    Reserved,

    /// <summary>NAT64: an IPv4 address of the translator's choice.</summary>
    Translation,

    /// <summary>6to4 and Teredo: an IPv4 address of the relay's choice.</summary>
    Tunnel,
}
