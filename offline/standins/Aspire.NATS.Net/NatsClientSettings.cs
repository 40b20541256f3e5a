namespace Aspire.NATS.Net;

/// <summary>What <c>AddNatsClient</c> reads from <c>Aspire:NATS:Net</c>; everything is on by default.</summary>
public sealed class NatsClientSettings
{
    public string? ConnectionString { get; set; }

    public bool DisableHealthChecks { get; set; }

    public bool DisableTracing { get; set; }
}
