using Aspire.Hosting.Local;
using Microsoft.Extensions.DependencyInjection;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>Starts and stops resources while the application runs.</summary>
public class ResourceCommandService
{
    private readonly IServiceProvider _services;

    internal ResourceCommandService(IServiceProvider services) => _services = services;

    public Task<ExecuteCommandResult> ExecuteCommandAsync(string resourceId, string commandName, CancellationToken cancellationToken = default)
    {
        var orchestrator = _services.GetRequiredService<LocalOrchestrator>();
        var model = _services.GetRequiredService<DistributedApplicationModel>();
        var instances = model.Resources.SelectMany(orchestrator.InstancesOf).ToArray();
        if (Array.Find(instances, instance => instance.Id.Equals(resourceId, StringComparison.OrdinalIgnoreCase)) is { } one)
        {
            return ExecuteAsync(one, commandName, cancellationToken);
        }

        var named = instances.Where(instance => instance.Resource.Name.Equals(resourceId, StringComparison.OrdinalIgnoreCase)).ToArray();
        return named.Length switch
        {
            1 => ExecuteAsync(named[0], commandName, cancellationToken),
            0 => Task.FromResult(CommandResults.Failure($"Resource '{resourceId}' not found.")),
            _ => Task.FromResult(CommandResults.Failure($"Resource '{resourceId}' has several instances; name one of them: {string.Join(", ", named.Select(static instance => instance.Id))}.")),
        };
    }

    public async Task<ExecuteCommandResult> ExecuteCommandAsync(IResource resource, string commandName, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(resource);
        var instances = _services.GetRequiredService<LocalOrchestrator>().InstancesOf(resource);
        if (instances.Count == 0)
        {
            return CommandResults.Failure($"Command '{commandName}' not available for resource '{resource.Name}'.");
        }

        var results = await Task.WhenAll(instances.Select(instance => ExecuteAsync(instance, commandName, cancellationToken))).ConfigureAwait(false);
        var failures = results.Where(static result => !result.Success).Select(static result => result.Message).ToArray();
        return failures.Length == 0 ? CommandResults.Success() : CommandResults.Failure(string.Join(Environment.NewLine, failures));
    }

    private static async Task<ExecuteCommandResult> ExecuteAsync(LocalInstance instance, string command, CancellationToken cancellationToken)
    {
        if (command == KnownResourceCommands.StartCommand)
        {
            return await instance.StartAsync(cancellationToken).ConfigureAwait(false);
        }

        if (command == KnownResourceCommands.StopCommand)
        {
            return await instance.StopAsync(cancellationToken).ConfigureAwait(false);
        }

        if (command == KnownResourceCommands.RestartCommand)
        {
            // One that is not running only needs the second half.
            await instance.StopAsync(cancellationToken).ConfigureAwait(false);
            return await instance.StartAsync(cancellationToken).ConfigureAwait(false);
        }

        return CommandResults.Failure($"Command '{command}' not available for resource '{instance.Resource.Name}'.");
    }
}
