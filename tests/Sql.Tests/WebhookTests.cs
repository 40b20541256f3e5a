using System.Text.Json;

namespace RuleEngineNats.Sql.Tests;

[Trait("Category", "Servers")]
public sealed class WebhookTests
{
    // For statements that are refused and so change nothing.
    private static readonly Lazy<Task<SqlDatabase>> Untouched = new(() => SqlDatabase.CreateAsync());

    [Fact]
    public async Task A_registered_webhook_has_the_defaults_and_a_signing_secret_of_its_own()
    {
        await using var database = await SqlDatabase.CreateAsync();
        Assert.Equal(1, await database.ScalarAsync<int>("SELECT rule_webhook_register('one', 'https://example.com/', 'put')"));
        Assert.Equal(2, await database.ScalarAsync<int>("SELECT rule_webhook_register(p_name => 'two', p_url => 'http://localhost:8080/x?y=1')"));
        Assert.Equal("PUT|{}|5000|3|1000|2.0|t|queue|24:00:00", await database.ScalarAsync<string>("""
            SELECT concat_ws('|', method, headers, timeout_ms, max_retries, retry_delay_ms, retry_backoff_multiplier, enabled, publish_mode, deduplicate_for)
              FROM rule_webhooks WHERE webhook_id = 1
            """));
        var secrets = await database.ScalarAsync<string[]>("SELECT array_agg(rule_webhook_secret_get(w, 'signing')) FROM generate_series(1, 2) w");
        Assert.All(secrets, secret => Assert.Equal(32, Convert.FromBase64String(secret["whsec_".Length..]).Length));
        Assert.NotEqual(secrets[0], secrets[1]);
        Assert.Equal("23505", (await database.RefusedAsync("SELECT rule_webhook_register('one', 'https://example.com/')")).SqlState);
    }

    [Theory]
    [InlineData("rule_webhook_register('x', 'ftp://example.com/')", "22023", "Invalid URL format. Must start with http:// or https://")]
    [InlineData("rule_webhook_register('x', '//example.com/')", "22023", "Invalid URL format. Must start with http:// or https://")]
    [InlineData("rule_webhook_register('x', NULL)", "22023", "Invalid URL format. Must start with http:// or https://")]
    [InlineData("rule_webhook_register('x', 'https://user:pass@example.com/')", "22023", "url_not_allowed: user information in the URL")]
    [InlineData("rule_webhook_register('x', 'http://example.com@127.0.0.1/')", "22023", "url_not_allowed: user information in the URL")]
    [InlineData("rule_webhook_register('x', E'https://example.com/\\r\\nHost: x')", "22023", "url_not_allowed: whitespace, control character or backslash")]
    [InlineData("rule_webhook_register('x', 'https://example.com/' || repeat('a', 2048))", "22023", "url_not_allowed: longer than 2048 characters")]
    [InlineData("rule_webhook_register('x', 'https:///path')", "22023", "url_not_allowed: no host")]
    [InlineData("rule_webhook_register(' ', 'https://example.com/')", "22023", "webhook_name must have 1 to 255 characters and no control character")]
    [InlineData("rule_webhook_register(E'a\\nb', 'https://example.com/')", "22023", "webhook_name must have 1 to 255 characters and no control character")]
    [InlineData("rule_webhook_register('x', 'https://example.com/', 'TRACE')", "23514", null)]
    [InlineData("rule_webhook_register('x', 'https://example.com/', p_timeout_ms => 0)", "23514", null)]
    [InlineData("rule_webhook_register('x', 'https://example.com/', p_max_retries => 11)", "23514", null)]
    [InlineData("rule_webhook_register('x', 'https://example.com/', 'POST', '{\"Host\": \"x\"}')", "22023", "headers[Host]: reserved header")]
    [InlineData("rule_webhook_register('x', 'https://example.com/', 'POST', '{\"webhook-signature\": \"v1,x\"}')", "22023", "headers[webhook-signature]: reserved header")]
    [InlineData("rule_webhook_register('x', 'https://example.com/', 'POST', '{\"Nats-Msg-Id\": \"x\"}')", "22023", "headers[Nats-Msg-Id]: reserved header")]
    [InlineData("rule_webhook_register('x', 'https://example.com/', 'POST', '{\"X\": \"a\\nb\"}')", "22023", "headers[X]: character that is not printable ASCII, or a space at an end")]
    [InlineData("rule_webhook_register('x', 'https://example.com/', 'POST', '{\"X\": \"a\", \"x\": \"b\"}')", "22023", "headers[x]: given twice; names that differ in case alone are the same header")]
    [InlineData("rule_webhook_register('x', 'https://example.com/', 'POST', '{\"X A\": \"a\"}')", "22023", "headers[\"X A\"]: no header name")]
    [InlineData("rule_webhook_register('x', 'https://example.com/', 'POST', '[]')", "22023", "headers: must be a JSON object of strings")]
    [InlineData("rule_webhook_register('x', 'https://example.com/', 'POST', jsonb_build_object('X', repeat('a', 9000)))", "54000", "headers: more than 64 or larger than 8192 bytes")]
    public async Task What_must_not_be_an_endpoint_is_refused(string call, string state, string? message)
    {
        var database = await Untouched.Value;
        var refusal = await database.RefusedAsync($"SELECT {call}");
        Assert.Equal(state, refusal.SqlState);
        Assert.True(message is null || message == refusal.MessageText, refusal.MessageText);
        Assert.False(await database.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM rule_webhooks)"));
    }

