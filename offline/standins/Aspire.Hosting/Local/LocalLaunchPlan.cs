using System.Globalization;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Local;

/// <summary>Turns a resource of the model into a command: which program, which arguments, which environment.</summary>
internal static class LocalLaunchPlan
{
    public static async Task<LocalCommand> CreateAsync(IResource resource, LocalServices services, CancellationToken cancellationToken)
    {
        var environment = await EnvironmentOf(resource, services, cancellationToken).ConfigureAwait(false);
        var arguments = await ArgumentsOf(resource, services, cancellationToken).ConfigureAwait(false);
        switch (resource)
        {
            case ProjectResource:
                return ProjectProgram.Command(resource, arguments, services.Provider) with { Environment = environment };

            case ExecutableResource executable:
                return new LocalCommand(executable.Command, arguments) { WorkingDirectory = executable.WorkingDirectory, Environment = environment };

            case ContainerResource when resource.Annotations.OfType<LocalRecipeAnnotation>().LastOrDefault() is { } recipe:
                var launch = new LocalLaunch(resource, environment, arguments, services.Logs.GetLogger(resource), services.Directories);
                return await recipe.Prepare(launch, cancellationToken).ConfigureAwait(false);

            default:
                var image = resource.Annotations.OfType<ContainerImageAnnotation>().LastOrDefault();
                throw new DistributedApplicationException(
                    $"Resource '{resource.Name}' needs a container ('{image?.Image}:{image?.Tag}'). The local stand-in for Aspire.Hosting starts processes only: PostgreSQL, NATS, projects and executables.");
        }
    }

    private static async Task<Dictionary<string, string>> EnvironmentOf(IResource resource, LocalServices services, CancellationToken cancellationToken)
    {
        var context = new EnvironmentCallbackContext(services.Context, resource, cancellationToken: cancellationToken) { Logger = services.Logs.GetLogger(resource) };
        foreach (var annotation in resource.Annotations.OfType<EnvironmentCallbackAnnotation>().ToArray())
        {
            await annotation.Callback(context).ConfigureAwait(false);
        }

        var environment = new Dictionary<string, string>();
        foreach (var (name, value) in context.EnvironmentVariables)
        {
            if (await TextOf(value, resource, services, cancellationToken).ConfigureAwait(false) is { } text)
            {
                environment[name] = text;
            }
        }

        return environment;
    }

    private static async Task<List<string>> ArgumentsOf(IResource resource, LocalServices services, CancellationToken cancellationToken)
    {
        var context = new CommandLineArgsCallbackContext([], resource, cancellationToken) { ExecutionContext = services.Context, Logger = services.Logs.GetLogger(resource) };
        foreach (var annotation in resource.Annotations.OfType<CommandLineArgsCallbackAnnotation>().ToArray())
        {
            await annotation.Callback(context).ConfigureAwait(false);
        }

        var arguments = new List<string>();
        foreach (var value in context.Args)
        {
            if (await TextOf(value, resource, services, cancellationToken).ConfigureAwait(false) is { } text)
            {
                arguments.Add(text);
            }
        }

        return arguments;
    }

    private static async ValueTask<string?> TextOf(object? value, IResource resource, LocalServices services, CancellationToken cancellationToken) => value switch
    {
        string text => text,
        IValueProvider provider => await provider.GetValueAsync(new ValueProviderContext { Caller = resource, ExecutionContext = services.Context }, cancellationToken).ConfigureAwait(false),
        IResourceBuilder<IResource> { Resource: IValueProvider provider } => await provider.GetValueAsync(cancellationToken).ConfigureAwait(false),
        _ => Convert.ToString(value, CultureInfo.InvariantCulture),
    };
}
