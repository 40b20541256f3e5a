using System.Reflection;
using System.Security.Cryptography;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Eventing;
using Aspire.Hosting.Local;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting;

public class DistributedApplicationBuilder : IDistributedApplicationBuilder
{
    private readonly HostApplicationBuilder _host;

    public DistributedApplicationBuilder(string[] args)
        : this(new DistributedApplicationOptions { Args = args })
    {
    }

    public DistributedApplicationBuilder(DistributedApplicationOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);

        var settings = new HostApplicationBuilderSettings { Args = options.Args };
        BuilderInterception.Current?.Constructing(options, settings);

        AppHostAssembly = FindAppHost(options);
        AppHostDirectory = options.ProjectDirectory ?? Metadata("apphostprojectpath") ?? Directory.GetCurrentDirectory();
        settings.ApplicationName ??= AppHostAssembly?.GetName().Name;
        settings.ContentRootPath ??= Directory.Exists(AppHostDirectory) ? AppHostDirectory : null;
        _host = new HostApplicationBuilder(settings);

        var isPublish = Configuration["operation"]?.Equals("publish", StringComparison.OrdinalIgnoreCase) == true
            || !string.IsNullOrEmpty(Configuration["publisher"] ?? Configuration["Publishing:Publisher"]);
        ExecutionContext = new(isPublish ? DistributedApplicationOperation.Publish : DistributedApplicationOperation.Run);
        UserSecrets = new UserSecrets(AppHostAssembly);

        Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["AppHost:Directory"] = AppHostDirectory,
            ["AppHost:Path"] = AppHostPath,
            ["AppHost:OtlpApiKey"] = Configuration["AppHost:OtlpApiKey"] ?? RandomNumberGenerator.GetHexString(32, lowercase: true),
        });

        AddServices(options);
    }

    public Assembly? AppHostAssembly { get; }

    public string AppHostDirectory { get; }

    public string AppHostPath => Path.Combine(AppHostDirectory, Metadata("apphostprojectname") ?? Environment.ApplicationName);

    public ConfigurationManager Configuration => _host.Configuration;

    public IHostEnvironment Environment => _host.Environment;

    public IServiceCollection Services => _host.Services;

    public IDistributedApplicationEventing Eventing { get; } = new DistributedApplicationEventing();

    public DistributedApplicationExecutionContext ExecutionContext { get; }

    public IResourceCollection Resources { get; } = new ResourceCollection([]);

    internal UserSecrets UserSecrets { get; }

    public IResourceBuilder<T> AddResource<T>(T resource)
        where T : IResource
    {
        ArgumentNullException.ThrowIfNull(resource);
        if (Resources.TryGetByName(resource.Name, out var existing))
        {
            throw new DistributedApplicationException(
                $"Cannot add resource of type '{typeof(T)}' with name '{resource.Name}' because resource of type '{existing.GetType()}' with that name already exists. Resource names are case-insensitive.");
        }

        Resources.Add(resource);
        return CreateResourceBuilder(resource);
    }

    public IResourceBuilder<T> CreateResourceBuilder<T>(T resource)
        where T : IResource
    {
        ArgumentNullException.ThrowIfNull(resource);
        return new ResourceBuilder<T>(this, resource);
    }

    public DistributedApplication Build() => BuilderInterception.Current is { } interception ? interception.Build(this) : BuildHost();

    internal DistributedApplication BuildHost()
    {
        var host = _host.Build();
        ExecutionContext.Provider = host.Services;
        return new DistributedApplication(host);
    }

    private static Assembly? FindAppHost(DistributedApplicationOptions options) =>
        options.AssemblyName is { } name ? Assembly.Load(name) : Assembly.GetEntryAssembly();

    private string? Metadata(string key) => AppHostAssembly?.GetCustomAttributes<AssemblyMetadataAttribute>()
        .FirstOrDefault(attribute => attribute.Key.Equals(key, StringComparison.OrdinalIgnoreCase))?.Value;

    private void AddServices(DistributedApplicationOptions options)
    {
        Services.AddSingleton(options);
        Services.AddSingleton(ExecutionContext);
        Services.AddSingleton(Eventing);
        Services.AddSingleton(_ => new DistributedApplicationModel(Resources));
        Services.AddSingleton(static provider => new ResourceLoggerService(ResourceLoggerService.ShownBy(
            provider.GetRequiredService<DistributedApplicationOptions>(),
            provider.GetRequiredService<IHostEnvironment>(),
            provider.GetRequiredService<ILoggerFactory>(),
            provider.GetRequiredService<IConfiguration>())));
        Services.AddSingleton<ResourceNotificationService>();
        Services.AddSingleton(static provider => new ResourceCommandService(provider));
        Services.AddHealthChecks();

        // Health is asked for one resource at a time; the publisher would run every check of every resource besides.
        Services.Configure<HealthCheckPublisherOptions>(static publisher => publisher.Period = TimeSpan.FromDays(1));
        Services.Configure<HostOptions>(static host => host.ShutdownTimeout = TimeSpan.FromSeconds(60));
        Services.AddSingleton<LocalOrchestrator>();
        Services.AddHostedService(static provider => provider.GetRequiredService<LocalOrchestrator>());

        _host.Logging.AddFilter("Microsoft.Extensions.Diagnostics.HealthChecks", LogLevel.None);
        _host.Logging.AddFilter("System.Net.Http.HttpClient", LogLevel.Warning);
        _host.Logging.AddFilter("Microsoft.Hosting.Lifetime", LogLevel.Warning);
    }
}
