using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.Local;

/// <summary>A program to start, ready to be handed to the operating system.</summary>
internal sealed record LocalCommand(string FileName, IReadOnlyList<string> Arguments)
{
    public string? WorkingDirectory { get; init; }

    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>A user to become first; only root can.</summary>
    public string? User { get; init; }

    /// <summary>The signal that asks it to stop.</summary>
    public int StopSignal { get; init; } = LocalProcess.SigTerm;

    /// <summary>What the kernel sends it when the AppHost dies without stopping it.</summary>
    public string DeathSignal { get; init; } = "KILL";
}

/// <summary>How a container resource is run without a container.</summary>
internal sealed class LocalRecipeAnnotation(Func<LocalLaunch, CancellationToken, Task<LocalCommand>> prepare) : IResourceAnnotation
{
    public Func<LocalLaunch, CancellationToken, Task<LocalCommand>> Prepare { get; } = prepare;
}

/// <summary>What a recipe is given: the resource with its evaluated environment and arguments, and places for its files.</summary>
internal sealed class LocalLaunch(
    IResource resource,
    IReadOnlyDictionary<string, string> environment,
    IReadOnlyList<string> arguments,
    ILogger logger,
    LocalDirectories directories)
{
    public IReadOnlyDictionary<string, string> Environment { get; } = environment;

    public ILogger Logger { get; } = logger;

    /// <summary>The arguments, with paths inside a mount turned into paths outside.</summary>
    public IReadOnlyList<string> Arguments { get; } = [.. arguments.Select(argument => OutsideMount(resource, directories, argument))];

    public string TemporaryDirectory { get; } = directories.Temporary(resource.Name);

    /// <summary>Where the container's <paramref name="target"/> directory is here: its volume, or a place that ends with the AppHost.</summary>
    public string DirectoryFor(string target) =>
        resource.Annotations.OfType<ContainerMountAnnotation>().LastOrDefault(mount => mount.Target == target) is { } mount
            ? directories.Of(mount)
            : Path.Combine(TemporaryDirectory, "data");

    public int PortOf(int targetPort) => PortFor(targetPort)
        ?? throw new DistributedApplicationException($"Resource '{resource.Name}' has no endpoint with target port {targetPort}.");

    public int? PortFor(int targetPort) =>
        resource.Annotations.OfType<EndpointAnnotation>().FirstOrDefault(endpoint => endpoint.TargetPort == targetPort)?.ReplicaPorts[0];

    private static string OutsideMount(IResource resource, LocalDirectories directories, string argument)
    {
        foreach (var mount in resource.Annotations.OfType<ContainerMountAnnotation>())
        {
            if (argument == mount.Target || argument.StartsWith(mount.Target.TrimEnd('/') + "/", StringComparison.Ordinal))
            {
                return directories.Of(mount) + argument[mount.Target.TrimEnd('/').Length..];
            }
        }

        return argument;
    }
}
