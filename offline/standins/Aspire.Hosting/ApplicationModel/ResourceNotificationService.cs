using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>The states of the resources' instances: who publishes one, and who waits for one.</summary>
public partial class ResourceNotificationService(
    ILogger<ResourceNotificationService> logger,
    IHostApplicationLifetime hostApplicationLifetime,
    IServiceProvider serviceProvider,
    ResourceLoggerService resourceLoggerService) : IDisposable
{
    private readonly ConcurrentDictionary<string, ResourceEvent> _states = new(StringComparer.OrdinalIgnoreCase);
    private readonly HashSet<ChannelWriter<ResourceEvent>> _watchers = [];
    private readonly CancellationTokenSource _disposed = new();
    private readonly Lock _gate = new();

    private WaitBehavior DefaultWaitBehavior =>
        (serviceProvider.GetService(typeof(DistributedApplicationOptions)) as DistributedApplicationOptions)?.DisableDashboard == true
            ? WaitBehavior.StopOnResourceUnavailable
            : WaitBehavior.WaitOnResourceUnavailable;

    public bool TryGetCurrentState(string resourceId, [NotNullWhen(true)] out ResourceEvent? resourceEvent)
    {
        if (_states.TryGetValue(resourceId, out resourceEvent))
        {
            return true;
        }

        // A name stands for its instance where there is only one.
        var instances = _states.Values.Where(state => Is(state, resourceId)).ToArray();
        resourceEvent = instances.Length == 1 ? instances[0] : null;
        return resourceEvent is not null;
    }

    public Task PublishUpdateAsync(IResource resource, Func<CustomResourceSnapshot, CustomResourceSnapshot> stateFactory)
    {
        foreach (var id in InstancesOf(resource))
        {
            Publish(resource, id, stateFactory);
        }

        return Task.CompletedTask;
    }

    public Task PublishUpdateAsync(IResource resource, string resourceId, Func<CustomResourceSnapshot, CustomResourceSnapshot> stateFactory)
    {
        Publish(resource, resourceId, stateFactory);
        return Task.CompletedTask;
    }

    public async IAsyncEnumerable<ResourceEvent> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _disposed.Token, hostApplicationLifetime.ApplicationStopped);
        var changes = Channel.CreateUnbounded<ResourceEvent>();
        lock (_gate)
        {
            foreach (var state in _states.Values)
            {
                changes.Writer.TryWrite(state);
            }

            _watchers.Add(changes.Writer);
        }

        try
        {
            await foreach (var change in changes.Reader.ReadAllAsync(end.Token).ConfigureAwait(false))
            {
                yield return change;
            }
        }
        finally
        {
            lock (_gate)
            {
                _watchers.Remove(changes.Writer);
            }
        }
    }

    public Task WaitForResourceAsync(string resourceName, string? targetState = null, CancellationToken cancellationToken = default) =>
        WaitForResourceAsync(resourceName, [targetState ?? KnownResourceStates.Running], cancellationToken);

    public async Task<string> WaitForResourceAsync(string resourceName, IEnumerable<string> targetStates, CancellationToken cancellationToken = default)
    {
        var targets = targetStates.ToHashSet(StringComparer.OrdinalIgnoreCase);
        var reached = await WaitForResourceAsync(
            resourceName,
            change => change.Snapshot.State?.Text is { } state && targets.Contains(state),
            cancellationToken).ConfigureAwait(false);
        return reached.Snapshot.State!.Text;
    }

    public async Task<ResourceEvent> WaitForResourceAsync(string resourceName, Func<ResourceEvent, bool> predicate, CancellationToken cancellationToken = default)
    {
        await foreach (var change in WatchAsync(cancellationToken).ConfigureAwait(false))
        {
            if (Is(change, resourceName) && predicate(change))
            {
                return change;
            }
        }

        throw new OperationCanceledException($"The operation was cancelled before resource '{resourceName}' reached the state that was waited for.");
    }

    public Task<ResourceEvent> WaitForResourceHealthyAsync(string resourceName, CancellationToken cancellationToken = default) =>
        WaitForResourceHealthyAsync(resourceName, DefaultWaitBehavior, cancellationToken);

    public async Task<ResourceEvent> WaitForResourceHealthyAsync(string resourceName, WaitBehavior waitBehavior, CancellationToken cancellationToken = default)
    {
        if (waitBehavior == WaitBehavior.StopOnResourceUnavailable
            && serviceProvider.GetService(typeof(DistributedApplicationModel)) is DistributedApplicationModel model
            && !model.Resources.TryGetByName(resourceName, out _)
            && !TryGetCurrentState(resourceName, out _))
        {
            throw new DistributedApplicationException($"Stopped waiting for resource '{resourceName}' to become healthy because it does not exist in the application model.");
        }

        var reached = await WaitForResourceAsync(
            resourceName,
            change => change.Snapshot.HealthStatus == HealthStatus.Healthy || (waitBehavior == WaitBehavior.StopOnResourceUnavailable && IsUnavailable(change.Snapshot)),
            cancellationToken).ConfigureAwait(false);
        if (reached.Snapshot.HealthStatus != HealthStatus.Healthy)
        {
            LogStoppedWaiting(logger, resourceName, reached.Snapshot.State?.Text);
            throw new DistributedApplicationException($"Stopped waiting for resource '{resourceName}' to become healthy because it failed to start.");
        }

        return await WhenReady(reached, cancellationToken).ConfigureAwait(false);
    }

    public async Task WaitForDependenciesAsync(IResource resource, CancellationToken cancellationToken)
    {
        var waits = resource.Annotations.OfType<WaitAnnotation>().Where(static wait => wait.Resource is not IResourceWithoutLifetime).ToArray();
        if (waits.Length == 0)
        {
            return;
        }

        // Other replicas of it may be running while this one waits to be started again.
        await PublishUpdateAsync(resource, static snapshot => snapshot.State?.Text is null or nameof(KnownResourceStates.NotStarted) or nameof(KnownResourceStates.Starting)
            ? snapshot with { State = KnownResourceStates.Waiting }
            : snapshot).ConfigureAwait(false);
        await Task.WhenAll(waits.SelectMany(wait => InstancesOf(wait.Resource).Select(id => WaitFor(resource, wait, id, cancellationToken)))).ConfigureAwait(false);
    }

    public void Dispose()
    {
        _disposed.Cancel();
        _disposed.Dispose();
        GC.SuppressFinalize(this);
    }

    internal static string[] InstancesOf(IResource resource) =>
        resource.Annotations.OfType<Local.LocalInstancesAnnotation>().LastOrDefault()?.Ids ?? [resource.Name];

    internal void Publish(IResource resource, string id, Func<CustomResourceSnapshot, CustomResourceSnapshot> change)
    {
        lock (_gate)
        {
            var before = _states.TryGetValue(id, out var state)
                ? state.Snapshot
                : new CustomResourceSnapshot { ResourceType = resource.GetType().Name.Replace("Resource", "", StringComparison.Ordinal), Properties = [] };
            var after = new ResourceEvent(resource, id, change(before));
            _states[id] = after;
            foreach (var watcher in _watchers)
            {
                watcher.TryWrite(after);
            }
        }
    }

    private static bool Is(ResourceEvent state, string name) =>
        state.Resource.Name.Equals(name, StringComparison.OrdinalIgnoreCase) || state.ResourceId.Equals(name, StringComparison.OrdinalIgnoreCase);

    private static bool IsUnavailable(CustomResourceSnapshot snapshot) =>
        snapshot.State?.Text is { } state && (KnownResourceStates.TerminalStates.Contains(state) || state == KnownResourceStates.RuntimeUnhealthy);

    private async Task<ResourceEvent> WhenReady(ResourceEvent healthy, CancellationToken cancellationToken)
    {
        var ready = await WaitForResourceAsync(healthy.ResourceId, static change => change.Snapshot.Ready is not null, cancellationToken).ConfigureAwait(false);
        await ready.Snapshot.Ready!.WaitAsync(cancellationToken).ConfigureAwait(false);
        return ready;
    }

    private async Task WaitFor(IResource resource, WaitAnnotation wait, string id, CancellationToken cancellationToken)
    {
        var display = InstancesOf(wait.Resource).Length > 1 ? id : wait.Resource.Name;
        var stopWhenUnavailable = (wait.WaitBehavior ?? DefaultWaitBehavior) == WaitBehavior.StopOnResourceUnavailable;
        var goal = wait.WaitType switch
        {
            WaitType.WaitForCompletion => "complete",
            WaitType.WaitUntilStarted => "start",
            _ => "become healthy",
        };
        resourceLoggerService.Write(resource.Name, $"Waiting for resource '{display}' to {goal}.", isError: false);

        var reached = await WaitForResourceAsync(id, change => IsOver(change.Snapshot), cancellationToken).ConfigureAwait(false);
        var state = reached.Snapshot.State?.Text;
        if (state == KnownResourceStates.FailedToStart)
        {
            throw Stopped("it failed to start");
        }

        if (wait.WaitType == WaitType.WaitForCompletion)
        {
            if (reached.Snapshot.ExitCode is { } exitCode && exitCode != wait.ExitCode)
            {
                throw Stopped($"it entered the '{state}' state with exit code '{exitCode}', expected '{wait.ExitCode}'");
            }
        }
        else if (IsUnavailable(reached.Snapshot))
        {
            throw Stopped($"it entered the '{state}' state prematurely");
        }

        if (wait.WaitType == WaitType.WaitUntilHealthy)
        {
            await WhenReady(reached, cancellationToken).ConfigureAwait(false);
        }

        resourceLoggerService.Write(resource.Name, $"Finished waiting for resource '{display}'.", isError: false);

        bool IsOver(CustomResourceSnapshot snapshot) => wait.WaitType switch
        {
            WaitType.WaitForCompletion => IsUnavailable(snapshot) && snapshot.State!.Text != KnownResourceStates.RuntimeUnhealthy,
            _ when stopWhenUnavailable && IsUnavailable(snapshot) => true,
            WaitType.WaitUntilStarted => snapshot.State?.Text == KnownResourceStates.Running,
            _ => snapshot.HealthStatus == HealthStatus.Healthy,
        };

        DistributedApplicationException Stopped(string reason) =>
            new($"Resource '{resource.Name}' stopped waiting for dependency resource '{display}' because {reason}.");
    }

    [LoggerMessage(LogLevel.Error, "Stopped waiting for resource '{Resource}' to become healthy because it is in the state '{State}'")]
    private static partial void LogStoppedWaiting(ILogger logger, string resource, string? state);
}
