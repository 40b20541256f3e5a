using System.Reflection;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Eventing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting;

/// <summary>Collects the resources of an application.</summary>
public interface IDistributedApplicationBuilder
{
    public ConfigurationManager Configuration { get; }

    public string AppHostDirectory { get; }

    public Assembly? AppHostAssembly { get; }

    public IHostEnvironment Environment { get; }

    public IServiceCollection Services { get; }

    public IDistributedApplicationEventing Eventing { get; }

    public DistributedApplicationExecutionContext ExecutionContext { get; }

    public IResourceCollection Resources { get; }

    public IResourceBuilder<T> AddResource<T>(T resource)
        where T : IResource;

    public IResourceBuilder<T> CreateResourceBuilder<T>(T resource)
        where T : IResource;

    public DistributedApplication Build();
}

public sealed class DistributedApplicationOptions
{
    public string[]? Args { get; set; }

    public string? AssemblyName { get; set; }

    public string? ProjectDirectory { get; set; }

    public string? DashboardApplicationName { get; set; }

    public bool DisableDashboard { get; set; }

    public bool AllowUnsecuredTransport { get; set; }

    /// <summary>Sends the resources' output to the AppHost's loggers instead of its console.</summary>
    public bool EnableResourceLogging { get; set; }
}

public static class DistributedApplicationBuilderExtensions
{
    public static IResourceBuilder<T> CreateResourceBuilder<T>(this IDistributedApplicationBuilder builder, string name)
        where T : IResource
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(name);
        return !builder.Resources.TryGetByName(name, out var resource)
            ? throw new InvalidOperationException($"Resource with name '{name}' was not found.")
            : resource is T typed
                ? builder.CreateResourceBuilder(typed)
                : throw new InvalidOperationException($"Resource with name '{name}' is not of type '{typeof(T)}'.");
    }
}
