using System.Net;
using System.Text.Json.Nodes;

namespace RuleEngineNats.ConfigService.Tests.Webhooks;

[Collection(nameof(RunningService))]
[Trait("Category", "Servers")]
public sealed class WebhookTests(RunningService service)
{
    private const string Path = "/api/v1/webhooks";

    [Fact]
    public async Task A_registered_webhook_has_the_defaults_of_the_schema_and_shows_its_signing_secret_once()
    {
        var name = RunningService.Unique("plain");
        var created = await service.PostAsync(Path, $$"""{"name":"{{name}}","url":"https://example.com/in"}""");

        Assert.Equal(HttpStatusCode.Created, created.Status);
        Assert.Equal($"{Path}/{created.Number("id")}", created.Location);
        Assert.Matches("^whsec_[A-Za-z0-9+/]{43}=$", created.Text("signingSecret"));
        Assert.True(created.NotToBeStored);
        Assert.Equal(created.Text("signingSecret"),
            await service.ScalarAsync<string>("SELECT rule_webhook_secret_get($1, 'signing')", created.Number("id")));

        var got = await service.GetAsync($"{Path}/{created.Number("id")}");
        Assert.Equal(HttpStatusCode.OK, got.Status);
        Assert.Null(got.Json["signingSecret"]);
        Assert.Equal(name, got.Text("name"));
        Assert.Equal("POST", got.Text("method"));
        Assert.Equal("queue", got.Text("publishMode"));
        Assert.Equal(5000, got.Number("timeoutMs"));
        Assert.Equal(3, got.Number("maxRetries"));
        Assert.Equal(1000, got.Number("retryDelayMs"));
        Assert.Equal(2, got.Json["retryBackoffMultiplier"]!.GetValue<double>());
        Assert.Equal(86_400, got.Number("deduplicateForSeconds"));
        Assert.True(got.Json["enabled"]!.GetValue<bool>());
        Assert.False(got.Json["natsEnabled"]!.GetValue<bool>());
        Assert.Empty(got.Json["headers"]!.AsObject());
        Assert.Empty(got.Json["tags"]!.AsArray());
    }

    [Fact]
    public async Task A_registration_with_every_field_keeps_every_field()
    {
        var name = RunningService.Unique("full");
        var secret = "whsec_" + Convert.ToBase64String(new byte[32]);
        var created = await service.PostAsync(Path, $$"""
            {
              "name": "{{name}}", "url": "http://127.0.0.1:8080/a?b=c", "method": "put", "description": "two\nlines",
              "headers": {"X-Version": "2", "Authorization": "Bearer hidden-1"}, "timeoutMs": 60000, "retryEnabled": false, "maxRetries": 10,
              "retryDelayMs": 0, "retryBackoffMultiplier": 1.5, "enabled": false, "tags": ["a", "b"], "subjectFilter": "events.*.created",
              "deduplicateForSeconds": null, "signingSecret": "{{secret}}"
            }
            """);

        Assert.Equal(HttpStatusCode.Created, created.Status);
        Assert.Equal(secret, created.Text("signingSecret"));
        var got = (await service.GetAsync($"{Path}/{name}")).Json;
        Assert.Equal("http://127.0.0.1:8080/a?b=c", got["url"]!.GetValue<string>());
        Assert.Equal("PUT", got["method"]!.GetValue<string>());
        Assert.Equal("two\nlines", got["description"]!.GetValue<string>());
        Assert.Equal("2", got["headers"]!["X-Version"]!.GetValue<string>());
        Assert.Equal("***", got["headers"]!["Authorization"]!.GetValue<string>());
        Assert.Equal(60_000, got["timeoutMs"]!.GetValue<int>());
        Assert.False(got["retryEnabled"]!.GetValue<bool>());
        Assert.Equal(10, got["maxRetries"]!.GetValue<int>());
        Assert.Equal(0, got["retryDelayMs"]!.GetValue<int>());
        Assert.Equal(1.5, got["retryBackoffMultiplier"]!.GetValue<double>());
        Assert.False(got["enabled"]!.GetValue<bool>());
        Assert.Equal(["a", "b"], got["tags"]!.AsArray().Select(tag => tag!.GetValue<string>()));
        Assert.Equal("events.*.created", got["subjectFilter"]!.GetValue<string>());
        Assert.Null(got["deduplicateForSeconds"]);
        Assert.Equal("Bearer hidden-1",
            await service.ScalarAsync<string>("SELECT headers->>'Authorization' FROM rule_webhooks WHERE webhook_name = $1", name));
    }

    [Fact]
    public async Task A_webhook_is_found_by_id_and_by_name()
    {
        var (id, name, _) = await service.RegisterAsync();
        var spaced = name + " with space";
        await service.PatchAsync($"{Path}/{id}", $$"""{"name":"{{spaced}}"}""");

        Assert.Equal(id, (await service.GetAsync($"{Path}/{id}")).Number("id"));
        Assert.Equal(id, (await service.GetAsync($"{Path}/{Uri.EscapeDataString(spaced)}")).Number("id"));
        (await service.GetAsync($"{Path}/{name}")).IsProblem(404, "webhook_not_found");
    }

