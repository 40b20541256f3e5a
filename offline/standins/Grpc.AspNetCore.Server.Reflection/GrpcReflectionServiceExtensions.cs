using System.Reflection;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Grpc.Reflection;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection.Extensions;
using ProtoServiceDescriptor = Google.Protobuf.Reflection.ServiceDescriptor;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds what <c>MapGrpcReflectionService</c> needs.</summary>
public static class GrpcReflectionServiceExtensions
{
    public static IServiceCollection AddGrpcReflection(this IServiceCollection services)
    {
        ArgumentNullException.ThrowIfNull(services);

        // Resolved on the first call, when every service is mapped.
        services.TryAddSingleton(static provider => new MappedGrpcServices(provider.GetRequiredService<EndpointDataSource>()));
        services.TryAddSingleton(static provider => new ReflectionServiceImpl(provider.GetRequiredService<MappedGrpcServices>().Descriptors));
        services.TryAddSingleton(static provider => new ReflectionV1ServiceImpl(provider.GetRequiredService<MappedGrpcServices>().Descriptors));
        return services;
    }
}

internal sealed class MappedGrpcServices(EndpointDataSource endpoints)
{
    public IReadOnlyList<ProtoServiceDescriptor> Descriptors { get; } =
    [
        .. endpoints.Endpoints
            .Select(static endpoint => endpoint.Metadata.GetMetadata<GrpcMethodMetadata>()?.ServiceType)
            .OfType<Type>()
            .Distinct()
            .Select(DescriptorOf)
            .OfType<ProtoServiceDescriptor>(),
    ];

    // Generated code marks the service's base class with the type that holds its descriptor.
    private static ProtoServiceDescriptor? DescriptorOf(Type service)
    {
        for (var type = service; type is not null; type = type.BaseType)
        {
            if (type.GetCustomAttribute<BindServiceMethodAttribute>(inherit: false) is { } bind)
            {
                return bind.BindType.GetProperty("Descriptor", BindingFlags.Public | BindingFlags.Static)?.GetValue(null) as ProtoServiceDescriptor;
            }
        }

        return null;
    }
}
