using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;

namespace RuleEngineNats.Offline.Hosting;

/// <summary>The test AppHost with PostgreSQL, NATS, a job and two replicas of a service, started once for a class.</summary>
public sealed class TestGraph : IAsyncLifetime
{
    private DistributedApplication? _app;

    public DistributedApplication App => _app ?? throw new InvalidOperationException("Not started.");

    public async Task InitializeAsync()
    {
        var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.TestAppHost>(Deadline.Token());
        _app = await builder.BuildAsync(Deadline.Token());
        await _app.StartAsync(Deadline.Token());
        await _app.ResourceNotifications.WaitForResourceHealthyAsync("caller", Deadline.Token());
    }

    public async Task DisposeAsync() => await App.DisposeAsync();

    internal IResource Resource(string name) =>
        App.Services.GetRequiredService<DistributedApplicationModel>().Resources.Single(resource => resource.Name == name);

    internal async Task<Dictionary<string, string>> EnvironmentOf(string resource)
    {
        using var client = App.CreateHttpClient(resource, "http");
        return await client.GetFromJsonAsync<Dictionary<string, string>>("/environment", Deadline.Token()) ?? [];
    }

    // Without this a client would keep its one connection, and with it the one replica.
    internal async Task<int> AnsweringProcess(string resource)
    {
        using var handler = new SocketsHttpHandler();
        using var client = new HttpClient(handler) { BaseAddress = App.GetEndpoint(resource, "http") };
        return await client.GetFromJsonAsync<int>("/process", Deadline.Token());
    }
}
