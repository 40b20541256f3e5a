using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace RuleEngineNats.Offline.Hosting;

/// <summary>An application put together by a test itself, of shell commands.</summary>
internal static class LocalApp
{
    public static IDistributedApplicationBuilder NewBuilder(params string[] args) => DistributedApplication.CreateBuilder(new DistributedApplicationOptions
    {
        AssemblyName = typeof(Projects.TestAppHost).Assembly.GetName().Name,
        Args = ["--DcpPublisher:RandomizePorts=true", .. args],
        DisableDashboard = true,
        EnableResourceLogging = true,
    });

    public static IResourceBuilder<ExecutableResource> AddShell(this IDistributedApplicationBuilder builder, string name, string script) =>
        builder.AddExecutable(name, "sh", ".", "-c", script);

    public static IResourceBuilder<T> WithHealth<T>(this IResourceBuilder<T> builder, Func<HealthCheckResult> check)
        where T : IResource
    {
        var key = $"{builder.Resource.Name}_test";
        builder.ApplicationBuilder.Services.AddHealthChecks().AddCheck(key, check);
        return builder.WithHealthCheck(key);
    }

    public static async Task<DistributedApplication> StartAsync(this IDistributedApplicationBuilder builder)
    {
        var app = builder.Build();
        await app.StartAsync(Deadline.Token());
        return app;
    }

    public static Task<string> EndOf(this DistributedApplication app, string resource) =>
        app.ResourceNotifications.WaitForResourceAsync(resource, KnownResourceStates.TerminalStates, Deadline.Token());

    public static CustomResourceSnapshot Now(this DistributedApplication app, string resource) =>
        app.ResourceNotifications.TryGetCurrentState(resource, out var state) ? state.Snapshot : throw new InvalidOperationException($"No state of {resource}.");

    public static async Task<string> LogOf(this DistributedApplication app, string resource)
    {
        var text = "";
        await foreach (var lines in app.Services.GetRequiredService<ResourceLoggerService>().GetAllAsync(resource))
        {
            text += string.Join('\n', lines.Select(static line => line.Content));
        }

        return text;
    }
}
