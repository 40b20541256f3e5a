namespace RuleEngineNats.DeliveryWorker.Egress;

/// <summary>What kind of network an address belongs to; only <see cref="Public"/> ones are sent to by default.</summary>
internal enum AddressClass
{
    Public,
    Unspecified,
    Loopback,
    Private,
    CarrierGradeNat,
    LinkLocal,
    Protocol,
    Documentation,
    Benchmark,
    Multicast,
    Reserved,
    Translation,
    Tunnel,
}
