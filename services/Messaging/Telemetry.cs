using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace RuleEngineNats.Messaging;

/// <summary>Where this project's own spans and metrics come from. ServiceDefaults subscribes to both by name.</summary>
public static class Telemetry
{
    /// <summary>Name of <see cref="Source"/> and <see cref="Meter"/>.</summary>
    public const string Name = "RuleEngineNats";

    /// <summary>Spans: "publish &lt;subject&gt;" and "deliver &lt;webhook&gt;".</summary>
    public static readonly ActivitySource Source = new(Name);

    /// <summary>Metrics.</summary>
    public static readonly Meter Meter = new(Name);
}
