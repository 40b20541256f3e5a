using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace RuleEngineNats.AppHost;

/// <summary>
/// Once every resource is healthy, writes where they are as JSON to the file that the setting <c>EndpointsFile</c> names, and prints it.
/// The file goes when the graph stops. Without the setting it does nothing.
/// </summary>
internal static class EndpointsFile
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static void AddEndpointsFile(
        this IDistributedApplicationBuilder builder,
        IResourceBuilder<PostgresDatabaseResource> rules,
        IResourceBuilder<NatsServerResource> nats,
        IResourceBuilder<ProjectResource> publish,
        IResourceBuilder<ProjectResource> config,
        IResourceBuilder<ProjectResource> ingest,
        bool withDashboard)
    {
        if (builder.Configuration["EndpointsFile"] is not { Length: > 0 } path)
        {
            return;
        }

        var dashboard = withDashboard ? builder.Configuration["ASPNETCORE_URLS"]?.Split(';')[0] : null;
        builder.Services.AddHostedService(services => new Writer(
            services.GetRequiredService<ResourceNotificationService>(),
            builder.Resources.OfType<ProjectResource>().Where(resource => resource.HasAnnotationOfType<HealthCheckAnnotation>()).Select(resource => resource.Name),
            path,
            async cancellationToken => new()
            {
                ["postgres"] = await rules.Resource.UriExpression.GetValueAsync(cancellationToken),
                ["nats"] = await nats.Resource.ConnectionStringExpression.GetValueAsync(cancellationToken),
                ["publish"] = publish.GetEndpoint("grpc").Url,
                ["config"] = config.GetEndpoint("http").Url,
                ["ingest"] = ingest.GetEndpoint("http").Url,
                ["dashboard"] = dashboard,
            }));
    }

    private sealed class Writer(
        ResourceNotificationService resources,
        IEnumerable<string> names,
        string path,
        Func<CancellationToken, Task<Dictionary<string, string?>>> endpoints) : BackgroundService
    {
        protected override async Task ExecuteAsync(CancellationToken stoppingToken)
        {
            foreach (var name in names)
            {
                // One that failed ends the AppHost: the graph will not become whole by waiting.
                await resources.WaitForResourceHealthyAsync(name, WaitBehavior.StopOnResourceUnavailable, stoppingToken);
            }

            var json = JsonSerializer.Serialize(await endpoints(stoppingToken), Indented);
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            // Readers wait for the file to appear: it appears whole.
            await File.WriteAllTextAsync(path + ".new", json, stoppingToken);
            File.Move(path + ".new", path, overwrite: true);
            Console.WriteLine(json);
            await Task.Delay(Timeout.InfiniteTimeSpan, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            File.Delete(path);
        }
    }
}
