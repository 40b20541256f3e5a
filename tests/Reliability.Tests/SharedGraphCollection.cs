using Grpc.Net.Client;
using RuleEngineNats.Contracts.Publishing;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>One graph for the tests that kill nothing; each has webhooks and subjects of its own.</summary>
public sealed class SharedGraph : IAsyncLifetime
{
    private GrpcChannel? _channel;

    public ServiceGraph Graph { get; private set; } = null!;

    public PublishService.PublishServiceClient Publisher { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Graph = await ServiceGraph.StartAsync();
        _channel = GrpcChannel.ForAddress(Graph.Publish.GrpcUrl);
        Publisher = new(_channel);
    }

    public async Task DisposeAsync()
    {
        _channel?.Dispose();
        await Graph.DisposeAsync();
    }
}

/// <summary>The tests that share one graph, one after the other.</summary>
[CollectionDefinition(Name)]
public sealed class SharedGraphCollection : ICollectionFixture<SharedGraph>
{
    public const string Name = "shared graph";
}
