using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;
using Grpc.Net.Client;
using Npgsql;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.AppHost.Tests;

/// <summary>The whole graph as the AppHost describes it, with two replicas of the publish service and of the worker.</summary>
public sealed class Graph : IAsyncLifetime
{
    internal static readonly string[] Services = ["config-service", "publish-service", "cdc-relay", "delivery-worker", "ingestion-api", "ingestion-worker"];
    private static readonly TimeSpan StartTime = TimeSpan.FromMinutes(3);

    private DistributedApplication? _app;
    private NpgsqlDataSource? _database;
    private WebhookReceiver? _receiver;

    public DistributedApplication App => _app!;

    public NpgsqlDataSource Database => _database!;

    public WebhookReceiver Receiver => _receiver!;

    public async Task InitializeAsync()
    {
        using var limit = new CancellationTokenSource(StartTime);
        var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.AppHost>(
            ["--DataVolumes=false", "--Replicas:publish-service=2", "--Replicas:delivery-worker=2"], limit.Token);
        _app = await builder.BuildAsync(limit.Token);
        await _app.StartAsync(limit.Token);
        foreach (var service in Services)
        {
            await _app.ResourceNotifications.WaitForResourceHealthyAsync(service, limit.Token);
        }

        _database = NpgsqlDataSource.Create((await _app.GetConnectionStringAsync("rules", limit.Token))!);
        _receiver = await WebhookReceiver.StartAsync(limit.Token);
    }

    public GrpcChannel OpenChannel() => GrpcChannel.ForAddress(App.GetEndpoint("publish-service", "grpc"));

    public async Task DisposeAsync()
    {
        if (_receiver is not null)
        {
            await _receiver.DisposeAsync();
        }

        if (_database is not null)
        {
            await _database.DisposeAsync();
        }

        if (_app is not null)
        {
            await _app.DisposeAsync();
        }
    }
}
