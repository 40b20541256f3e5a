using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting.Testing;

/// <summary>The test's application; disposing it stops it first.</summary>
internal sealed class TestApplication(DistributedApplication application) : DistributedApplication(application)
{
    private int _disposed;

    public override async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            await application.StopAsync().ConfigureAwait(false);
            await base.DisposeAsync().ConfigureAwait(false);
        }
    }
}

/// <summary>The entry point's view of the same application: it neither starts nor stops it, but takes part in both.</summary>
internal sealed class EntryPointApplication(DistributedApplication application) : DistributedApplication(application)
{
    private readonly IHostApplicationLifetime _lifetime = application.Services.GetRequiredService<IHostApplicationLifetime>();

    public override Task StartAsync(CancellationToken cancellationToken = default) => When(_lifetime.ApplicationStarted, cancellationToken);

    public override Task StopAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;

    public override Task RunAsync(CancellationToken cancellationToken = default) => When(_lifetime.ApplicationStopped, cancellationToken);

    public override ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static async Task When(CancellationToken happened, CancellationToken cancellationToken)
    {
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = happened.Register(reached.SetResult).ConfigureAwait(false);
        await reached.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
    }
}