    [Fact]
    public async Task An_update_keeps_what_is_null_and_checks_what_is_given()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT rule_webhook_register('one', 'https://example.com/')");
        Assert.True(await database.ScalarAsync<bool>("SELECT rule_webhook_update(1, p_method => 'patch', p_enabled => false)"));
        Assert.Equal("https://example.com/|PATCH|f", await database.ScalarAsync<string>("SELECT concat_ws('|', url, method, enabled) FROM rule_webhooks"));
        Assert.False(await database.ScalarAsync<bool>("SELECT rule_webhook_update(99, p_enabled => true)"));
        Assert.Equal("22023", (await database.RefusedAsync("SELECT rule_webhook_update(1, 'javascript:alert(1)')")).SqlState);
        Assert.Equal("22023", (await database.RefusedAsync("UPDATE rule_webhooks SET url = 'file:///etc/passwd'")).SqlState);
    }

    [Fact]
    public async Task A_webhook_is_found_by_id_first_and_then_by_name()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT rule_webhook_register('2', 'https://example.com/first')");
        await database.ExecuteAsync("SELECT rule_webhook_register('other', 'https://example.com/second')");
        Assert.Equal("https://example.com/second", await database.ScalarAsync<string>("SELECT rule_webhook_get('2') ->> 'url'"));
        Assert.Equal("https://example.com/second", await database.ScalarAsync<string>("SELECT rule_webhook_get('other') ->> 'url'"));
        Assert.Equal("{\"error\" : \"Webhook not found\"}", await database.ScalarAsync<string>("SELECT rule_webhook_get('99999999999999999999')::text"));
        Assert.Equal("other,2", await database.ScalarAsync<string>("SELECT string_agg(webhook_name, ',') FROM rule_webhook_list()"));
        await database.ExecuteAsync("SELECT rule_webhook_disable(2, 'answered 410')");
        Assert.Equal("2", await database.ScalarAsync<string>("SELECT string_agg(webhook_name, ',') FROM rule_webhook_list(true)"));
        Assert.Equal("answered 410", await database.ScalarAsync<string>("SELECT disabled_reason FROM rule_webhooks WHERE webhook_id = 2"));
    }

    [Theory]
    [InlineData("signing", "secret", false)]
    [InlineData("signing", "whsec_", false)]
    [InlineData("signing", "whsec_c2hvcnQ=", false)]
    [InlineData("signing", "whsec_!!!!", false)]
    [InlineData("signing", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true)]
    [InlineData("signing", "whsk_", false)]
    [InlineData("signing", "whsk_!!!!", false)]
    [InlineData("signing", "whsk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false)]
    [InlineData("signing", "whpk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", false)]
    [InlineData("signing", "whsk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", true)]
    [InlineData("signing", "whsk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", true)]
    [InlineData("auth", "user:password", true)]
    [InlineData("api_key", "anything at all", true)]
    [InlineData("api key", "x", false)]
    [InlineData("api_key", "", false)]
    public async Task A_signing_secret_must_be_one_of_Standard_Webhooks(string name, string value, bool accepted)
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT rule_webhook_register('one', 'https://example.com/')");
        if (accepted)
        {
            Assert.True(await database.ScalarAsync<bool>("SELECT rule_webhook_secret_set(1, $1, $2)", name, value));
            Assert.Equal(value, await database.ScalarAsync<string>("SELECT rule_webhook_secret_get(1, $1)", name));
            Assert.True(await database.ScalarAsync<bool>("SELECT rule_webhook_secret_delete(1, $1)", name));
            Assert.Null(await database.ScalarAsync<string>("SELECT rule_webhook_secret_get(1, $1)", name));
        }
        else
        {
            var refusal = await database.RefusedAsync("SELECT rule_webhook_secret_set(1, $1, $2)", name, value);
            Assert.Equal("22023", refusal.SqlState);
            Assert.True(value.Length == 0 || !refusal.ToString().Contains($"'{value}'", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Retries_follow_the_schedule_and_keep_the_real_error()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT rule_webhook_register('one', 'https://example.com/')");
        await database.ExecuteAsync("""SELECT rule_webhook_configure(1, '{"retry_schedule": [1, 2, 4]}')""");
        var call = await database.ScalarAsync<long>("SELECT rule_webhook_enqueue(1, '{\"a\": 1}', 'a rule')");
        foreach (var seconds in (int[])[1, 2, 4])
        {
            await database.ExecuteAsync("UPDATE rule_webhook_calls SET next_retry_at = now() - interval '1 second' WHERE status = 'retrying'");
            Assert.Equal(1L, await database.ScalarAsync<long>("SELECT count(*) FROM rule_webhook_claim('worker')"));
            await database.ExecuteAsync("UPDATE rule_webhook_calls SET error_message = '503 from upstream'");
            Assert.True(await database.ScalarAsync<bool>("SELECT rule_webhook_retry($1)", call));
            Assert.True(await database.ScalarAsync<bool>("SELECT rule_webhook_retry($1)", call)); // Twice is once.
            Assert.True(await database.ScalarAsync<bool>(
                "SELECT next_retry_at - now() BETWEEN make_interval(secs => $1 - 1) AND make_interval(secs => $1) AND due_at = next_retry_at FROM rule_webhook_calls", (double)seconds));
        }

        await database.ExecuteAsync("UPDATE rule_webhook_calls SET next_retry_at = now() - interval '1 second'");
        await database.ExecuteAsync("SELECT count(*) FROM rule_webhook_claim('worker')");
        Assert.False(await database.ScalarAsync<bool>("SELECT rule_webhook_retry($1)", call));
        Assert.False(await database.ScalarAsync<bool>("SELECT rule_webhook_retry($1)", call));
        Assert.Equal(
            "failed|Max retries exceeded: 503 from upstream|3|4|t",
            await database.ScalarAsync<string>("SELECT concat_ws('|', status, error_message, retry_count, attempts, due_at IS NULL) FROM rule_webhook_calls"));
        Assert.Equal("Call not found: 99", (await database.RefusedAsync("SELECT rule_webhook_retry(99)")).MessageText);
    }

    [Theory]
    [InlineData("", "00:00:05,00:05:00,00:30:00,02:00:00,05:00:00,10:00:00,14:00:00,20:00:00,24:00:00")]
    [InlineData("retry_delay_ms = 2000", "00:00:02,00:00:04,00:00:08")]
    [InlineData("max_retries = 4", "00:00:01,00:00:02,00:00:04,00:00:08")]
    [InlineData("retry_backoff_multiplier = 1", "00:00:01,00:00:01,00:00:01")]
    [InlineData("max_retries = 0", "")]
    [InlineData("retry_enabled = false, retry_schedule = '{1}'", "")]
    [InlineData("retry_schedule = '{7,0}', max_retries = 9", "00:00:07,00:00:00")]
    public async Task The_schedule_is_the_webhooks_own_or_upstreams_where_a_retry_argument_says_so_or_that_of_Standard_Webhooks(string change, string delays)
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT rule_webhook_register('one', 'https://example.com/')");
        if (change.Length > 0)
        {
            await database.ExecuteAsync($"UPDATE rule_webhooks SET {change}");
        }

        Assert.Equal(delays, await database.ScalarAsync<string>("SELECT array_to_string(rule_webhook_retry_delays(w), ',') FROM rule_webhooks w"));
    }

    [Theory]
    [InlineData("status = 'success'", false, "success")]
    [InlineData("status = 'failed'", true, "retrying")]
    [InlineData("status = 'pending'", true, "pending")]
    public async Task Only_a_call_that_failed_or_is_being_tried_is_retried(string state, bool answer, string after)
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT rule_webhook_register('one', 'https://example.com/')");
        await database.ExecuteAsync("SELECT rule_webhook_enqueue(1, '{}')");
        await database.ExecuteAsync($"UPDATE rule_webhook_calls SET {state}");
        Assert.Equal(answer, await database.ScalarAsync<bool>("SELECT rule_webhook_retry(1)"));
        Assert.Equal(after, await database.ScalarAsync<string>("SELECT status FROM rule_webhook_calls"));
    }

    [Fact]
    public async Task With_retries_switched_off_a_failed_attempt_ends_the_call_and_huge_delays_are_capped()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT rule_webhook_register('one', 'https://example.com/')");
        await database.ExecuteAsync("UPDATE rule_webhooks SET retry_enabled = false");
        await database.ExecuteAsync("SELECT rule_webhook_enqueue(1, '{}')");
        await database.ExecuteAsync("SELECT rule_webhook_claim('worker')");
        Assert.False(await database.ScalarAsync<bool>("SELECT rule_webhook_retry(1)"));
        Assert.Equal("failed", await database.ScalarAsync<string>("SELECT status FROM rule_webhook_calls"));
        Assert.Equal(TimeSpan.FromHours(24), await database.ScalarAsync<TimeSpan>("SELECT rule_webhook_retry_delay(2147483647, 1000000, 10)"));
    }

    [Fact]
    public async Task A_claim_leases_what_is_due_to_one_worker_until_the_lease_ends()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT rule_webhook_register('one', 'https://example.com/')");
        await database.ExecuteAsync("SELECT rule_webhook_enqueue(1, to_jsonb(i)) FROM generate_series(1, 20) i");
        await database.ExecuteAsync("SELECT rule_webhook_enqueue(1, '\"later\"', NULL, now() + interval '1 hour')");
        const string Claim = "SELECT array_agg(call_id) FROM rule_webhook_claim($1, 15)";
        await using var one = await database.Source.OpenConnectionAsync();
        await using var transaction = await one.BeginTransactionAsync();
        var first = await database.ScalarAsync<long[]>(one, Claim, "one");
        var second = await database.ScalarAsync<long[]>(Claim, "two"); // While the first is not committed: skips its rows, waits for nothing.
        await transaction.CommitAsync();
        Assert.Equal((15, 5), (first.Length, second.Length));
        Assert.Empty(first.Intersect(second));
        Assert.Null(await database.ScalarAsync<long[]>(Claim, "three"));

        await database.ExecuteAsync("UPDATE rule_webhook_calls SET lease_until = now() - interval '1 second' WHERE leased_by = 'two'");
        Assert.Equal(second.Order(), (await database.ScalarAsync<long[]>(Claim, "three")).Order());
        Assert.Equal(5L, await database.ScalarAsync<long>("SELECT count(*) FROM rule_webhook_calls WHERE leased_by = 'three' AND attempts = 2"));
    }

    [Fact]
    public async Task Queueing_for_a_missing_or_disabled_webhook_is_refused()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT rule_webhook_register('one', 'https://example.com/')");
        Assert.Equal("Webhook not found: 9", (await database.RefusedAsync("SELECT rule_webhook_enqueue(9, '{}')")).MessageText);
        await database.ExecuteAsync("SELECT rule_webhook_update(1, p_enabled => false)");
        Assert.Equal("Webhook is disabled: one", (await database.RefusedAsync("SELECT rule_webhook_enqueue(1, '{}')")).MessageText);
        Assert.Equal("Webhook is disabled: one", (await database.RefusedAsync("SELECT rule_webhook_call_unified(1, '{}')")).MessageText);
        Assert.Equal("22004", (await database.RefusedAsync("SELECT rule_webhook_update(1, p_enabled => true), rule_webhook_enqueue(1, NULL)")).SqlState);
    }

    [Fact]
    public async Task An_event_has_one_call_per_webhook_and_ids_without_dots()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT rule_webhook_register('one', 'https://example.com/')");
        const string Insert = "INSERT INTO rule_webhook_calls (webhook_id, payload, event_id) VALUES (1, '{}', $1)";
        await database.ExecuteAsync(Insert, "1_a");
        Assert.Equal("23505", (await database.RefusedAsync(Insert, "1_a")).SqlState);
        Assert.Equal("23514", (await database.RefusedAsync(Insert, "1.a")).SqlState);
        using var queued = JsonDocument.Parse(await database.ScalarAsync<string>("SELECT rule_webhook_call_unified(1, '{}')::text"));
        Assert.Matches("^evt_[0-9a-f]{32}$", await database.ScalarAsync<string>(
            "SELECT event_id FROM rule_webhook_calls WHERE call_id = $1", queued.RootElement.GetProperty("queue").GetProperty("call_id").GetInt64()));
        Assert.Equal("bigint", await database.ScalarAsync<string>("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'rule_webhook_calls'::regclass AND attname = 'call_id'"));
    }
}
