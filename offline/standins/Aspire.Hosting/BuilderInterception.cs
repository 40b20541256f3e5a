using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting;

/// <summary>
/// How the testing package takes part while an AppHost's entry point runs: it sets the options before the builder reads
/// them, and replaces what <c>Build</c> gives back. Flows with the entry point's execution context and nowhere else.
/// </summary>
internal abstract class BuilderInterception
{
    private static readonly AsyncLocal<BuilderInterception?> Flowing = new();

    public static BuilderInterception? Current
    {
        get => Flowing.Value;
        set => Flowing.Value = value;
    }

    public abstract void Constructing(DistributedApplicationOptions options, HostApplicationBuilderSettings settings);

    public abstract DistributedApplication Build(DistributedApplicationBuilder builder);
}
