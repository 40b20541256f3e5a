using System.Net;
using System.Text.Json;

namespace RuleEngineNats.ConfigService.Tests.Webhooks;

[Collection(nameof(RunningService))]
[Trait("Category", "Servers")]
public sealed class WebhookRefusalTests(RunningService service)
{
    private const string Path = "/api/v1/webhooks";

    [Fact]
    public async Task A_name_that_exists_is_a_conflict()
    {
        var (_, name, _) = await service.RegisterAsync();
        var problem = (await service.PostAsync(Path, $$"""{"name":"{{name}}","url":"https://example.com"}""")).IsProblem(409, "webhook_exists");
        Assert.Contains("name", problem.Errors().Keys);

        var (other, _, _) = await service.RegisterAsync();
        (await service.PatchAsync($"{Path}/{other}", $$"""{"name":"{{name}}"}""")).IsProblem(409, "webhook_exists");
    }

    [Fact]
    public async Task All_problems_are_reported_at_once()
    {
        var problem = (await service.PostAsync(Path, """
            {"url":"ftp://x","method":"TRACE","timeoutMs":0,"maxRetries":11,"retryDelayMs":-1,"retryBackoffMultiplier":0.5,"retryEnabled":"yes",
             "headers":{"Host":"a","X Y":"b","X-Ok":"c"},"tags":["",null],"subjectFilter":"a..b","deduplicateForSeconds":2592001,
             "signingSecret":"whsec_short","colour":"red"}
            """)).IsProblem(400, "validation_failed");

        var errors = problem.Errors();
        Assert.Equal("required", errors["name"].Code);
        Assert.Equal("url_not_allowed", errors["url"].Code);
        Assert.Equal("invalid_value", errors["method"].Code);
        Assert.Equal(("out_of_range", "must be 1 to 60000", 1), errors["timeoutMs"]);
        Assert.Equal(("out_of_range", "must be 0 to 10", 10), errors["maxRetries"]);
        Assert.Equal("out_of_range", errors["retryDelayMs"].Code);
        Assert.Equal("out_of_range", errors["retryBackoffMultiplier"].Code);
        Assert.Equal("wrong_type", errors["retryEnabled"].Code);
        Assert.Equal("invalid_header", errors["headers[Host]"].Code);
        Assert.Equal("invalid_header", errors["headers[X\\u0020Y]"].Code);
        Assert.Equal("invalid_value", errors["tags[0]"].Code);
        Assert.Equal("wrong_type", errors["tags[1]"].Code);
        Assert.Equal(("invalid_subject", "subject: empty token at byte 2", null), errors["subjectFilter"]);
        Assert.Equal("out_of_range", errors["deduplicateForSeconds"].Code);
        Assert.Equal("invalid_secret", errors["signingSecret"].Code);
        Assert.Equal("unknown_field", errors["colour"].Code);
        Assert.Equal(16, errors.Count);
        Assert.DoesNotContain("whsec_short", problem.Body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "invalid_value")]
    [InlineData("   ", "invalid_value")]
    [InlineData("a\tb", "invalid_value")]
    [InlineData("a\u0007b", "invalid_value")]
    public async Task A_name_that_cannot_be_one_is_refused(string name, string code)
        => (await RegisterAsync(name, "https://example.com")).IsProblem(400, code);

    [Fact]
    public async Task A_name_of_256_characters_is_refused_with_the_limit()
    {
        var errors = (await RegisterAsync(new string('n', 256), "https://example.com")).IsProblem(400, "too_long").Errors();
        Assert.Equal(255, errors["name"].Limit);
        Assert.Equal(HttpStatusCode.Created, (await RegisterAsync(RunningService.Unique(new string('n', 200)), "https://example.com")).Status);
    }

