using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting;

public static partial class ResourceBuilderExtensions
{
    public static IResourceBuilder<TDestination> WithReference<TDestination>(
        this IResourceBuilder<TDestination> builder,
        IResourceBuilder<IResourceWithConnectionString> source,
        string? connectionName = null,
        bool optional = false)
        where TDestination : IResourceWithEnvironment
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(source);
        var resource = source.Resource;
        var name = connectionName ?? resource.Name;
        var prefix = name.Length == 0 ? "" : $"{VariableName(name).ToUpperInvariant()}_";

        builder.WithRelationship(resource, "Reference");
        return builder.WithEnvironment(context =>
        {
            context.EnvironmentVariables[resource.ConnectionStringEnvironmentVariable ?? $"ConnectionStrings__{name}"] = new ConnectionStringReference(resource, optional);
            foreach (var (property, value) in resource.GetConnectionProperties())
            {
                context.EnvironmentVariables[$"{prefix}{property.ToUpperInvariant()}"] = value;
            }
        });
    }

    public static IResourceBuilder<TDestination> WithReference<TDestination>(this IResourceBuilder<TDestination> builder, IResourceBuilder<IResourceWithServiceDiscovery> source)
        where TDestination : IResourceWithEnvironment
    {
        ArgumentNullException.ThrowIfNull(source);
        return builder.WithEndpointsOf(source.Resource, endpointName: null, serviceName: null);
    }

    public static IResourceBuilder<TDestination> WithReference<TDestination>(this IResourceBuilder<TDestination> builder, IResourceBuilder<IResourceWithServiceDiscovery> source, string name)
        where TDestination : IResourceWithEnvironment
    {
        ArgumentNullException.ThrowIfNull(source);
        return builder.WithEndpointsOf(source.Resource, endpointName: null, serviceName: name);
    }

    public static IResourceBuilder<TDestination> WithReference<TDestination>(this IResourceBuilder<TDestination> builder, EndpointReference endpointReference)
        where TDestination : IResourceWithEnvironment
    {
        ArgumentNullException.ThrowIfNull(endpointReference);
        return builder.WithEndpointsOf(endpointReference.Resource, endpointReference.EndpointName, serviceName: null);
    }

    public static IResourceBuilder<TDestination> WithReference<TDestination>(this IResourceBuilder<TDestination> builder, string name, Uri uri)
        where TDestination : IResourceWithEnvironment
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(uri);
        return !uri.IsAbsoluteUri ? throw new InvalidOperationException("The uri for service reference must be absolute.")
            : uri.AbsolutePath != "/" ? throw new InvalidOperationException("The uri absolute path must be \"/\".")
            : builder.WithEnvironment(context =>
            {
                context.EnvironmentVariables[$"services__{name}__default__0"] = uri.ToString();
                context.EnvironmentVariables[VariableName(name)] = uri.ToString();
            });
    }

    public static ReferenceExpression GetConnectionProperty(this IResourceWithConnectionString resource, string key)
    {
        ArgumentNullException.ThrowIfNull(resource);
        return resource.GetConnectionProperties().FirstOrDefault(property => property.Key.Equals(key, StringComparison.OrdinalIgnoreCase)).Value ?? ReferenceExpression.Empty;
    }

    // One annotation for each source, however often it is referenced, so that its endpoints are numbered once.
    private static IResourceBuilder<T> WithEndpointsOf<T>(this IResourceBuilder<T> builder, IResourceWithEndpoints source, string? endpointName, string? serviceName)
        where T : IResourceWithEnvironment
    {
        ArgumentNullException.ThrowIfNull(builder);
        var annotation = builder.Resource.Annotations.OfType<EndpointReferenceAnnotation>().SingleOrDefault(existing => existing.Resource == source);
        if (annotation is null)
        {
            annotation = new EndpointReferenceAnnotation(source);
            builder.WithAnnotation(annotation);
            builder.WithEnvironment(context => InjectEndpoints(context, annotation, serviceName));
        }

        if (endpointName is null)
        {
            annotation.UseAllEndpoints = true;
        }
        else
        {
            annotation.EndpointNames.Add(endpointName);
        }

        return builder.WithRelationship(source, "Reference");
    }

    private static void InjectEndpoints(EnvironmentCallbackContext context, EndpointReferenceAnnotation annotation, string? name)
    {
        var service = name ?? annotation.Resource.Name;
        foreach (var endpoint in annotation.Resource.GetEndpoints())
        {
            if (!annotation.EndpointNames.Contains(endpoint.EndpointName) && (!annotation.UseAllEndpoints || endpoint.ExcludeReferenceEndpoint))
            {
                continue;
            }

            var variable = VariableName(name ?? service.ToUpperInvariant());
            context.EnvironmentVariables[$"{variable}_{VariableName(endpoint.EndpointName).ToUpperInvariant()}"] = endpoint;

            var key = endpoint.IsHttpSchemeNamedEndpoint ? endpoint.Scheme : endpoint.EndpointName;
            var index = 0;
            while (!context.EnvironmentVariables.TryAdd($"services__{service}__{key}__{index}", endpoint))
            {
                index++;
            }
        }
    }

    private static string VariableName(string name)
    {
        var safe = string.Concat(name.Select(static c => char.IsAsciiLetterOrDigit(c) ? c : '_'));
        return safe.Length > 0 && char.IsAsciiDigit(safe[0]) ? "_" + safe : safe;
    }
}
