using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging.Abstractions;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using Npgsql;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Messaging.Tests;

/// <summary>A configuration is changed in SQL while its connections are in use.</summary>
[Trait("Category", "Servers")]
public sealed class ConfigurationChangeTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(2);

    [Fact]
    public async Task Under_load_a_configuration_moves_to_another_server_and_each_event_is_in_one_of_the_two()
    {
        await using var a = await NatsServer.StartAsync();
        await using var b = await NatsServer.StartAsync();
        await using var service = await Service.StartAsync();
        await service.ConfigureAsync($"SELECT rule_nats_configure('eu', '{a.Url}')");
        await Task.WhenAll(CreateStreamAsync(a), CreateStreamAsync(b));
        await service.ConnectedAsync(a.Url);

        using var stop = new CancellationTokenSource();
        var loads = Enumerable.Range(0, 16).Select(writer => PublishAsync(service, writer, stop.Token)).ToArray();
        await Wait.UntilAsync(async () => await CountAsync(a) > 200, "events come to the first server");
        var old = service.Connections.Get("eu");
        await service.ConfigureAsync($"SELECT rule_nats_configure('eu', '{b.Url}')");
        await service.ConnectedAsync(b.Url);
        await Wait.UntilAsync(async () => await CountAsync(b) > 200, "events come to the second server");
        await stop.CancelAsync();
        var outcomes = (await Task.WhenAll(loads)).SelectMany(load => load).ToArray();

        Assert.All(outcomes, outcome => Assert.IsType<PublishOutcome.Stored>(outcome));
        var ids = (await IdsAsync(a)).Concat(await IdsAsync(b)).ToArray();
        Assert.Equal(outcomes.Length, ids.Length);
        Assert.Equal(outcomes.Length, ids.Distinct().Count());
        await Wait.UntilAsync(() => old.GetStatistics().Connections.Count == 0, "the old connections are closed");
    }

    [Fact]
    public async Task A_publish_that_waits_for_a_server_that_is_away_goes_to_the_one_it_is_moved_to()
    {
        await using var b = await NatsServer.StartAsync();
        await CreateStreamAsync(b);
        await using var service = await Service.StartAsync();
        await service.ConfigureAsync($"SELECT rule_nats_configure('eu', 'nats://127.0.0.1:{Ports.Free()}')");
        await Wait.UntilAsync(async () => await service.ReportAsync("error IS NOT NULL AND NOT connected"), "the error is reported");
        var publish = service.Publisher.PublishAsync(Event("1"), TimeSpan.FromSeconds(30), null, CancellationToken.None).AsTask();
        Assert.False(publish.IsCompleted);

        await service.ConfigureAsync($"SELECT rule_nats_configure('eu', '{b.Url}')");

        Assert.IsType<PublishOutcome.Stored>(await publish.WaitAsync(TimeSpan.FromSeconds(10)));
    }

    [Fact]
    public async Task A_token_and_a_number_of_connections_take_effect_within_two_seconds()
    {
        await using var server = await NatsServer.StartAsync(new NatsServerOptions(Configuration: "authorization { token: canary }"));
        await using var service = await Service.StartAsync();
        await service.ConfigureAsync($"SELECT rule_nats_configure('eu', '{server.Url}', 'token', p_auth_token => 'wrong')");
        await Wait.UntilAsync(async () => await service.ReportAsync("error ILIKE '%authorization%' AND NOT connected"), "the refusal is reported");

        await service.ConfigureAsync($"SELECT rule_nats_configure('eu', '{server.Url}', 'token', p_auth_token => 'canary')");
        await Wait.UntilAsync(async () => await service.ReportAsync("connected AND error IS NULL AND healthy_connections = 2"), "the right token is used", Soon);

        await service.ConfigureAsync($"SELECT rule_nats_configure('eu', '{server.Url}', 'token', p_max_connections => 1)");
        await Wait.UntilAsync(async () => await service.ReportAsync("connected AND total_connections = 1"), "one connection is left", Soon);
        Assert.Equal(1, service.Connections.Get("eu").GetStatistics().MaxConnections);
    }

    [Fact]
    public async Task A_seed_of_the_table_opens_the_server()
    {
        const string Seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
        await using var server = await NatsServer.StartAsync(
            new NatsServerOptions(Configuration: "authorization { users: [ { nkey: UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4 } ] }"));
        await using var service = await Service.StartAsync();
        await service.ConfigureAsync($"SELECT rule_nats_configure('eu', '{server.Url}')");
        await Wait.UntilAsync(async () => await service.ReportAsync("NOT connected AND error IS NOT NULL"), "without a key it is refused");

        await service.ConfigureAsync($"SELECT rule_nats_configure('eu', '{server.Url}', 'nkey', p_auth_nkey_seed => '{Seed}')");
        await Wait.UntilAsync(async () => await service.ReportAsync("connected AND error IS NULL"), "the seed is used", Soon);
    }

    [Fact]
    public async Task Tls_takes_effect_within_two_seconds()
    {
        var folder = Directory.CreateTempSubdirectory("tls-");
        var (certificate, key) = MakeCertificate(folder.FullName);
        await using var server = await NatsServer.StartAsync(
            new NatsServerOptions(Configuration: $$"""tls { cert_file: "{{certificate}}", key_file: "{{key}}" }"""));
        await using var service = await Service.StartAsync();
        await service.ConfigureAsync($"SELECT rule_nats_configure('eu', '{server.Url}', p_tls_enabled => true)");
        await Wait.UntilAsync(async () => await service.ReportAsync("NOT connected AND error IS NOT NULL"), "a certificate that nobody signed is refused");

        await service.ConfigureAsync($"SELECT rule_nats_configure('eu', '{server.Url}', p_tls_ca_file => '{certificate}')");
        await Wait.UntilAsync(async () => await service.ReportAsync("connected AND error IS NULL"), "the authority is known", Soon);
        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task A_disabled_configuration_is_left_and_one_that_gave_up_is_tried_again_when_asked()
    {
        await using var server = await NatsServer.StartAsync();
        await CreateStreamAsync(server);
        await using var service = await Service.StartAsync();
        await service.ConfigureAsync($"SELECT rule_nats_configure('eu', '{server.Url}', p_max_reconnect_attempts => 2, p_reconnect_delay_ms => 10)");
        await service.ConnectedAsync(server.Url);

        await service.ConfigureAsync($"SELECT rule_nats_configure('eu', '{server.Url}', p_enabled => false)");
        await Wait.UntilAsync(async () => await service.CountReportsAsync() == 0, "no report of a disabled configuration is left", Soon);
        var refused = Assert.IsType<PublishOutcome.Unavailable>(await service.Publisher.PublishAsync(Event("1"), CancellationToken.None));
        Assert.Equal("the NATS configuration eu is disabled", refused.Message);

        await service.ConfigureAsync($"SELECT rule_nats_configure('eu', '{server.Url}', p_enabled => true)");
        await service.ConnectedAsync(server.Url);
        await server.KillAsync();
        await Wait.UntilAsync(async () => await service.ReportAsync("error LIKE 'gave up:%'"), "the attempts are used up");
        await server.RestartAsync();
        await service.ConfigureAsync("SELECT rule_nats_init('eu')");
        await Wait.UntilAsync(async () => await service.ReportAsync("connected"), "it is tried again", Soon);
    }

    [Fact]
    public async Task A_report_is_withdrawn_when_the_service_stops()
    {
        await using var server = await NatsServer.StartAsync();
        var service = await Service.StartAsync();
        await service.ConfigureAsync($"SELECT rule_nats_configure('eu', '{server.Url}')");
        await service.ConnectedAsync(server.Url);
        Assert.True(await service.ReportAsync("service_name = 'TestService' AND server_version <> '' AND server_id <> '' AND loaded_at <= reported_at"));
        await using var rules = NpgsqlDataSource.Create(service.Database);

        await service.DisposeAsync();

        await using var left = rules.CreateCommand("SELECT count(*) FROM rule_nats_service_reports");
        Assert.Equal(0L, await left.ExecuteScalarAsync());
    }

    private static EventMessage Event(string id) => Harness.Event(id) with { Config = "eu" };

    private static async Task<List<PublishOutcome>> PublishAsync(Service service, int writer, CancellationToken stop)
    {
        var outcomes = new List<PublishOutcome>();
        while (!stop.IsCancellationRequested)
        {
            outcomes.Add(await service.Publisher.PublishAsync(Event($"{writer}-{outcomes.Count}"), CancellationToken.None));
        }

        return outcomes;
    }

    private static async Task CreateStreamAsync(NatsServer server)
    {
        await using var client = new NatsConnection(NatsOpts.Default with { Url = server.Url });
        await new NatsJSContext(client).CreateStreamAsync(new StreamConfig("EVENTS", ["ev.>"]));
    }

    private static async Task<long> CountAsync(NatsServer server)
    {
        await using var client = new NatsConnection(NatsOpts.Default with { Url = server.Url });
        return (long)(await new NatsJSContext(client).GetStreamAsync("EVENTS")).Info.State.Messages;
    }

    private static async Task<List<string>> IdsAsync(NatsServer server)
    {
        await using var client = new NatsConnection(NatsOpts.Default with { Url = server.Url });
        var context = new NatsJSContext(client);
        var count = (int)(await context.GetStreamAsync("EVENTS")).Info.State.Messages;
        var consumer = await context.CreateOrUpdateConsumerAsync("EVENTS", new ConsumerConfig("reader") { AckPolicy = ConsumerConfigAckPolicy.None });
        var ids = new List<string>();
        await foreach (var message in consumer.FetchAsync<byte[]>(new NatsJSFetchOpts { MaxMsgs = count, Expires = TimeSpan.FromSeconds(20) }))
        {
            ids.Add(message.Headers!["Nats-Msg-Id"].ToString());
        }

        return ids;
    }

    private static (string Certificate, string Key) MakeCertificate(string folder)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        var paths = (Path.Combine(folder, "cert.pem"), Path.Combine(folder, "key.pem"));
        File.WriteAllText(paths.Item1, certificate.ExportCertificatePem());
        File.WriteAllText(paths.Item2, key.ExportPkcs8PrivateKeyPem());
        return paths;
    }

    /// <summary>Messaging as a service has it, following the tables of a database of its own.</summary>
    private sealed class Service : IAsyncDisposable
    {
        private readonly NpgsqlDataSource _rules;
        private readonly ConfigWatcher _watcher;
        private readonly ServiceReports _reports;

        private Service(string database)
        {
            Database = database;
            _rules = NpgsqlDataSource.Create(database);
            // Only a notification can bring a change in time.
            var options = Microsoft.Extensions.Options.Options.Create(new MessagingOptions { ConfigRefresh = TimeSpan.FromHours(1) });
            _watcher = new ConfigWatcher(_rules, new SecretBox(Microsoft.Extensions.Options.Options.Create(new SecretsOptions())), options, TimeProvider.System, NullLogger<ConfigWatcher>.Instance);
            Connections = new NatsConnections(_watcher, new ConfigurationBuilder().Build(), options, TimeProvider.System, NullLoggerFactory.Instance);
            Publisher = new EventPublisher(Connections, new PayloadObjects(Connections, options, TimeProvider.System), options, TimeProvider.System);
            _reports = new ServiceReports(
                Connections, _watcher, _rules, new HostingEnvironment { ApplicationName = "TestService" }, TimeProvider.System, NullLogger<ServiceReports>.Instance);
        }

        public string Database { get; }

        public NatsConnections Connections { get; }

        public EventPublisher Publisher { get; }

        public static async Task<Service> StartAsync()
        {
            var service = new Service(await (await PostgresServer.StartAsync()).CreateDatabaseAsync());
            await service.ConfigureAsync("UPDATE rule_nats_config SET enabled = false");
            await service._watcher.StartAsync(CancellationToken.None);
            await service._reports.StartAsync(CancellationToken.None);
            await service._watcher.WaitForFirstAsync(CancellationToken.None);
            return service;
        }

        public async Task ConfigureAsync(string sql)
        {
            await using var command = _rules.CreateCommand(sql);
            await command.ExecuteNonQueryAsync();
        }

        /// <summary>Whether there is a report about the version of the configuration that is in the table, for which a condition holds.</summary>
        public async Task<bool> ReportAsync(string condition)
        {
            await using var command = _rules.CreateCommand($"""
                SELECT EXISTS (SELECT FROM rule_nats_service_reports r JOIN rule_nats_config c USING (config_name)
                                WHERE config_name = 'eu' AND r.config_updated_at = c.updated_at AND ({condition}))
                """);
            return (bool)(await command.ExecuteScalarAsync())!;
        }

        public async Task<long> CountReportsAsync()
        {
            await using var command = _rules.CreateCommand("SELECT count(*) FROM rule_nats_service_reports WHERE config_name = 'eu'");
            return (long)(await command.ExecuteScalarAsync())!;
        }

        public Task ConnectedAsync(string url)
            => Wait.UntilAsync(() => ReportAsync($"connected AND r.nats_url = '{url}'"), $"connected with {url}", Soon);

        public async ValueTask DisposeAsync()
        {
            await _reports.StopAsync(CancellationToken.None);
            await _watcher.StopAsync(CancellationToken.None);
            await Connections.DisposeAsync();
            _reports.Dispose();
            _watcher.Dispose();
            await _rules.DisposeAsync();
        }
    }
}
