using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Local;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;

namespace Aspire.Hosting;

public static class ProjectResourceBuilderExtensions
{
    public static IResourceBuilder<ProjectResource> AddProject<TProject>(this IDistributedApplicationBuilder builder, [ResourceName] string name)
        where TProject : IProjectMetadata, new() => builder.AddProject<TProject>(name, static _ => { });

    public static IResourceBuilder<ProjectResource> AddProject<TProject>(this IDistributedApplicationBuilder builder, [ResourceName] string name, string? launchProfileName)
        where TProject : IProjectMetadata, new() => builder.AddProject<TProject>(name, Profile(launchProfileName));

    public static IResourceBuilder<ProjectResource> AddProject<TProject>(this IDistributedApplicationBuilder builder, [ResourceName] string name, Action<ProjectResourceOptions> configure)
        where TProject : IProjectMetadata, new() => builder.Add(name, new TProject(), configure);

    public static IResourceBuilder<ProjectResource> AddProject(this IDistributedApplicationBuilder builder, [ResourceName] string name, string projectPath) =>
        builder.AddProject(name, projectPath, static _ => { });

    public static IResourceBuilder<ProjectResource> AddProject(this IDistributedApplicationBuilder builder, [ResourceName] string name, string projectPath, string? launchProfileName) =>
        builder.AddProject(name, projectPath, Profile(launchProfileName));

    public static IResourceBuilder<ProjectResource> AddProject(this IDistributedApplicationBuilder builder, [ResourceName] string name, string projectPath, Action<ProjectResourceOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(projectPath);
        return builder.Add(name, new ProjectAt(Path.GetFullPath(projectPath, builder.AppHostDirectory)), configure);
    }

