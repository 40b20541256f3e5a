using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Local;

/// <summary>The instance ids of a resource: one, or one for each replica.</summary>
internal sealed class LocalInstancesAnnotation(string[] ids) : IResourceAnnotation
{
    public string[] Ids { get; } = ids;
}

/// <summary>
/// Which replica an environment, an argument list or a health check is being evaluated for. Replicas share one model, yet
/// each listens on its own port.
/// </summary>
internal static class LocalReplica
{
    private static readonly AsyncLocal<(IResource? Resource, int Index)> Flowing = new();

    public static void Enter(IResource resource, int index) => Flowing.Value = (resource, index);

    public static int PortOf(IResource resource, EndpointAnnotation endpoint)
    {
        var (current, index) = Flowing.Value;
        return endpoint.ReplicaPorts is { Count: > 0 } ports
            ? ports[current == resource ? index : 0]
            : throw new InvalidOperationException($"The endpoint `{endpoint.Name}` is not allocated for the resource `{resource.Name}`.");
    }

    /// <summary>What makes the replica's id differ from the resource's name.</summary>
    public static string SuffixOf(IResource resource) =>
        ResourceNotificationService.InstancesOf(resource)[IsCurrent(resource) ? Flowing.Value.Index : 0] is var id && id.Length > resource.Name.Length
            ? id[(resource.Name.Length + 1)..]
            : id;

    public static bool IsCurrent(IResource resource) => Flowing.Value.Resource == resource;
}