    [Fact]
    public async Task The_list_comes_in_pages_and_can_be_filtered()
    {
        var (first, name, _) = await service.RegisterAsync();
        var (second, _, _) = await service.RegisterAsync();
        var (third, _, _) = await service.RegisterAsync();
        await service.PatchAsync($"{Path}/{second}", """{"enabled":false}""");

        var page = await service.GetAsync($"{Path}?limit=2&after={first - 1}");
        Assert.Equal([first, second], Ids(page));
        Assert.Equal(second, page.Number("next"));
        var last = await service.GetAsync($"{Path}?limit=2&after={second}");
        Assert.Equal([third], Ids(last));
        Assert.Null(last.Json["next"]);
        Assert.Equal([second], Ids(await service.GetAsync($"{Path}?after={first - 1}&enabled=false")));
        Assert.Equal([first, third], Ids(await service.GetAsync($"{Path}?after={first - 1}&enabled=true")));
        Assert.Equal([first], Ids(await service.GetAsync($"{Path}?name={name}")));
        Assert.Empty(Ids(await service.GetAsync($"{Path}?name=no-such-webhook")));
    }

    [Fact]
    public async Task A_patch_changes_what_is_given_and_keeps_the_rest()
    {
        var (id, name, _) = await service.RegisterAsync();
        await service.PatchAsync($"{Path}/{id}", """{"description":"d","headers":{"X-A":"1","X-B":"2"},"subjectFilter":"events.>"}""");
        var patched = await service.PatchAsync($"{Path}/{name}", """
            {"url":"https://example.com/new","method":"delete","timeoutMs":1,"retryEnabled":false,"maxRetries":0,"retryDelayMs":5,
             "retryBackoffMultiplier":3,"tags":["t"],"headers":{"x-a":"3","X-B":null,"X-C":"4"},"description":null,"deduplicateForSeconds":60}
            """);

        Assert.Equal(HttpStatusCode.OK, patched.Status);
        Assert.Equal("https://example.com/new", patched.Text("url"));
        Assert.Equal("DELETE", patched.Text("method"));
        Assert.Null(patched.Json["description"]);
        Assert.Equal("events.>", patched.Text("subjectFilter"));
        Assert.Equal(60, patched.Number("deduplicateForSeconds"));
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse("""{"x-a":"3","X-C":"4"}"""), patched.Json["headers"]));
        Assert.True(JsonNode.DeepEquals(patched.Json, (await service.GetAsync($"{Path}/{id}")).Json));

        var emptied = await service.PatchAsync($"{Path}/{id}", """{"headers":null,"subjectFilter":null}""");
        Assert.Empty(emptied.Json["headers"]!.AsObject());
        Assert.Null(emptied.Json["subjectFilter"]);
        Assert.Equal("https://example.com/new", emptied.Text("url"));
        Assert.Equal(HttpStatusCode.OK, (await service.PatchAsync($"{Path}/{id}", "{}")).Status);
    }

    [Fact]
    public async Task A_merge_patch_media_type_is_taken()
    {
        var (id, _, _) = await service.RegisterAsync();
        var patched = await service.SendAsync(HttpMethod.Patch, $"{Path}/{id}", """{"description":"x"}"""u8.ToArray(), "application/merge-patch+json");
        Assert.Equal("x", patched.Text("description"));
    }

    [Fact]
    public async Task A_deleted_webhook_is_gone_with_its_secrets()
    {
        var (id, name, _) = await service.RegisterAsync();
        Assert.Equal(HttpStatusCode.NoContent, (await service.DeleteAsync($"{Path}/{name}")).Status);
        (await service.GetAsync($"{Path}/{id}")).IsProblem(404, "webhook_not_found");
        (await service.DeleteAsync($"{Path}/{id}")).IsProblem(404, "webhook_not_found");
        Assert.Equal(0, await service.ScalarAsync<long>("SELECT count(*) FROM rule_webhook_secrets WHERE webhook_id = $1", id));
    }

    [Fact]
    public async Task Nats_is_enabled_with_the_default_subject_and_disabled_again()
    {
        var (id, name, _) = await service.RegisterAsync();
        var enabled = await service.PostAsync($"{Path}/{id}/enable-nats", null);
        Assert.Equal(HttpStatusCode.OK, enabled.Status);
        Assert.Empty(enabled.Json["warnings"]!.AsArray());
        var webhook = enabled.Json["webhook"]!;
        Assert.True(webhook["natsEnabled"]!.GetValue<bool>());
        Assert.Equal($"webhooks.{name}", webhook["natsSubject"]!.GetValue<string>());
        Assert.Equal("both", webhook["publishMode"]!.GetValue<string>());
        Assert.Equal("default", webhook["connection"]!.GetValue<string>());

        var disabled = await service.PostAsync($"{Path}/{name}/disable-nats", null);
        Assert.Equal(HttpStatusCode.OK, disabled.Status);
        Assert.False(disabled.Json["natsEnabled"]!.GetValue<bool>());
        Assert.Equal("queue", disabled.Text("publishMode"));
        Assert.Equal($"webhooks.{name}", disabled.Text("natsSubject"));
    }

    [Fact]
    public async Task Enabling_with_a_subject_that_no_stream_takes_warns()
    {
        var (id, _, _) = await service.RegisterAsync();
        var enabled = await service.PostAsync($"{Path}/{id}/enable-nats", """{"subject":"nobody.takes.this","publishMode":"nats","connection":"default"}""");
        Assert.Equal("nobody.takes.this", enabled.Json["webhook"]!["natsSubject"]!.GetValue<string>());
        Assert.Contains("No stream", Assert.Single(enabled.Json["warnings"]!.AsArray())!.GetValue<string>(), StringComparison.Ordinal);
    }

    private static IEnumerable<int> Ids(Answer page) => page.Json["items"]!.AsArray().Select(item => item!["id"]!.GetValue<int>());
}
