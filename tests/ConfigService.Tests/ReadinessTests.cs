using System.Net;
using NATS.Client.Core;
using NATS.Client.JetStream;
using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.ConfigService.Tests;

[Trait("Category", "Servers")]
public sealed class ReadinessTests
{
    [Fact]
    public async Task Is_not_ready_and_names_NATS_until_NATS_is_there_and_the_streams_exist()
    {
        var postgres = await PostgresServer.StartAsync();
        var database = await postgres.CreateDatabaseAsync();
        await using var nats = await NatsServer.StartAsync();
        await nats.KillAsync();
        await using var service = await ServiceProcess.StartAsync("ConfigService", RunningService.Settings(database, nats.Url), waitUntilReady: false);
        using var http = new HttpClient { BaseAddress = service.HttpUrl };

        await Wait.UntilAsync(async () => (await service.HealthAsync()) is (503, var body) && body.Contains("NATS: stream WEBHOOKS", StringComparison.Ordinal),
            "readiness names NATS");
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync(new Uri("/health/live", UriKind.Relative))).StatusCode);
        // Configuring needs PostgreSQL alone.
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync(new Uri("/api/v1/streams", UriKind.Relative))).StatusCode);

        await nats.RestartAsync();
        await service.ReadyAsync();
        await using var rules = NpgsqlDataSource.Create(database);
        await using var command = rules.CreateCommand("SELECT server_state FROM rule_nats_streams WHERE stream_name = 'WEBHOOKS'");
        Assert.Equal("created", await command.ExecuteScalarAsync());

        await nats.KillAsync();
        await Wait.UntilAsync(async () => (await service.HealthAsync()) is (503, var body) && body.Contains("nats", StringComparison.Ordinal),
            "readiness names NATS again");
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync(new Uri("/api/v1/webhooks", UriKind.Relative))).StatusCode);
        await nats.RestartAsync();
        await service.ReadyAsync();
    }

    [Fact]
    public async Task Is_not_ready_and_names_PostgreSQL_until_PostgreSQL_is_there()
    {
        await using var postgres = await PostgresServer.StartPrivateAsync();
        var database = await postgres.CreateDatabaseAsync();
        await postgres.KillAsync();
        await using var nats = await NatsServer.StartAsync();
        await using var service = await ServiceProcess.StartAsync("ConfigService", RunningService.Settings(database, nats.Url), waitUntilReady: false);

        await Wait.UntilAsync(async () => (await service.HealthAsync()) is (503, var body) && body.Contains("PostgreSQL", StringComparison.Ordinal),
            "readiness names PostgreSQL");
        await postgres.RestartAsync();
        await service.ReadyAsync();
    }

    [Fact]
    public async Task A_stream_that_somebody_deleted_comes_back_with_time_alone()
    {
        var postgres = await PostgresServer.StartAsync();
        await using var nats = await NatsServer.StartAsync();
        var settings = RunningService.Settings(await postgres.CreateDatabaseAsync(), nats.Url);
        settings["ConfigService__ProvisionEvery"] = "00:00:01";
        settings["Messaging__ConfigRefresh"] = "00:30:00";
        await using var service = await ServiceProcess.StartAsync("ConfigService", settings);
        await using var connection = new NatsConnection(NatsOpts.Default with { Url = nats.Url });
        var jetStream = new NatsJSContext(connection);
        (await jetStream.PublishAsync("events.x", "{}"u8.ToArray())).EnsureSuccess();

        await jetStream.DeleteStreamAsync("WEBHOOKS");
        await Wait.UntilAsync(async () => (await jetStream.GetStreamAsync("WEBHOOKS")).Info.State.Messages == 0, "the stream is made again");
    }

    [Fact]
    public async Task A_termination_signal_ends_it_in_order()
    {
        var postgres = await PostgresServer.StartAsync();
        await using var nats = await NatsServer.StartAsync();
        await using var service = await ServiceProcess.StartAsync(
            "ConfigService", RunningService.Settings(await postgres.CreateDatabaseAsync(), nats.Url));

        Assert.Equal(0, await service.TerminateAsync());
    }
}
