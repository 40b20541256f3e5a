using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.ConfigService.Tests.Connections;

[Collection(nameof(RunningService))]
[Trait("Category", "Servers")]
public sealed class ConnectionTests(RunningService service)
{
    private const string Path = "/api/v1/connections";

    [Fact]
    public async Task The_default_connection_shows_both_urls()
    {
        var found = await service.GetAsync($"{Path}/default");
        Assert.Equal(HttpStatusCode.OK, found.Status);
        Assert.Equal("nats://localhost:4222", found.Text("url"));
        Assert.Equal(service.Nats.Url, found.Text("effectiveUrl"));
        Assert.Equal("WEBHOOKS", found.Text("streamName"));
        Assert.Equal("webhooks", found.Text("subjectPrefix"));
        var listed = (await service.GetAsync(Path)).Json["items"]!.AsArray().Single(item => item!["name"]!.GetValue<string>() == "default");
        Assert.True(JsonNode.DeepEquals(found.Json, listed));
    }

    [Fact]
    public async Task A_connection_is_made_with_defaults_and_replaced()
    {
        var name = RunningService.Unique("conn");
        var made = await service.PutAsync($"{Path}/{name}", """{"url":"nats://nats.invalid:4222","enabled":false}""");
        Assert.Equal(HttpStatusCode.Created, made.Status);
        Assert.Equal($"{Path}/{name}", made.Location);
        Assert.Equal("none", made.Text("authType"));
        Assert.Equal(10, made.Number("maxConnections"));
        Assert.Equal(-1, made.Number("maxReconnectAttempts"));
        Assert.Equal("nats://nats.invalid:4222", made.Text("effectiveUrl"));

        var replaced = await service.PutAsync($"{Path}/{name}", """
            {"url":"tls://nats.invalid:4222","clusterUrls":["tls://b.invalid","tls://c.invalid:4333"],"authType":"credentials","credentialsFile":"/etc/nats.creds",
             "tlsEnabled":true,"tlsCertFile":"/c.pem","tlsKeyFile":"/k.pem","tlsCaFile":"/ca.pem","maxConnections":3,"connectionTimeoutMs":100,
             "reconnectDelayMs":0,"maxReconnectAttempts":5,"jetStreamEnabled":false,"streamName":"OTHER","subjectPrefix":"other.prefix","enabled":false}
            """);
        Assert.Equal(HttpStatusCode.OK, replaced.Status);
        Assert.Equal(made.Number("id"), replaced.Number("id"));
        Assert.Equal(["tls://b.invalid", "tls://c.invalid:4333"], replaced.Json["clusterUrls"]!.AsArray().Select(url => url!.GetValue<string>()));
        Assert.Equal("/etc/nats.creds", replaced.Text("credentialsFile"));
        Assert.Equal(("/c.pem", "/k.pem", "/ca.pem"), (replaced.Text("tlsCertFile"), replaced.Text("tlsKeyFile"), replaced.Text("tlsCaFile")));
        Assert.Equal((3, 100, 0, 5), (replaced.Number("maxConnections"), replaced.Number("connectionTimeoutMs"), replaced.Number("reconnectDelayMs"), replaced.Number("maxReconnectAttempts")));
        Assert.False(replaced.Json["jetStreamEnabled"]!.GetValue<bool>());
        Assert.Equal(("OTHER", "other.prefix"), (replaced.Text("streamName"), replaced.Text("subjectPrefix")));
        Assert.True(JsonNode.DeepEquals(replaced.Json, (await service.GetAsync($"{Path}/{name}")).Json));

        // What a PUT leaves out has its default again.
        var plain = await service.PutAsync($"{Path}/{name}", """{"url":"nats://nats.invalid:4222","enabled":false}""");
        Assert.Equal(("WEBHOOKS", 10), (plain.Text("streamName"), plain.Number("maxConnections")));
        Assert.Null(plain.Json["credentialsFile"]);
        Assert.Empty(plain.Json["clusterUrls"]!.AsArray());
    }

