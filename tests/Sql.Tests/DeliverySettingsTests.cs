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
    public async Task A_worker_that_does_not_know_the_turns_gets_no_ordered_calls()
    {
        await using var database = await SqlDatabase.WithWebhookAsync("queue");
        await database.ExecuteAsync("SELECT rule_webhook_enqueue(1, '{}')");
        await database.ExecuteAsync("""SELECT rule_webhook_configure(1, '{"ordering": "webhook"}')""");
        await database.ExecuteAsync("SELECT rule_webhook_enqueue(1, '{}')");
        Assert.Equal("1:", await database.ScalarAsync<string>("SELECT string_agg(call_id || ':' || coalesce(order_key, ''), ',') FROM rule_webhook_claim('worker')"));
    }

    [Fact]
    public async Task Only_a_webhook_that_is_off_is_probed_with_what_was_given_up()
    {
        await using var database = await SqlDatabase.WithWebhookAsync("queue");
        await database.ExecuteAsync("SELECT rule_webhook_enqueue(1, '{}')");
        await database.ExecuteAsync("UPDATE rule_webhook_calls SET status = 'failed', completed_at = now()");
        await database.ExecuteAsync("INSERT INTO rule_webhook_health (webhook_id, circuit, next_probe_at) VALUES (1, 'open', now())");
        Assert.Equal(1, await database.ScalarAsync<int>("SELECT rule_webhook_take_probes('{1}')"));
        Assert.Equal("failed", await database.ScalarAsync<string>("SELECT status FROM rule_webhook_calls"));

        await database.ExecuteAsync("SELECT rule_webhook_disable(1, 'days of failures', 'failures')");
        await database.ExecuteAsync("UPDATE rule_webhook_health SET next_probe_at = now()");
        Assert.Equal(1, await database.ScalarAsync<int>("SELECT rule_webhook_take_probes('{1}')"));
        Assert.Equal("pending", await database.ScalarAsync<string>("SELECT status FROM rule_webhook_calls"));
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
    [InlineData("1", """{"content_encoding": "br"}""", "22023", "content_encoding: must be identity or gzip")]
    [InlineData("1", """{"content_encoding": null}""", "23502", null)]
    [InlineData("1", """{"cloudevents_mode": "batched"}""", "22023", "cloudevents_mode: must be binary or structured")]
    [InlineData("1", """{"cloudevents_mode": null}""", "23502", null)]
    [InlineData("1", """{"payload_template": 1}""", "22023", "payload_template: must be an object, an array or a string")]
    [InlineData("1", """{"payload_template": true}""", "22023", "payload_template: must be an object, an array or a string")]
    [InlineData("1", """{"payload_template": {"a": ["{{b}}", "é {{a b}}"]}}""", "22023", "payload_template: no placeholder at character 3 of /a/1")]
    [InlineData("1", """{"payload_template": "{{}}"}""", "22023", "payload_template: no placeholder at character 1 of the text")]
    [InlineData("1", """{"payload_template": "{{a"}""", "22023", "payload_template: no placeholder at character 1 of the text")]
    [InlineData("1", """{"payload_template": "{{a}} {{$subjects}}"}""", "22023", "payload_template: no placeholder at character 7 of the text")]
    [InlineData("1", """{"payload_template": "{{$id.a}}"}""", "22023", "payload_template: no placeholder at character 1 of the text")]
    [InlineData("1", """{"payload_template": "{{a[-1]}}"}""", "22023", "payload_template: no placeholder at character 1 of the text")]
    [InlineData("1", """{"payload_template": "{{a | upper}}"}""", "22023", "payload_template: no placeholder at character 1 of the text")]
    [InlineData("1", """{"payload_template": {"x": {"{{a}}": 1}}}""", "22023", "payload_template: a name has a placeholder at /x/{{a}}")]
    [InlineData("1", """{"content_filter": ""}""", "22023", "content_filter: invalid input syntax for type jsonpath")]
    [InlineData("1", """{"content_filter": "$.a >"}""", "22023", "content_filter: syntax error")]
    [InlineData("1", """{"content_filter": "$.a like_regex \"(\""}""", "22023", "content_filter: invalid regular expression")]
    [InlineData("1", """{"content_filter": "@.a == 1"}""", "22023", "content_filter: @ is not allowed in root expressions")]
    [InlineData("1", """{"content_filter": "true"}""", "22023", "content_filter: must be a path from $, or conditions of such paths")]
    [InlineData("1", """{"content_filter": "($.a > 1) ? (@ == true)"}""", "22023", "content_filter: must be a path from $, or conditions of such paths")]
    [InlineData("1", """{"content_filter": "strict $.a"}""", "22023", "content_filter: strict mode is not supported")]
    [InlineData("1", """{"content_filter": "$.*"}""", "22023", "content_filter: .* is not supported")]
    [InlineData("1", """{"content_filter": "$.**.a"}""", "22023", "content_filter: .** is not supported")]
    [InlineData("1", """{"content_filter": "$.a.size() > 1"}""", "22023", "content_filter: .size() is not supported")]
    [InlineData("1", """{"content_filter": "$x > 1"}""", "22023", "content_filter: a variable is not supported")]
    [InlineData("1", """{"content_filter": "($.a == 1) is unknown"}""", "22023", "content_filter: is unknown is not supported")]
    [InlineData("1", """{"content_filter": "$.a[last] == 1"}""", "22023", "content_filter: last is not supported")]
    [InlineData("1", """{"content_filter": "$.a[0 to 2] == 1"}""", "22023", "content_filter: an index that is not one number is not supported")]
    [InlineData("1", """{"content_filter": "$.a + 1 > 2"}""", "22023", "content_filter: arithmetic is not supported")]
    [InlineData("1", """{"content_filter": "-$.a > 2"}""", "22023", "content_filter: arithmetic is not supported")]
    [InlineData("1", """{"content_filter": "$.a like_regex \"a\" flag \"q\""}""", "22023", "content_filter: like_regex has the flags i, m and s here")]
    [InlineData("1", """{"content_filter": "$.a like_regex \"é\" flag \"i\""}""", "22023", "content_filter: with the flag i a pattern of like_regex has ASCII characters only")]
    [InlineData("1", """{"content_filter": "$.a like_regex \"(?=a)\""}""", "22023", "content_filter: the pattern of like_regex uses more than ")]
    [InlineData("1", """{"content_filter": "$.a like_regex \"a{250}b{250}c{250}d{250}e{2}\""}""", "22023", "content_filter: the repetitions in a pattern of like_regex add up to more than 1000")]
    public async Task A_setting_that_cannot_be_is_refused_by_its_name(string webhook, string settings, string state, string? message)
    {
        var database = await Untouched.Value;
        var refused = await database.RefusedAsync($"SELECT rule_webhook_configure({webhook}, $1::jsonb)", settings);
        Assert.Equal(state, refused.SqlState);
        Assert.StartsWith(message ?? string.Empty, refused.MessageText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_template_or_filter_that_is_too_large_is_refused_with_its_limit()
    {
        var database = await Untouched.Value;
        foreach (var (settings, message) in new[]
        {
            ("jsonb_build_object('payload_template', repeat('x', 65535))", "payload_template: 65537 bytes, at most 65536"),
            ("jsonb_build_object('payload_template', repeat('{{a}}', 257))", "payload_template: more than 256 placeholders"),
            ("jsonb_build_object('payload_template', (repeat('[', 33) || repeat(']', 33))::jsonb)", "payload_template: deeper than 32 levels"),
            ("jsonb_build_object('content_filter', '$.a == \"' || repeat('x', 8192) || '\"')", "content_filter: 8201 bytes, at most 8192"),
            ("jsonb_build_object('content_filter', '$.a == \"' || repeat('x', 8180) || '\"')", "content_filter: 8193 bytes when written out, at most 8192"),
            ("jsonb_build_object('content_filter', '$.a == 1e20000')", "content_filter: 20012 bytes when written out, at most 8192"),
            ("jsonb_build_object('content_filter', repeat('!(', 400) || '$.a == 1' || repeat(')', 400))", "content_filter: must be a path from $, or conditions of such paths, with at most 250 levels"),
            ("jsonb_build_object('content_filter', '$.a like_regex \"' || repeat('\\\\w', 91) || '\"')", "content_filter: a pattern of like_regex has 1 to 1000 characters"),
        })
        {
            var refused = await database.RefusedAsync($"SELECT rule_webhook_configure(1, {settings})");
            Assert.Equal(("22023", message), (refused.SqlState, refused.MessageText));
        }
    }

    [Fact]
    public async Task A_filter_is_kept_as_PostgreSQL_prints_it_whoever_writes_it()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("""UPDATE rule_webhooks SET content_filter = '$.a>1  &&  exists( $."b c"[ 0 ] ? (@.x <> "y").d )'""");
        Assert.Equal("""($."a" > 1 && exists ($."b c"[0]?(@."x" != "y")."d"))""", await database.ScalarAsync<string>("SELECT rule_webhook_settings(1) ->> 'content_filter'"));
        Assert.Equal("22023", (await database.RefusedAsync("UPDATE rule_webhooks SET payload_template = 'null'")).SqlState);
    }

    [Fact]
    public async Task An_operator_can_ask_whether_a_webhook_would_be_sent_an_event()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("""SELECT rule_webhook_configure(1, '{"content_filter": "$.amount > 100"}')""");
        Assert.Equal("t|f|f|f", await database.ScalarAsync<string>("""
            SELECT concat_ws('|', rule_webhook_matches(1, 'webhooks.orders', '{"amount": 100.5}'), rule_webhook_matches(1, 'webhooks.orders', '{"amount": "101"}'),
                                  rule_webhook_matches(1, 'webhooks.others', '{"amount": 101}'), rule_webhook_matches(1, 'webhooks.orders', null))
            """));
        await database.ExecuteAsync("""UPDATE rule_webhooks SET content_filter = '$.tags[*] ? (@ == "vip")', subject_filter = 'webhooks.>'""");
        Assert.Equal("t|f", await database.ScalarAsync<string>("""
            SELECT concat_ws('|', rule_webhook_matches(1, 'webhooks.others', '{"tags": ["new", "vip"]}'), rule_webhook_matches(1, 'webhooks.orders', '{"tags": []}'))
            """));
        await database.ExecuteAsync("UPDATE rule_webhooks SET enabled = false");
        Assert.False(await database.ScalarAsync<bool>("""SELECT rule_webhook_matches(1, 'webhooks.others', '{"tags": "vip"}')"""));
        Assert.Equal("P0002", (await database.RefusedAsync("SELECT rule_webhook_matches(2, 'a', '{}')")).SqlState);
        Assert.Equal("22023", (await database.RefusedAsync("SELECT rule_webhook_matches(1, 'a b', '{}')")).SqlState);
    }

    [Fact]
    public async Task What_a_filter_keeps_from_a_webhook_is_not_queued_for_it_under_both()
    {
        await using var database = await SqlDatabase.WithWebhookAsync("both");
        await database.ExecuteAsync("""SELECT rule_webhook_configure(1, '{"content_filter": "$.amount > 100"}')""");
        Assert.Equal("t|f", await database.ScalarAsync<string>("""
            SELECT concat_ws('|', (a -> 'nats') ? 'publish_id', a ? 'queue') FROM rule_webhook_call_unified(1, '{"amount": 5}') a
            """));
        Assert.Equal("t|t", await database.ScalarAsync<string>("""
            SELECT concat_ws('|', (a -> 'nats') ? 'publish_id', a ? 'queue') FROM rule_webhook_call_unified(1, '{"amount": 500}', 'id-1') a
            """));
        Assert.Equal("1|2|1", await database.ScalarAsync<string>(
            "SELECT concat_ws('|', (SELECT count(*) FROM rule_webhook_calls), (SELECT count(*) FROM rule_nats_publish_history), (SELECT count(call_id) FROM rule_nats_publish_history))"));
        // Queued for this very webhook by name: the subscription's filter has no say.
        await database.ExecuteAsync("""SELECT rule_webhook_enqueue(1, '{"amount": 5}')""");
        Assert.Equal(2, await database.ScalarAsync<long>("SELECT count(*) FROM rule_webhook_calls"));
    }
}
