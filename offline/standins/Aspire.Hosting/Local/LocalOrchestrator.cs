using System.Net.Sockets;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Eventing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting.Local;

/// <summary>Sets the resources going when the application starts, and takes them down in reverse when it stops.</summary>
internal sealed class LocalOrchestrator : IHostedService, IDisposable
{
    private readonly DistributedApplicationModel _model;
    private readonly LocalServices _services;
    private readonly LocalDashboard _dashboard;
    private readonly bool _randomPorts;
    private readonly LocalDirectories _directories = new();
    private readonly List<EndpointProxy> _proxies = [];
    private readonly Dictionary<IResource, LocalInstance[]> _instances = [];
    private readonly CancellationTokenSource _stopping = new();
    private readonly List<Task> _running = [];

    public LocalOrchestrator(
        IServiceProvider provider,
        DistributedApplicationModel model,
        DistributedApplicationExecutionContext context,
        IDistributedApplicationEventing eventing,
        ResourceNotificationService notifications,
        ResourceLoggerService logs,
        IConfiguration configuration)
    {
        _model = model;
        var health = new ResourceHealth(provider.GetRequiredService<HealthCheckService>(), notifications, logs, eventing, provider);
        _services = new LocalServices(provider, context, eventing, notifications, logs, health, _directories, provider.GetService<TimeProvider>() ?? TimeProvider.System);
        _dashboard = new LocalDashboard(provider);
        _randomPorts = configuration.GetValue<bool>("DcpPublisher:RandomizePorts");
    }

    public IReadOnlyList<LocalInstance> InstancesOf(IResource resource) => _instances.GetValueOrDefault(resource, []);

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (_services.Context.IsPublishMode)
        {
            throw new DistributedApplicationException("The local stand-in for Aspire.Hosting only runs applications. Publishing needs the genuine packages.");
        }

        await _services.Eventing.PublishAsync(new BeforeStartEvent(_services.Provider, _model), cancellationToken).ConfigureAwait(false);
        await _dashboard.StartAsync(cancellationToken).ConfigureAwait(false);
        foreach (var resource in _model.Resources)
        {
            Prepare(resource);
        }

        foreach (var resource in _model.Resources.OfType<IResourceWithEndpoints>())
        {
            await _services.Eventing.PublishAsync(new ResourceEndpointsAllocatedEvent(resource, _services.Provider), cancellationToken).ConfigureAwait(false);
        }

        // From here on nothing waits for anything but what the model says.
        var starts = _model.Resources.ToArray().Select(resource => Task.Run(() => BeginAsync(resource, _stopping.Token), CancellationToken.None)).ToArray();
        _running.AddRange(starts);
        _running.Add(AnnounceAsync(starts));
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        foreach (var wave in StopWaves())
        {
            await Task.WhenAll(wave.SelectMany(resource => _instances[resource]).Select(instance => instance.StopAsync(cancellationToken))).ConfigureAwait(false);
        }

