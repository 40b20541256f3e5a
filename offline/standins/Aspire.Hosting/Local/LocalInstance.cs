using System.Collections.Immutable;
using System.Globalization;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Eventing;

namespace Aspire.Hosting.Local;

/// <summary>One process of a resource: started, watched, stopped. Nothing here starts it a second time by itself.</summary>
internal sealed class LocalInstance(IResource resource, string id, int index, LocalServices services) : IDisposable
{
    private static readonly TimeSpan StopGrace = TimeSpan.FromSeconds(10);

    private readonly SemaphoreSlim _gate = new(1, 1);
    private CancellationTokenSource _starting = new();
    private LocalProcess? _process;
    private Task _watch = Task.CompletedTask;
    private bool _isStopping;

    public IResource Resource => resource;

    public string Id => id;

    public void Dispose()
    {
        _gate.Dispose();
        _starting.Dispose();
    }

    public async Task<ExecuteCommandResult> StartAsync(CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_process is { Exited.IsCompleted: false })
            {
                return CommandResults.Failure($"Resource '{id}' is already running.");
            }

            await _watch.ConfigureAwait(false);
            _isStopping = false;
            _starting.Dispose();
            _starting = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            Publish(static snapshot => snapshot with { State = KnownResourceStates.Starting, ExitCode = null, StopTimeStamp = null, HealthReports = [], Ready = null });
            await services.Notifications.WaitForDependenciesAsync(resource, _starting.Token).ConfigureAwait(false);
            await services.Eventing.PublishAsync(new BeforeResourceStartedEvent(resource, services.Provider), _starting.Token).ConfigureAwait(false);
            await LaunchAsync(_starting.Token).ConfigureAwait(false);
            return CommandResults.Success();
        }
        catch (OperationCanceledException) when (_starting.IsCancellationRequested)
        {
            Publish(snapshot => snapshot with { State = EndState });
            return CommandResults.Canceled();
        }
        catch (Exception exception)
        {
            LogFailedToStart(exception);
            Publish(snapshot => snapshot with
            {
                State = new ResourceStateSnapshot(KnownResourceStates.FailedToStart, KnownResourceStateStyles.Error),
                StopTimeStamp = services.Time.GetUtcNow().UtcDateTime,
            });
            return CommandResults.Failure(exception);
        }
        finally
        {
            _gate.Release();
        }
    }

    public async Task<ExecuteCommandResult> StopAsync(CancellationToken cancellationToken)
    {
        // A start that still waits for something holds the gate.
        await _starting.CancelAsync().ConfigureAwait(false);
        await _gate.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            if (_process is not { Exited.IsCompleted: false } process)
            {
                return CommandResults.Failure($"Resource '{id}' is not running.");
            }

            _isStopping = true;
            Publish(static snapshot => snapshot with { State = KnownResourceStates.Stopping });
            await process.StopAsync(StopGrace, cancellationToken).ConfigureAwait(false);
            await _watch.ConfigureAwait(false);
            return CommandResults.Success();
        }
        finally
        {
            _gate.Release();
        }
    }

    public void Kill() => _process?.Kill();

    private ResourceStateSnapshot EndState => new(resource is ContainerResource ? KnownResourceStates.Exited : KnownResourceStates.Finished, null);

    private async Task LaunchAsync(CancellationToken cancellationToken)
    {
        LocalReplica.Enter(resource, index);
        foreach (var endpoint in resource.Annotations.OfType<EndpointAnnotation>())
        {
            var port = LocalReplica.PortOf(resource, endpoint);
            if (!LocalPorts.IsFree(port))
            {
                throw new DistributedApplicationException(
                    $"Resource '{resource.Name}' cannot listen on port {port} for its endpoint '{endpoint.Name}': the port is already in use.");
            }
        }

        var command = await LocalLaunchPlan.CreateAsync(resource, services, cancellationToken).ConfigureAwait(false);
        var process = await LocalProcess.StartAsync(command, (line, isError) => services.Logs.Write(resource.Name, line, isError)).ConfigureAwait(false);
        _process = process;
        var pid = process.Id;
        Publish(snapshot => snapshot with
        {
            State = new ResourceStateSnapshot(KnownResourceStates.Running, KnownResourceStateStyles.Success),
            StartTimeStamp = services.Time.GetUtcNow().UtcDateTime,
            HealthReports = ResourceHealth.Unknown(resource),
            EnvironmentVariables = [.. command.Environment.Select(static variable => new EnvironmentVariableSnapshot(variable.Key, variable.Value, IsFromSpec: true))],
            Urls = Urls(),
            Properties =
            [
                new ResourcePropertySnapshot("executable.path", command.FileName),
                new ResourcePropertySnapshot("executable.workDir", command.WorkingDirectory),
                new ResourcePropertySnapshot("executable.pid", pid),
            ],
        });
        _watch = WatchAsync(process);
    }

    private async Task WatchAsync(LocalProcess process)
    {
        using var over = new CancellationTokenSource();
        var health = services.Health.WatchAsync(resource, id, index, over.Token);
        var exitCode = await process.Exited.ConfigureAwait(false);
        await over.CancelAsync().ConfigureAwait(false);
        await health.ConfigureAwait(false);

        services.Logs.Write(
            resource.Name,
            string.Create(CultureInfo.InvariantCulture, $"Process {process.Id} of '{id}' ended with exit code {exitCode}."),
            isError: exitCode != 0 && !_isStopping);
        Publish(snapshot => snapshot with
        {
            State = EndState,
            ExitCode = exitCode,
            StopTimeStamp = services.Time.GetUtcNow().UtcDateTime,
            HealthReports = [],
        });
        if (services.Notifications.TryGetCurrentState(id, out var stopped))
        {
            await services.Eventing.PublishAsync(new ResourceStoppedEvent(resource, services.Provider, stopped)).ConfigureAwait(false);
        }
    }

    private ImmutableArray<UrlSnapshot> Urls() =>
    [
        .. resource.Annotations.OfType<EndpointAnnotation>()
            .Where(static endpoint => endpoint.AllocatedEndpoint is not null)
            .Select(static endpoint => new UrlSnapshot(endpoint.Name, endpoint.AllocatedEndpoint!.UriString, IsInternal: false)),
    ];

    private void Publish(Func<CustomResourceSnapshot, CustomResourceSnapshot> change) => services.Notifications.Publish(resource, id, change);

    private void LogFailedToStart(Exception exception) => services.Logs.Write(
        resource.Name,
        string.Create(CultureInfo.InvariantCulture, $"Failed to start: {exception.Message}"),
        isError: true);
}

/// <summary>What every instance needs of the application.</summary>
internal sealed record LocalServices(
    IServiceProvider Provider,
    DistributedApplicationExecutionContext Context,
    IDistributedApplicationEventing Eventing,
    ResourceNotificationService Notifications,
    ResourceLoggerService Logs,
    ResourceHealth Health,
    LocalDirectories Directories,
    TimeProvider Time);