    [Theory]
    [InlineData("", "Must start with")]
    [InlineData("example.com", "Must start with")]
    [InlineData("ftp://example.com/", "Must start with")]
    [InlineData("file:///etc/passwd", "Must start with")]
    [InlineData("gopher://example.com/", "Must start with")]
    [InlineData("//example.com/", "Must start with")]
    [InlineData("HTTP://example.com/", "Must start with")]
    [InlineData("javascript:alert(1)", "Must start with")]
    [InlineData("https://user:pass@example.com/", "user information")]
    [InlineData("http://example.com@127.0.0.1/", "user information")]
    [InlineData("http://example.com\\@127.0.0.1/", "backslash")]
    [InlineData("https://", "no host")]
    [InlineData("https:///path", "no host")]
    [InlineData("https://:80/", "no host")]
    [InlineData("https://example.com/a b", "whitespace")]
    [InlineData("https://example.com/\r\nHost: x", "whitespace")]
    [InlineData("https://example.com/\u007f", "control")]
    [InlineData("https://example.com:99999/", "not valid")]
    [InlineData("https://example.com:0/", "not valid")]
    public async Task A_url_that_is_not_allowed_is_refused_with_the_reason(string url, string reason)
    {
        var problem = (await RegisterAsync(RunningService.Unique("url"), url)).IsProblem(400, "url_not_allowed");
        Assert.Contains(reason, problem.Errors()["url"].Message, StringComparison.Ordinal);
        Assert.DoesNotContain("pass", problem.Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_url_may_have_2048_characters_and_not_one_more()
    {
        var url = "https://example.com/".PadRight(2048, 'p');
        Assert.Equal(HttpStatusCode.Created, (await RegisterAsync(RunningService.Unique("long"), url)).Status);
        var errors = (await RegisterAsync(RunningService.Unique("long"), url + "p")).IsProblem(400, "url_not_allowed").Errors();
        Assert.Equal(2048, errors["url"].Limit);
    }

    // Both edges take and refuse the same: what the service takes the database must not refuse, and the reasons are the same words.
    [Theory]
    [InlineData("ftp://example.com/")]
    [InlineData("https://user:pass@example.com/")]
    [InlineData("https:///path")]
    [InlineData("https://example.com/a b")]
    [InlineData("http://example.com\\@127.0.0.1/")]
    public async Task The_reasons_for_urls_are_those_of_the_SQL_function(string url)
    {
        var error = await Assert.ThrowsAsync<Npgsql.PostgresException>(() => service.ScalarAsync<string>("SELECT rule_webhook_url_check($1)", url));
        var errors = (await RegisterAsync(RunningService.Unique("url"), url)).IsProblem(400, "url_not_allowed").Errors();
        Assert.Equal(error.MessageText, errors["url"].Message);
    }

    [Theory]
    [InlineData("Nats-Msg-Id", "x")]
    [InlineData("Nats-Expected-Last-Sequence", "0")]
    [InlineData("Nats-TTL", "1s")]
    [InlineData("webhook-signature", "v1,x")]
    [InlineData("rule-call-id", "1")]
    [InlineData("ce-id", "x")]
    [InlineData("ce-type", "x")]
    [InlineData("Host", "x")]
    [InlineData("Content-Length", "1")]
    [InlineData("traceparent", "x")]
    [InlineData("X A", "v")]
    [InlineData("X:A", "v")]
    [InlineData("", "v")]
    [InlineData("X-Ü", "v")]
    [InlineData("X-A", "a\nb")]
    [InlineData("X-A", "a\rb")]
    [InlineData("X-A", "ä")]
    [InlineData("X-A", " a")]
    public async Task A_header_that_is_not_allowed_is_refused(string name, string value)
        => (await RegisterAsync(RunningService.Unique("header"), "https://example.com", new() { [name] = value })).IsProblem(400, "invalid_header");

    [Fact]
    public async Task Headers_that_differ_in_case_alone_are_refused()
        => (await RegisterAsync(RunningService.Unique("header"), "https://example.com", new() { ["X-A"] = "1", ["x-a"] = "2" }))
            .IsProblem(400, "invalid_header");

    [Fact]
    public async Task Too_many_headers_are_refused_as_too_large()
    {
        var headers = Enumerable.Range(0, 65).ToDictionary(number => $"X-{number}", _ => "v");
        var errors = (await RegisterAsync(RunningService.Unique("header"), "https://example.com", headers)).IsProblem(413, "too_large").Errors();
        Assert.Equal(64, errors["headers"].Limit);
    }

    [Fact]
    public async Task Nine_kibibytes_of_headers_are_refused_as_too_large()
    {
        var headers = Enumerable.Range(0, 9).ToDictionary(number => $"X-{number}", _ => new string('v', 1024));
        var errors = (await RegisterAsync(RunningService.Unique("header"), "https://example.com", headers)).IsProblem(413, "too_large").Errors();
        Assert.Equal(8192, errors["headers"].Limit);
    }

    [Fact]
    public async Task A_header_that_is_no_string_is_refused()
    {
        var name = RunningService.Unique("header");
        (await service.PostAsync(Path, $$$"""{"name":"{{{name}}}","url":"https://example.com","headers":{"X-A":2}}""")).IsProblem(400, "wrong_type");
        (await service.PostAsync(Path, $$$"""{"name":"{{{name}}}","url":"https://example.com","headers":{"X-A":null}}""")).IsProblem(400, "wrong_type");
    }

    [Fact]
    public async Task The_mark_for_a_hidden_value_does_not_overwrite_it()
    {
        var (id, _, _) = await service.RegisterAsync();
        await service.PatchAsync($"{Path}/{id}", """{"headers":{"X-Api-Key":"hidden-2"}}""");
        (await service.PatchAsync($"{Path}/{id}", """{"headers":{"X-Api-Key":"***"}}""")).IsProblem(400, "redacted_value");
        Assert.Equal("hidden-2", await service.ScalarAsync<string>("SELECT headers->>'X-Api-Key' FROM rule_webhooks WHERE webhook_id = $1", id));
    }

    [Fact]
    public async Task Thirty_three_tags_are_too_many_and_a_tag_of_65_characters_is_too_long()
    {
        var (id, _, _) = await service.RegisterAsync();
        (await service.PatchAsync($"{Path}/{id}", JsonSerializer.Serialize(new { tags = new string[33] }))).IsProblem(413, "too_large");
        (await service.PatchAsync($"{Path}/{id}", JsonSerializer.Serialize(new { tags = new[] { new string('t', 65) } }))).IsProblem(400, "too_long");
    }

    [Fact]
    public async Task A_description_is_bounded_and_has_no_control_characters()
    {
        var (id, _, _) = await service.RegisterAsync();
        var errors = (await service.PatchAsync($"{Path}/{id}", JsonSerializer.Serialize(new { description = new string('d', 2001) })))
            .IsProblem(400, "too_long").Errors();
        Assert.Equal(2000, errors["description"].Limit);
        (await service.PatchAsync($"{Path}/{id}", """{"description":"a\u0001b"}""")).IsProblem(400, "invalid_value");
    }

    [Theory]
    [InlineData("name")]
    [InlineData("url")]
    [InlineData("method")]
    [InlineData("timeoutMs")]
    [InlineData("retryEnabled")]
    [InlineData("maxRetries")]
    [InlineData("retryDelayMs")]
    [InlineData("retryBackoffMultiplier")]
    [InlineData("enabled")]
    [InlineData("tags")]
    public async Task A_patch_cannot_empty_what_must_have_a_value(string field)
    {
        var (id, _, _) = await service.RegisterAsync();
        var errors = (await service.PatchAsync($"{Path}/{id}", $$"""{"{{field}}":null}""")).IsProblem(400, "required").Errors();
        Assert.Equal("required", errors[field].Code);
    }

    [Theory]
    [InlineData("GET", "")]
    [InlineData("PATCH", "")]
    [InlineData("DELETE", "")]
    [InlineData("POST", "/enable-nats")]
    [InlineData("POST", "/disable-nats")]
    [InlineData("GET", "/secrets")]
    [InlineData("PUT", "/secrets/signing")]
    [InlineData("DELETE", "/secrets/signing")]
    [InlineData("POST", "/secrets/signing/rotate")]
    public async Task A_webhook_that_does_not_exist_is_not_found(string method, string route)
    {
        var body = method switch
        {
            "PATCH" => "{}",
            "PUT" => $$"""{"value":"whsec_{{Convert.ToBase64String(new byte[32])}}"}""",
            _ => null,
        };
        foreach (var identifier in (string[])["2147483647", "2147483648", "-1", "0", "no-such-webhook", "%2e%2e%2f"])
        {
            (await service.SendAsync(HttpMethod.Parse(method), $"{Path}/{identifier}{route}", body)).IsProblem(404, "webhook_not_found");
        }
    }

    [Theory]
    [InlineData("limit=0", "limit", "out_of_range")]
    [InlineData("limit=1001", "limit", "out_of_range")]
    [InlineData("limit=ten", "limit", "wrong_type")]
    [InlineData("after=-1", "after", "out_of_range")]
    [InlineData("after=99999999999999999999", "after", "wrong_type")]
    [InlineData("enabled=maybe", "enabled", "wrong_type")]
    public async Task A_list_parameter_out_of_bounds_is_refused(string query, string field, string code)
        => Assert.Equal(code, (await service.GetAsync($"{Path}?{query}")).IsProblem(400, code).Errors()[field].Code);

    [Fact]
    public async Task Enabling_nats_refuses_an_unknown_mode_and_an_unknown_connection()
    {
        var (id, _, _) = await service.RegisterAsync();
        (await service.PostAsync($"{Path}/{id}/enable-nats", """{"publishMode":"BOTH "}""")).IsProblem(400, "invalid_value");
        (await service.PostAsync($"{Path}/{id}/enable-nats", """{"connection":"no-such"}""")).IsProblem(404, "not_found");
        (await service.PostAsync($"{Path}/{id}/enable-nats", """{"subjekt":"a"}""")).IsProblem(400, "unknown_field");
    }

    [Fact]
    public async Task A_name_that_makes_no_subject_cannot_be_enabled_without_one()
    {
        var (id, _, _) = await service.RegisterAsync();
        await service.PatchAsync($"{Path}/{id}", $$"""{"name":"{{RunningService.Unique("a b.*")}}"}""");
        var problem = (await service.PostAsync($"{Path}/{id}/enable-nats", null)).IsProblem(400, "invalid_value");
        Assert.Contains("subject: whitespace at byte", problem.Text("detail"), StringComparison.Ordinal);
    }

    private Task<Answer> RegisterAsync(string name, string url, Dictionary<string, string>? headers = null)
        => service.PostAsync(Path, JsonSerializer.Serialize(new { name, url, headers = headers ?? [] }));
}
