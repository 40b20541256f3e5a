namespace RuleEngineNats.Sql.Tests;

[Trait("Category", "Servers")]
public sealed class DeliverySettingsTests
{
    // For statements that are refused and so change nothing.
    private static readonly Lazy<Task<SqlDatabase>> Untouched = new(() => SqlDatabase.WithWebhookAsync());

    [Fact]
    public async Task What_is_given_changes_and_the_rest_stays()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("""SELECT rule_webhook_configure(1, '{"retry_schedule": [0, 5, 604800], "rate_limit": 2.5, "response_headers_kept": ["x-id"]}')""");
        var settings = await database.ScalarAsync<string>("""SELECT rule_webhook_configure(1, '{"max_concurrency": 4, "disable_after_seconds": null}')::text""");
        Assert.Equal(settings, await database.ScalarAsync<string>("SELECT rule_webhook_settings(1)::text"));
        Assert.Equal("{0,5,604800}|2.5|{x-id}|4|10|", await database.ScalarAsync<string>(
            "SELECT concat_ws('|', retry_schedule, rate_limit, response_headers_kept, max_concurrency, breaker_failures, '') FROM rule_webhooks WHERE disable_after_seconds IS NULL"));
        Assert.Equal("(1,nothing)", await database.ScalarAsync<string>("""SELECT (1, CASE WHEN rule_webhook_configure(1, '{}') = rule_webhook_settings(1) THEN 'nothing' END)::text"""));
    }

    [Fact]
    public async Task Two_paths_have_no_order()
    {
        await using var database = await SqlDatabase.WithWebhookAsync("both");
        var refused = await database.RefusedAsync("""SELECT rule_webhook_configure(1, '{"ordering": "webhook"}')""");
        Assert.Equal("ordering: publish_mode both has two paths and no order; use nats or queue", refused.MessageText);
        await database.ExecuteAsync("""UPDATE rule_webhooks SET publish_mode = 'nats'; SELECT rule_webhook_configure(1, '{"ordering": "webhook"}')""");
        Assert.Equal("22023", (await database.RefusedAsync("UPDATE rule_webhooks SET publish_mode = 'both'")).SqlState);
    }

    [Theory]
    [InlineData("1", "[]", "22023", "p_settings: must be a JSON object")]
    [InlineData("1", "null", "22023", "p_settings: must be a JSON object")]
    [InlineData("2", "{}", "P0002", "Webhook not found: 2")]
    [InlineData("1", """{"colour": 1}""", "22023", "p_settings: there is no setting colour; the settings are ")]
    [InlineData("1", """{"webhook_name": "x"}""", "22023", "p_settings: there is no setting webhook_name; the settings are ")]
    [InlineData("1", """{"max_concurrency": "many"}""", "22023", "max_concurrency: invalid input syntax for type integer")]
    [InlineData("1", """{"max_concurrency": 0}""", "22023", "max_concurrency: 0 is not 1 to 256")]
    [InlineData("1", """{"max_concurrency": null}""", "23502", null)]
    [InlineData("1", """{"rate_limit": 0}""", "22023", "rate_limit: 0 is not 0.01 to 100000")]
    [InlineData("1", """{"rate_burst": 100001}""", "22023", "rate_burst: 100001 is not 1 to 100000")]
    [InlineData("1", """{"breaker_failures": -1}""", "22023", "breaker_failures: -1 is not 0 to 1000")]
    [InlineData("1", """{"breaker_failure_pct": 101}""", "22023", "breaker_failure_pct: 101 is not 1 to 100")]
    [InlineData("1", """{"breaker_probe_seconds": 0}""", "22023", "breaker_probe_seconds: 0 is not 1 to 86400")]
    [InlineData("1", """{"disable_after_seconds": 59}""", "22023", "disable_after_seconds: 59 is not 60 to 31536000")]
    [InlineData("1", """{"recovery_probe_seconds": 0}""", "22023", "recovery_probe_seconds: 0 is not 1 to 86400")]
    [InlineData("1", """{"backlog_threshold": 0}""", "22023", "backlog_threshold: 0 is not 1 to 100000000")]
    [InlineData("1", """{"retry_schedule": []}""", "22023", "retry_schedule: must be 1 to 20 numbers of seconds, each 0 to 604800")]
    [InlineData("1", """{"retry_schedule": [-1]}""", "22023", "retry_schedule: must be 1 to 20 numbers of seconds, each 0 to 604800")]
    [InlineData("1", """{"retry_schedule": [1, null]}""", "22023", "retry_schedule: must be 1 to 20 numbers of seconds, each 0 to 604800")]
    [InlineData("1", """{"response_headers_kept": ["Set-Cookie"]}""", "22023", "response_headers_kept: must be at most 32 header names in lower case, each 1 to 64 characters")]
    [InlineData("1", """{"response_headers_kept": ["set-cookie"]}""", "22023", "response_headers_kept: headers with credentials are not kept")]
    [InlineData("1", """{"ordering": "strict"}""", "22023", "ordering: must be none, webhook or key")]
    [InlineData("1", """{"ordering": "key"}""", "22023", "order_by: must be given with ordering key, and only then")]
    [InlineData("1", """{"order_by": "$.a"}""", "22023", "order_by: must be given with ordering key, and only then")]
    [InlineData("1", """{"ordering": "key", "order_by": "$.a[*]"}""", "22023", "order_by: must be a path such as $.customer.id or $.lines[0].sku, or header:<name>, of at most 255 characters")]
    [InlineData("1", """{"order_on_failure": "cry"}""", "22023", "order_on_failure: must be block, skip or park")]
    [InlineData("1", """{"signature_profile": "Standard"}""", "22023", "signature_profile: must be standard, github, stripe or none")]
    [InlineData("1", """{"signature_profile": null}""", "23502", null)]
    [InlineData("1", """{"auth_type": "digest"}""", "22023", "auth_type: must be none, basic, bearer, oauth2 or mtls")]
    [InlineData("1", """{"auth_type": null}""", "23502", null)]
    public async Task A_setting_that_cannot_be_is_refused_by_its_name(string webhook, string settings, string state, string? message)
    {
        var database = await Untouched.Value;
        var refused = await database.RefusedAsync($"SELECT rule_webhook_configure({webhook}, $1::jsonb)", settings);
        Assert.Equal(state, refused.SqlState);
        Assert.StartsWith(message ?? string.Empty, refused.MessageText, StringComparison.Ordinal);
    }
}
