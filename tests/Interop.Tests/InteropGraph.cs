using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Interop.Tests;

/// <summary>One graph for all tests of this project, and the Node packages.</summary>
public sealed class InteropGraph : IAsyncLifetime
{
    public ServiceGraph Graph { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        await NodePrograms.InstallAsync();
        Graph = await ServiceGraph.StartAsync();
    }

    public async Task DisposeAsync() => await Graph.DisposeAsync();
}
