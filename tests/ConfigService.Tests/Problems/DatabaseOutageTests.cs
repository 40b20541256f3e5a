using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.ConfigService.Tests.Problems;

[Trait("Category", "Servers")]
public sealed class DatabaseOutageTests
{
    [Fact]
    public async Task While_PostgreSQL_is_down_every_route_says_503_and_when_to_try_again_and_afterwards_all_is_well()
    {
        await using var postgres = await PostgresServer.StartPrivateAsync();
        await using var nats = await NatsServer.StartAsync();
        await using var service = await ServiceProcess.StartAsync(
            "ConfigService", RunningService.Settings(await postgres.CreateDatabaseAsync(), nats.Url));
        using var http = new HttpClient { BaseAddress = service.HttpUrl };
        await postgres.KillAsync();

        foreach (var path in (string[])["webhooks", "webhooks/1", "connections", "streams", "publish-statistics", "delivery-statistics"])
        {
            using var answer = await http.GetAsync(new Uri($"/api/v1/{path}", UriKind.Relative));
            await IsUnavailableAsync(answer);
        }

        using var body = new StringContent("""{"name":"late","url":"https://example.com"}""", Encoding.UTF8, "application/json");
        using var refused = await http.PostAsync(new Uri("/api/v1/webhooks", UriKind.Relative), body);
        await IsUnavailableAsync(refused);
        Assert.False(service.HasExited);

        await postgres.RestartAsync();
        await Wait.UntilAsync(
            async () =>
            {
                using var retried = new StringContent("""{"name":"late","url":"https://example.com"}""", Encoding.UTF8, "application/json");
                using var answer = await http.PostAsync(new Uri("/api/v1/webhooks", UriKind.Relative), retried);
                return answer.StatusCode == HttpStatusCode.Created;
            },
            "the webhook is registered");
    }

    [Fact]
    public async Task The_role_rule_admin_is_all_it_needs()
    {
        var postgres = await PostgresServer.StartAsync();
        var database = await postgres.CreateDatabaseAsync();
        await using (var owner = NpgsqlDataSource.Create(database))
        {
            await using var grant = owner.CreateCommand("CREATE ROLE config_service LOGIN IN ROLE rule_admin");
            await grant.ExecuteNonQueryAsync();
        }

        await using var nats = await NatsServer.StartAsync();
        var settings = RunningService.Settings(new NpgsqlConnectionStringBuilder(database) { Username = "config_service" }.ConnectionString, nats.Url);
        await using var service = await ServiceProcess.StartAsync("ConfigService", settings);
        using var http = new HttpClient { BaseAddress = service.HttpUrl };
        foreach (var (method, path, json, status) in ((string, string, string?, int)[])
        [
            ("POST", "webhooks", """{"name":"w","url":"https://example.com","tags":["t"]}""", 201),
            ("PATCH", "webhooks/w", """{"description":"d","headers":{"X-A":"1"},"subjectFilter":"events.>"}""", 200),
            ("POST", "webhooks/w/enable-nats", null, 200),
            ("POST", "webhooks/w/disable-nats", null, 200),
            ("PUT", "webhooks/w/secrets/other", """{"value":"v"}""", 204),
            ("POST", "webhooks/w/secrets/signing/rotate", null, 200),
            ("GET", "webhooks/w/secrets", null, 200),
            ("DELETE", "webhooks/w/secrets/other", null, 204),
            ("PUT", "connections/second", """{"url":"nats://nats.invalid","enabled":false}""", 201),
            ("GET", "connections", null, 200),
            ("POST", "streams", """{"name":"S","subjects":["s.>"],"storage":"memory"}""", 201),
            ("GET", "streams", null, 200),
            ("GET", "publish-statistics?webhookId=1", null, 200),
            ("GET", "publish-statistics/webhooks", null, 200),
            ("GET", "publish-statistics/latencies", null, 200),
            ("GET", "publish-statistics/failures", null, 200),
            ("GET", "delivery-statistics", null, 200),
            ("GET", "webhooks?limit=5", null, 200),
            ("DELETE", "webhooks/w", null, 204),
        ])
        {
            using var request = new HttpRequestMessage(HttpMethod.Parse(method), $"/api/v1/{path}")
            {
                Content = json is null ? null : new StringContent(json, Encoding.UTF8, "application/json"),
            };
            using var answer = await http.SendAsync(request);
            Assert.True((int)answer.StatusCode == status, $"{method} {path}: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}\n{service.Output}");
        }
    }

    private static async Task IsUnavailableAsync(HttpResponseMessage answer)
    {
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == HttpStatusCode.ServiceUnavailable, text);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        Assert.True(answer.Headers.RetryAfter?.Delta > TimeSpan.Zero);
        Assert.Equal("database_unavailable", JsonNode.Parse(text)!["code"]!.GetValue<string>());
        Assert.DoesNotContain("127.0.0.1", text, StringComparison.Ordinal);
    }
}
