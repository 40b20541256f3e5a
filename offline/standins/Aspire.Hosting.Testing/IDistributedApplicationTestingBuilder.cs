namespace Aspire.Hosting.Testing;

/// <summary>The builder of an AppHost that waits in its <c>Build</c> until the test has changed what it wants to.</summary>
public interface IDistributedApplicationTestingBuilder : IDistributedApplicationBuilder, IAsyncDisposable, IDisposable
{
    public Task<DistributedApplication> BuildAsync(CancellationToken cancellationToken = default);
}
