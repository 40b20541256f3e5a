using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Nats;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Aspire.Hosting;

public static class NatsBuilderExtensions
{
    public static IResourceBuilder<NatsServerResource> AddNats(this IDistributedApplicationBuilder builder, [ResourceName] string name, int? port) =>
        builder.AddNats(name, port, userName: null, password: null);

    public static IResourceBuilder<NatsServerResource> AddNats(
        this IDistributedApplicationBuilder builder,
        [ResourceName] string name,
        int? port = null,
        IResourceBuilder<ParameterResource>? userName = null,
        IResourceBuilder<ParameterResource>? password = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var passwordParameter = password?.Resource ?? ParameterResourceBuilderExtensions.CreateDefaultPasswordParameter(builder, $"{name}-password", special: false);
        var server = new NatsServerResource(name, userName?.Resource, passwordParameter);
        var key = $"{name}_check";
        builder.Services.AddHealthChecks().Add(new HealthCheckRegistration(key, new PingNats(server), failureStatus: default, tags: default));
        return builder.AddResource(server)
            .WithEndpoint(targetPort: StartNats.ClientPort, port: port, name: "tcp")
            .WithImage("library/nats", "2.14")
            .WithHealthCheck(key)
            .WithLocalRecipe(new StartNats(server).PrepareAsync);
    }

    public static IResourceBuilder<NatsServerResource> WithJetStream(this IResourceBuilder<NatsServerResource> builder) => builder.WithArgs("-js");

    public static IResourceBuilder<NatsServerResource> WithDataVolume(this IResourceBuilder<NatsServerResource> builder, string? name = null, bool isReadOnly = false)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.WithVolume(name ?? VolumeName.For(builder, "data"), StartNats.DataDirectory, isReadOnly).WithArgs("-sd", StartNats.DataDirectory);
    }

    public static IResourceBuilder<NatsServerResource> WithDataBindMount(this IResourceBuilder<NatsServerResource> builder, string source, bool isReadOnly = false) =>
        builder.WithBindMount(source, StartNats.DataDirectory, isReadOnly).WithArgs("-sd", StartNats.DataDirectory);
}
