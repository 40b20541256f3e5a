namespace RuleEngineNats.IngestionApi.Tests;

/// <summary>One service for all tests that leave it as it was.</summary>
public sealed class SharedService : IAsyncLifetime
{
    public IngestionService Api { get; private set; } = null!;

    public async Task InitializeAsync() => Api = await IngestionService.StartAsync();

    public async Task DisposeAsync() => await Api.DisposeAsync();
}

[CollectionDefinition(nameof(SharedService))]
public sealed class SharedServiceCollection : ICollectionFixture<SharedService>;
