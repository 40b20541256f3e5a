using System.Net;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.ConfigService.Tests.Webhooks;

/// <summary>A service with the policy of production, on the database of the others.</summary>
public sealed class GuardedService : IAsyncLifetime
{
    private readonly RunningService _running = new();

    public RunningService Service => _running;

    public Task InitializeAsync() => _running.InitializeAsync([("DOTNET_ENVIRONMENT", "Production"), ("ASPNETCORE_ENVIRONMENT", "Production"), ("Delivery__Egress__AllowedNetworks__0", "10.1.0.0/16")]);

    public Task DisposeAsync() => _running.DisposeAsync();
}

[Trait("Category", "Servers")]
public sealed class EgressTests(GuardedService guarded) : IClassFixture<GuardedService>
{
    private RunningService Service => guarded.Service;

    [Theory]
    [InlineData("http://example.com/", "url_not_allowed: https only")]
    [InlineData("https://example.com:8443/", "url_not_allowed: port")]
    [InlineData("https://127.0.0.1/", "url_not_allowed: address is loopback")]
    [InlineData("https://2130706433/", "url_not_allowed: address is loopback")]
    [InlineData("https://①②⑦.⓪.⓪.①/", "url_not_allowed: host has a character that stands for another")]
    [InlineData("https://[::ffff:10.0.0.1]/", "url_not_allowed: address is private")]
    [InlineData("https://10.2.0.1/", "url_not_allowed: address is private")]
    [InlineData("https://169.254.169.254/latest/meta-data/", "url_not_allowed: address is linklocal")]
    [InlineData("https://[64:ff9b::7f00:1]/", "url_not_allowed: address is translation")]
    [InlineData("https://example.com/#fragment", "url_not_allowed: fragment")]
    public async Task What_the_worker_would_refuse_is_refused_at_registration_at_a_change_and_at_a_test(string url, string reason)
    {
        var (id, _, _) = await Service.RegisterAsync();

        Assert.Equal(reason, (await Service.PostAsync("/api/v1/webhooks", $$"""{"name":"{{RunningService.Unique("egress")}}","url":"{{url}}"}""")).IsProblem(400, "url_not_allowed").Errors()["url"].Message);
        Assert.Equal(reason, (await Service.PatchAsync($"/api/v1/webhooks/{id}", $$"""{"url":"{{url}}"}""")).IsProblem(400, "url_not_allowed").Errors()["url"].Message);
        // SQL, which has no such policy, may have stored it.
        await Service.ScalarAsync<bool>("SELECT rule_webhook_update($1, $2)", id, url);
        Assert.Equal(reason, (await Service.PostAsync($"/api/v1/webhooks/{id}/test", null)).IsProblem(400, "url_not_allowed").Errors()["url"].Message);
        Assert.Equal(0, await Service.ScalarAsync<long>("SELECT count(*) FROM rule_webhook_calls WHERE webhook_id = $1", id));
    }

    [Theory]
    [InlineData("https://example.com/hook?a=b")]
    [InlineData("https://10.1.2.3/")]
    public async Task What_the_policy_allows_is_taken(string url)
        => Assert.Equal(HttpStatusCode.Created, (await Service.PostAsync("/api/v1/webhooks", $$"""{"name":"{{RunningService.Unique("egress")}}","url":"{{url}}"}""")).Status);

    [Fact]
    public async Task A_test_queues_a_call_and_a_webhook_that_is_off_or_unknown_gets_none()
    {
        var (id, name, _) = await Service.RegisterAsync();

        var queued = await Service.PostAsync($"/api/v1/webhooks/{name}/test", null);
        Assert.Equal(HttpStatusCode.Created, queued.Status);
        Assert.Equal(
            """{"type": "test"}|pending""",
            await Service.ScalarAsync<string>("SELECT payload::text || '|' || status FROM rule_webhook_calls WHERE call_id = $1 AND webhook_id = $2", (long)queued.Number("callId"), id));

        await Service.PatchAsync($"/api/v1/webhooks/{id}", """{"enabled":false}""");
        (await Service.PostAsync($"/api/v1/webhooks/{id}/test", null)).IsProblem(409, "conflict");
        (await Service.PostAsync("/api/v1/webhooks/nobody/test", null)).IsProblem(404, "webhook_not_found");
    }

    [Fact]
    public async Task A_policy_that_cannot_be_ends_the_start_and_says_why()
    {
        var settings = RunningService.Settings(Service.Database, Service.Nats.Url);
        settings["Delivery__Egress__AllowedNetworks__0"] = "169.254.0.0/16";
        settings["Delivery__Egress__Proxy"] = "proxy";
        await using var refused = await ServiceProcess.StartAsync("ConfigService", settings, waitUntilReady: false);

        await refused.SaysAsync("Delivery:Egress:Proxy must be http://host:port");
        await refused.SaysAsync("Delivery:Egress:AllowedNetworks: 169.254.0.0/16 is not private");
        await Wait.UntilAsync(() => refused.HasExited, "the service has ended");
    }
}
