using System.Collections.Concurrent;
using System.Collections.Immutable;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Eventing;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Aspire.Hosting.Local;

/// <summary>Runs a resource's health checks while it runs, and says once when it is ready.</summary>
internal sealed class ResourceHealth(
    HealthCheckService checks,
    ResourceNotificationService notifications,
    ResourceLoggerService logs,
    IDistributedApplicationEventing eventing,
    IServiceProvider provider)
{
    // Often until it is healthy, since others wait for that; seldom afterwards.
    private static readonly TimeSpan WhileStarting = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan WhileHealthy = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<IResource, Lazy<Task>> _ready = new();

    public static ImmutableArray<HealthReportSnapshot> Unknown(IResource resource) =>
        [.. Keys(resource).Select(static key => new HealthReportSnapshot(key, Status: null, Description: null, ExceptionText: null))];

    public async Task WatchAsync(IResource resource, string id, int index, CancellationToken cancellationToken)
    {
        LocalReplica.Enter(resource, index);
        var keys = Keys(resource);
        HealthStatus? before = null;
        try
        {
            while (true)
            {
                var status = keys.Count == 0 ? HealthStatus.Healthy : await CheckAsync(resource, id, keys, cancellationToken).ConfigureAwait(false);
                if (status == HealthStatus.Healthy && before != HealthStatus.Healthy)
                {
                    notifications.Publish(resource, id, snapshot => snapshot with { Ready = snapshot.Ready ?? RaiseReady(resource, cancellationToken) });
                }
                else if (before == HealthStatus.Healthy && status != HealthStatus.Healthy)
                {
                    logs.Write(resource.Name, $"Resource '{id}' is no longer healthy.", isError: true);
                }

                if (keys.Count == 0)
                {
                    return;
                }

                before = status;
                await Task.Delay(status == HealthStatus.Healthy ? WhileHealthy : WhileStarting, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Its process ended: the next start is another readiness.
            _ready.TryRemove(resource, out _);
        }
    }

    private static HashSet<string> Keys(IResource resource) => [.. resource.Annotations.OfType<HealthCheckAnnotation>().Select(static check => check.Key)];

    private async Task<HealthStatus> CheckAsync(IResource resource, string id, HashSet<string> keys, CancellationToken cancellationToken)
    {
        var report = await checks.CheckHealthAsync(registration => keys.Contains(registration.Name), cancellationToken).ConfigureAwait(false);
        var missing = keys.Except(report.Entries.Keys).Select(static key =>
            new HealthReportSnapshot(key, HealthStatus.Unhealthy, $"No health check is registered as '{key}'.", null));
        ImmutableArray<HealthReportSnapshot> reports =
        [
            .. report.Entries.Select(static entry => new HealthReportSnapshot(entry.Key, entry.Value.Status, entry.Value.Description, entry.Value.Exception?.ToString())),
            .. missing,
        ];
        cancellationToken.ThrowIfCancellationRequested();
        notifications.Publish(resource, id, snapshot => snapshot with { HealthReports = reports });
        return reports.Min(static entry => entry.Status ?? HealthStatus.Unhealthy);
    }

    private Task RaiseReady(IResource resource, CancellationToken cancellationToken) =>
        _ready.GetOrAdd(resource, _ => new Lazy<Task>(() => Task.Run(
            async () =>
            {
                try
                {
                    await eventing.PublishAsync(new ResourceReadyEvent(resource, provider), cancellationToken).ConfigureAwait(false);
                }
                catch (Exception exception) when (exception is not OperationCanceledException)
                {
                    logs.Write(resource.Name, $"A handler of ResourceReadyEvent failed: {exception.Message}", isError: true);
                    throw;
                }
            },
            CancellationToken.None))).Value;
}