    [Fact]
    public async Task An_unknown_connection_is_not_found()
    {
        (await service.GetAsync($"{Path}/no-such")).IsProblem(404, "connection_not_found");
        (await service.GetAsync($"{Path}/no-such/health")).IsProblem(404, "connection_not_found");
    }

    [Fact]
    public async Task The_health_of_a_connection_is_what_the_services_report()
    {
        await Wait.UntilAsync(async () => (await service.GetAsync($"{Path}/default/health")).Json["services"]!.AsArray().Count == 1, "this service has reported");
        var health = await service.GetAsync($"{Path}/default/health");
        Assert.Equal((HttpStatusCode.OK, "application/json"), (health.Status, health.MediaType));
        var report = health.Json["services"]![0]!;
        Assert.Equal("ConfigService", report["service"]!.GetValue<string>());
        Assert.True(report["connected"]!.GetValue<bool>());
        Assert.True(report["current"]!.GetValue<bool>());
        Assert.Equal(service.Nats.Url, report["nats_url"]!.GetValue<string>());
        Assert.Equal("2.", report["server_version"]!.GetValue<string>()[..2]);
    }

    [Theory]
    [InlineData("")]
    [InlineData("http://nats.invalid")]
    [InlineData("nats.invalid:4222")]
    [InlineData("nats://user:password@nats.invalid")]
    [InlineData("nats://token@nats.invalid")]
    [InlineData("nats://a b")]
    [InlineData("nats://a,nats://b")]
    [InlineData("nats://")]
    [InlineData("nats://nats.invalid:99999")]
    [InlineData("nats://nats.invalid\r\n")]
    public async Task A_NATS_url_that_is_not_allowed_is_refused(string url)
    {
        var body = JsonSerializer.Serialize(new { url, clusterUrls = new[] { "nats://fine.invalid", url } });
        var problem = (await service.PutAsync($"{Path}/refused", body)).IsProblem(400, "validation_failed");
        Assert.Equal("url_not_allowed", problem.Errors()["url"].Code);
        Assert.Equal("url_not_allowed", problem.Errors()["clusterUrls[1]"].Code);
        Assert.DoesNotContain("password", problem.Body, StringComparison.Ordinal);
        (await service.GetAsync($"{Path}/refused")).IsProblem(404, "connection_not_found");
    }

    [Fact]
    public async Task All_problems_of_a_connection_are_reported_at_once()
    {
        var errors = (await service.PutAsync($"{Path}/a%20b", """
            {"authType":"password","maxConnections":0,"connectionTimeoutMs":0,"reconnectDelayMs":-1,"maxReconnectAttempts":-2,"streamName":"A.B",
             "credentialsFile":"a\nb","tlsCertFile":"/c.pem","tlsEnabled":1,"authToken":"x"}
            """)).IsProblem(400, "validation_failed").Errors();
        Assert.Equal("invalid_value", errors["name"].Code);
        Assert.Equal("required", errors["url"].Code);
        Assert.Equal("invalid_value", errors["authType"].Code);
        Assert.Equal("out_of_range", errors["maxConnections"].Code);
        Assert.Equal("out_of_range", errors["connectionTimeoutMs"].Code);
        Assert.Equal("out_of_range", errors["reconnectDelayMs"].Code);
        Assert.Equal("out_of_range", errors["maxReconnectAttempts"].Code);
        Assert.Equal("invalid_stream_name", errors["streamName"].Code);
        Assert.Equal("invalid_value", errors["credentialsFile"].Code);
        Assert.Equal("invalid_value", errors["tlsKeyFile"].Code);
        Assert.Equal("wrong_type", errors["tlsEnabled"].Code);
        Assert.Equal("unknown_field", errors["authToken"].Code);
    }

    [Fact]
    public async Task Seventeen_cluster_urls_are_too_many()
    {
        var body = JsonSerializer.Serialize(new { url = "nats://a.invalid", clusterUrls = Enumerable.Repeat("nats://b.invalid", 17) });
        Assert.Equal(16, (await service.PutAsync($"{Path}/refused", body)).IsProblem(413, "too_large").Errors()["clusterUrls"].Limit);
    }
}