    public static IResourceBuilder<ProjectResource> WithReplicas(this IResourceBuilder<ProjectResource> builder, int replicas)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(replicas);
        return builder.WithAnnotation(new ReplicaAnnotation(replicas));
    }

    private static Action<ProjectResourceOptions> Profile(string? name) => options =>
    {
        options.ExcludeLaunchProfile = name is null;
        options.LaunchProfileName = name;
    };

    private static IResourceBuilder<ProjectResource> Add(this IDistributedApplicationBuilder builder, string name, IProjectMetadata metadata, Action<ProjectResourceOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(configure);
        var options = new ProjectResourceOptions();
        configure(options);

        var appHostProfile = builder.Configuration["AppHost:DefaultLaunchProfileName"] ?? builder.Configuration["DOTNET_LAUNCH_PROFILE"];
        var project = builder.AddResource(new ProjectResource(name))
            .WithAnnotation(metadata)
            .WithAnnotation(new LaunchProfileChoice(options.LaunchProfileName ?? appHostProfile, options.ExcludeLaunchProfile, isRequired: options.LaunchProfileName is not null))
            .WithTelemetry();

        var settings = Settings(Path.GetDirectoryName(metadata.ProjectPath)!);
        var profile = LaunchProfiles.Effective(project.Resource);
        var kestrel = options.ExcludeKestrelEndpoints ? [] : project.AddKestrelEndpoints(settings);
        if (kestrel.Count > 0)
        {
            // Kestrel's own section replaces every other way of naming addresses, for all endpoints.
            project.WithEnvironment(context => OverrideKestrel(context, project.Resource, kestrel));
        }
        else
        {
            project.WithEnvironment(context => SetUrls(context, project.Resource));
            project.AddProfileEndpoints(profile?.Profile.ApplicationUrl, DefaultsToHttp2(settings));
        }

        return profile is { } chosen ? project.WithEnvironment(context => ApplyProfile(context, chosen.Name, chosen.Profile)) : project;
    }

    private static IResourceBuilder<ProjectResource> WithTelemetry(this IResourceBuilder<ProjectResource> project)
    {
        var configuration = project.ApplicationBuilder.Configuration;
        return project.WithEnvironment(context =>
        {
            var variables = context.EnvironmentVariables;
            var (url, protocol) = OtlpEndpoint.Of(configuration);
            variables["OTEL_DOTNET_EXPERIMENTAL_OTLP_RETRY"] = "in_memory";
            variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = url;
            variables["OTEL_EXPORTER_OTLP_PROTOCOL"] = protocol;
            variables["OTEL_SERVICE_NAME"] = project.Resource.Name;
            variables["OTEL_RESOURCE_ATTRIBUTES"] = $"service.instance.id={LocalReplica.SuffixOf(project.Resource)}";
            if (OtlpEndpoint.HasNoListener(url))
            {
                // Nobody will take it, and by default an exporter tries ten seconds before a stopping process may end.
                variables.TryAdd("OTEL_EXPORTER_OTLP_TIMEOUT", "500");
            }

            if (configuration["AppHost:OtlpApiKey"] is { } key)
            {
                variables["OTEL_EXPORTER_OTLP_HEADERS"] = $"x-otlp-api-key={key}";
            }

            if (project.ApplicationBuilder.Environment.EnvironmentName == "Development")
            {
                variables["OTEL_DOTNET_EXPERIMENTAL_ASPNETCORE_DISABLE_URL_QUERY_REDACTION"] = "true";
                variables["OTEL_DOTNET_EXPERIMENTAL_HTTPCLIENT_DISABLE_URL_QUERY_REDACTION"] = "true";
                variables["OTEL_BLRP_SCHEDULE_DELAY"] = "1000";
                variables["OTEL_BSP_SCHEDULE_DELAY"] = "1000";
                variables["OTEL_METRIC_EXPORT_INTERVAL"] = "1000";
                variables["OTEL_TRACES_SAMPLER"] = "always_on";
                variables["OTEL_METRICS_EXEMPLAR_FILTER"] = "trace_based";
            }

            variables["LOGGING__CONSOLE__FORMATTERNAME"] = "simple";
        });
    }

    private static Dictionary<EndpointAnnotation, string> AddKestrelEndpoints(this IResourceBuilder<ProjectResource> project, IConfiguration settings)
    {
        var hosts = new Dictionary<EndpointAnnotation, string>();
        var configured = settings.GetSection("Kestrel:Endpoints").GetChildren()
            .Where(static endpoint => endpoint["Url"] is not null)
            .Select(static endpoint => (Name: endpoint.Key, Address: BindingAddress.Parse(endpoint["Url"]!), Protocols: endpoint["Protocols"]))
            .GroupBy(static endpoint => endpoint.Address.Scheme);
        foreach (var scheme in configured)
        {
            // Alone of its scheme, an endpoint is called by the scheme, so that others find it without knowing its name.
            var isAlone = scheme.Count() == 1;
            foreach (var (name, address, protocols) in scheme)
            {
                project.WithEndpoint(isAlone ? scheme.Key : name, endpoint =>
                {
                    endpoint.Port = address.Port;
                    endpoint.UriScheme = address.Scheme;
                    endpoint.TargetHost = HostOf(address);
                    if (protocols is null ? DefaultsToHttp2(settings) : protocols == "Http2")
                    {
                        endpoint.Transport = "http2";
                    }

                    hosts[endpoint] = endpoint.TargetHost;
                });
            }
        }

        return hosts;
    }

    private static void AddProfileEndpoints(this IResourceBuilder<ProjectResource> project, string? applicationUrl, bool isHttp2)
    {
        var countByScheme = new Dictionary<string, int>();
        foreach (var url in applicationUrl?.Split(';', StringSplitOptions.RemoveEmptyEntries) ?? [])
        {
            var address = BindingAddress.Parse(url);
            var count = countByScheme[address.Scheme] = countByScheme.GetValueOrDefault(address.Scheme) + 1;
            project.WithEndpoint(count == 1 ? address.Scheme : $"{address.Scheme}{count}", endpoint =>
            {
                endpoint.Port = address.Port;
                endpoint.TargetHost = HostOf(address);
                endpoint.UriScheme = address.Scheme;
                endpoint.FromLaunchProfile = true;
                if (isHttp2)
                {
                    endpoint.Transport = "http2";
                }
            });
        }
    }

    private static void OverrideKestrel(EnvironmentCallbackContext context, ProjectResource project, Dictionary<EndpointAnnotation, string> hosts)
    {
        foreach (var endpoint in project.GetEndpoints())
        {
            var host = hosts.GetValueOrDefault(endpoint.EndpointAnnotation, "*");
            context.EnvironmentVariables[$"Kestrel__Endpoints__{endpoint.EndpointName}__Url"] =
                ReferenceExpression.Create($"{endpoint.Scheme}://{host}:{endpoint.Property(EndpointProperty.TargetPort)}");
        }
    }

    private static void SetUrls(EnvironmentCallbackContext context, ProjectResource project)
    {
        var urls = new ReferenceExpressionBuilder();
        foreach (var endpoint in project.GetEndpoints())
        {
            urls.Append($"{(urls.IsEmpty ? "" : ";")}{endpoint.Scheme}://{endpoint.EndpointAnnotation.TargetHost}:{endpoint.Property(EndpointProperty.TargetPort)}");
            if (endpoint.IsHttps)
            {
                context.EnvironmentVariables.TryAdd("ASPNETCORE_HTTPS_PORT", endpoint.Property(EndpointProperty.Port));
            }
        }

        if (!urls.IsEmpty)
        {
            context.EnvironmentVariables.TryAdd("ASPNETCORE_URLS", urls.Build());
        }
    }

    private static void ApplyProfile(EnvironmentCallbackContext context, string name, LaunchProfile profile)
    {
        context.EnvironmentVariables.TryAdd("DOTNET_LAUNCH_PROFILE", name);
        foreach (var (variable, value) in profile.EnvironmentVariables)
        {
            context.EnvironmentVariables.TryAdd(variable, Environment.ExpandEnvironmentVariables(value));
        }
    }

    private static bool DefaultsToHttp2(IConfiguration settings) => settings["Kestrel:EndpointDefaults:Protocols"] == "Http2";

    private static string HostOf(BindingAddress address) =>
        address.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || address.Host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase) ? "localhost" : address.Host;

    private static IConfigurationRoot Settings(string directory)
    {
        var environment = Environment.GetEnvironmentVariable("ASPNETCORE_ENVIRONMENT") ?? Environment.GetEnvironmentVariable("DOTNET_ENVIRONMENT");
        return new ConfigurationBuilder()
            .AddJsonFile(Path.Combine(directory, "appsettings.json"), optional: true)
            .AddJsonFile(Path.Combine(directory, $"appsettings.{environment}.json"), optional: true)
            .Build();
    }

    private sealed class ProjectAt(string path) : IProjectMetadata
    {
        public string ProjectPath { get; } = path;
    }
}