        await Task.WhenAll(_running).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _dashboard.StopAsync(cancellationToken).ConfigureAwait(false);
    }

    public void Dispose()
    {
        // Reached without StopAsync when starting failed or the application was never stopped.
        foreach (var instance in _instances.Values.SelectMany(static instances => instances))
        {
            instance.Kill();
            instance.Dispose();
        }

        _dashboard.Kill();
        _proxies.ForEach(static proxy => proxy.Dispose());
        _directories.Dispose();
        _stopping.Dispose();
    }

    private void Prepare(IResource resource)
    {
        if (resource is ProjectResource or ExecutableResource or ContainerResource)
        {
            var replicas = resource.Annotations.OfType<ReplicaAnnotation>().LastOrDefault()?.Replicas ?? 1;
            var suffix = Path.GetRandomFileName()[..8];
            string[] ids = [.. Enumerable.Range(0, replicas).Select(index => replicas == 1 ? $"{resource.Name}-{suffix}" : $"{resource.Name}-{suffix}{index}")];
            resource.Annotations.Add(new LocalInstancesAnnotation(ids));
            _instances[resource] = [.. ids.Select((id, index) => new LocalInstance(resource, id, index, _services))];
            foreach (var endpoint in resource.Annotations.OfType<EndpointAnnotation>())
            {
                Allocate(resource, endpoint, replicas);
            }
        }

        _services.Notifications.PublishUpdateAsync(resource, static snapshot => snapshot with { State = KnownResourceStates.NotStarted });
    }

    // A container's target port is a number inside its own network; here the process listens on the port that clients use.
    private void Allocate(IResource resource, EndpointAnnotation endpoint, int replicas)
    {
        var isOurs = resource is not ContainerResource && endpoint.TargetPort is > 0;
        var fixedPort = endpoint.Port is > 0 && !(_randomPorts && endpoint.IsProxied) ? endpoint.Port : null;
        var port = fixedPort ?? (replicas == 1 && isOurs ? endpoint.TargetPort!.Value : LocalPorts.Free());
        if (replicas == 1 && (!isOurs || endpoint.TargetPort == port))
        {
            endpoint.ReplicaPorts = [port];
        }
        else
        {
            endpoint.ReplicaPorts = replicas == 1 ? [endpoint.TargetPort!.Value] : [.. Enumerable.Range(0, replicas).Select(static _ => LocalPorts.Free())];
            _proxies.Add(OpenProxy(resource, endpoint, port));
        }

        endpoint.AllocatedEndpoint = new AllocatedEndpoint(endpoint, "localhost", port);
    }

    private static EndpointProxy OpenProxy(IResource resource, EndpointAnnotation endpoint, int port)
    {
        try
        {
            return new EndpointProxy(port, endpoint.ReplicaPorts);
        }
        catch (SocketException exception)
        {
            throw new DistributedApplicationException(
                $"Resource '{resource.Name}' cannot listen on port {port} for its endpoint '{endpoint.Name}': the port is already in use.", exception);
        }
    }

    private async Task BeginAsync(IResource resource, CancellationToken cancellationToken)
    {
        try
        {
            if (resource is ParameterResource parameter)
            {
                await ResolveAsync(parameter, cancellationToken).ConfigureAwait(false);
                return;
            }

            if (resource is IResourceWithConnectionString)
            {
                await _services.Eventing.PublishAsync(new ConnectionStringAvailableEvent(resource, _services.Provider), cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            _services.Logs.Write(resource.Name, $"Failed to start: {exception.Message}", isError: true);
            await _services.Notifications.PublishUpdateAsync(resource, static snapshot => snapshot with { State = KnownResourceStates.FailedToStart }).ConfigureAwait(false);
            return;
        }

        if (_instances.TryGetValue(resource, out var instances))
        {
            if (!resource.Annotations.OfType<ExplicitStartupAnnotation>().Any())
            {
                await Task.WhenAll(instances.Select(instance => instance.StartAsync(cancellationToken))).ConfigureAwait(false);
            }
        }
        else if (resource is IResourceWithParent child)
        {
            await FollowAsync(child, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            await _services.Notifications.PublishUpdateAsync(resource, static snapshot => snapshot with { State = KnownResourceStates.Running }).ConfigureAwait(false);
            await _services.Health.WatchAsync(resource, resource.Name, 0, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task ResolveAsync(ParameterResource parameter, CancellationToken cancellationToken)
    {
        try
        {
            await parameter.GetValueAsync(cancellationToken).ConfigureAwait(false);
            await _services.Notifications.PublishUpdateAsync(parameter, static snapshot => snapshot with { State = KnownResourceStates.Running }).ConfigureAwait(false);
        }
        catch (MissingParameterValueException exception)
        {
            _services.Logs.Write(parameter.Name, exception.Message, isError: true);
            await _services.Notifications.PublishUpdateAsync(parameter, static snapshot => snapshot with { State = KnownResourceStates.ValueMissing }).ConfigureAwait(false);
        }
    }

    /// <summary>A database has no process of its own: it runs while its server runs, and is healthy by its own check.</summary>
    private async Task FollowAsync(IResourceWithParent child, CancellationToken cancellationToken)
    {
        var health = Task.CompletedTask;
        CancellationTokenSource? over = null;
        try
        {
            await foreach (var change in _services.Notifications.WatchAsync(cancellationToken).ConfigureAwait(false))
            {
                if (change.Resource != child.Parent)
                {
                    continue;
                }

                var isRunning = change.Snapshot.State?.Text == KnownResourceStates.Running;
                if (isRunning && over is null)
                {
                    over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                    _services.Notifications.Publish(child, child.Name, _ => change.Snapshot with { HealthReports = ResourceHealth.Unknown(child), Properties = [], Ready = null });
                    health = WatchHealthAsync(change, over.Token);
                }
                else if (!isRunning)
                {
                    await (over?.CancelAsync() ?? Task.CompletedTask).ConfigureAwait(false);
                    over = null;
                    await health.ConfigureAwait(false);
                    _services.Notifications.Publish(child, child.Name, _ => change.Snapshot with { HealthReports = [], Properties = [], Ready = null });
                }
            }
        }
        catch (OperationCanceledException)
        {
            await (over?.CancelAsync() ?? Task.CompletedTask).ConfigureAwait(false);
            await health.ConfigureAwait(false);
        }

        // Its server creates it once that is ready; asking sooner only fills the server's log with refusals.
        async Task WatchHealthAsync(ResourceEvent parent, CancellationToken token)
        {
            try
            {
                var ready = await _services.Notifications.WaitForResourceAsync(parent.ResourceId, static state => state.Snapshot.Ready is not null, token).ConfigureAwait(false);
                await ready.Snapshot.Ready!.WaitAsync(token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                await _services.Health.WatchAsync(child, child.Name, 0, token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
            }
        }
    }

    private async Task AnnounceAsync(Task[] starts)
    {
        // Those that follow something never end while it runs, so "created" means: each that has a process was tried.
        await Task.WhenAll(_instances.Keys.Select(resource => starts[_model.Resources.IndexOf(resource)])).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _services.Eventing.PublishAsync(new AfterResourcesCreatedEvent(_services.Provider, _model), _stopping.Token).ConfigureAwait(false);
    }

    /// <summary>What others wait for or refer to stops after them.</summary>
    private IEnumerable<IResource[]> StopWaves()
    {
        var left = _instances.Keys.ToHashSet();
        while (left.Count > 0)
        {
            var needed = left.SelectMany(NeededBy).ToHashSet();
            var wave = left.Where(resource => !needed.Contains(resource)).ToArray();

            // A circle of references has no last one.
            wave = wave.Length == 0 ? [.. left] : wave;
            yield return wave;
            left.ExceptWith(wave);
        }
    }

    private static IEnumerable<IResource> NeededBy(IResource resource) =>
        resource.Annotations.OfType<WaitAnnotation>().Select(static wait => wait.Resource)
            .Concat(resource.Annotations.OfType<ResourceRelationshipAnnotation>().Select(static relation => relation.Resource))
            .Select(static other => other is IResourceWithParent child ? child.Parent : other)
            .Where(other => other != resource);
}
