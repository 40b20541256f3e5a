namespace RuleEngineNats.Sql.Tests;

/// <summary>The functions of the base webhooks around one call: making it, watching it, trying it again, forgetting it.</summary>
[Trait("Category", "Servers")]
public sealed class CallTests
{
    // For statements that are refused and so change nothing.
    private static readonly Lazy<Task<SqlDatabase>> Untouched = new(() => WithWebhookAsync());

    [Fact]
    public async Task A_webhook_may_be_registered_with_NATS_enabled()
    {
        await using var database = await WithWebhookAsync();
        await database.ExecuteAsync("SELECT rule_webhook_register('named', 'https://example.com/', 'POST', '{}', NULL, 5000, 3, true, 'events.named')");
        await database.ExecuteAsync("SELECT rule_webhook_register('orders', 'https://example.com/', p_enable_nats => true)");
        Assert.Equal("one|queue|f,named|events.named|both|t,orders|webhooks.orders|both|t", await database.ScalarAsync<string>(
            "SELECT string_agg(concat_ws('|', webhook_name, nats_subject, publish_mode, nats_enabled), ',' ORDER BY webhook_id) FROM rule_webhooks"));
    }

    [Theory]
    [InlineData("rule_webhook_register('x', 'https://example.com/', p_nats_subject => 'webhooks.x')", "22023", "p_nats_subject: only with p_enable_nats => true")]
    [InlineData("rule_webhook_register('x', 'https://example.com/', p_enable_nats => true, p_nats_subject => 'a b')", "22023", "subject: whitespace at byte 1")]
    [InlineData("rule_webhook_register('a b.*', 'https://example.com/', p_enable_nats => true)", "22023", "The webhook's name makes no subject (subject: whitespace at byte 10); give p_nats_subject")]
    [InlineData("rule_webhook_enqueue(1, '{}', repeat('x', 1000000))", "54000", "p_rule_name: 1000000 characters, the limit is 255")]
    [InlineData("rule_webhook_enqueue(1, '{}', NULL, 'infinity')", "22023", "p_scheduled_at: infinity is no point in time")]
    [InlineData("rule_webhook_call(1, NULL)", "22004", "payload must not be null")]
    [InlineData("rule_webhook_call_with_http(1, '1e131071')", "22023", "payload: number out of range")]
    [InlineData("rule_webhook_cleanup_old_calls('-1 day')", "22023", "p_older_than: must be 0 or longer")]
    [InlineData("rule_webhook_cleanup_old_calls(NULL)", "22023", "p_older_than: must be 0 or longer")]
    [InlineData("rule_webhook_update(1, p_max_retries => 11)", "23514", null)]
    [InlineData("rule_webhook_update(1, p_retry_delay_ms => -1)", "23514", null)]
    [InlineData("rule_webhook_update(1, p_retry_backoff_multiplier => 0.5)", "23514", null)]
    public async Task What_makes_no_sense_is_refused(string call, string state, string? message)
    {
        var database = await Untouched.Value;
        var refusal = await database.RefusedAsync($"SELECT {call}");
        Assert.Equal(state, refusal.SqlState);
        Assert.True(message is null || message == refusal.MessageText, refusal.MessageText);
        Assert.Equal("one|0", await database.ScalarAsync<string>("SELECT concat_ws('|', string_agg(webhook_name, ','), (SELECT count(*) FROM rule_webhook_calls)) FROM rule_webhooks"));
    }

    [Fact]
    public async Task Bug_A2_an_update_reaches_retries_description_and_tags_and_checks_the_URL()
    {
        await using var database = await WithWebhookAsync();
        Assert.True(await database.ScalarAsync<bool>("SELECT rule_webhook_update(1, 'https://example.com/2', 'put', '{\"X-A\": \"b\"}', 7000, true)"));
        Assert.True(await database.ScalarAsync<bool>("""
            SELECT rule_webhook_update(1, p_retry_enabled => false, p_max_retries => 7, p_retry_delay_ms => 250, p_retry_backoff_multiplier => 1.5,
                                       p_description => 'it''s', p_tags => ARRAY['a', 'b'])
            """));
        Assert.Equal("https://example.com/2|PUT|{\"X-A\": \"b\"}|7000|f|7|250|1.5|it's|{a,b}", await database.ScalarAsync<string>("""
            SELECT concat_ws('|', url, method, headers, timeout_ms, retry_enabled, max_retries, retry_delay_ms, retry_backoff_multiplier, description, tags) FROM rule_webhooks
            """));
        Assert.Equal("22023", (await database.RefusedAsync("SELECT rule_webhook_update(1, 'ftp://example.com/')")).SqlState);
    }

    [Fact]
    public async Task The_names_of_the_examples_can_be_read()
    {
        await using var database = await WithWebhookAsync();
        await database.ExecuteAsync("UPDATE rule_webhooks SET url = 'https://example.com/new'");
        Assert.Equal("https://example.com/new|POST", await database.ScalarAsync<string>("SELECT concat_ws('|', webhook_url, http_method) FROM rule_webhooks"));
        await database.ExecuteAsync("SELECT rule_webhook_enqueue(1, '{}')");
        Assert.Equal(1L, await database.ScalarAsync<long>("SELECT queue_id FROM rule_webhook_queue"));

        // A change that changes nothing is none, whatever PostgreSQL has computed by then.
        await database.ExecuteAsync("UPDATE rule_webhooks SET updated_at = 'epoch'");
        var before = await database.ScalarAsync<DateTime>("SELECT updated_at FROM rule_webhooks");
        await database.ExecuteAsync("UPDATE rule_webhooks SET url = url");
        Assert.Equal(before, await database.ScalarAsync<DateTime>("SELECT updated_at FROM rule_webhooks"));
    }

    [Fact]
    public async Task A_call_is_queued_and_says_so_and_never_raises_for_a_missing_or_disabled_webhook()
    {
        await using var database = await WithWebhookAsync();
        Assert.Equal("true|1|enqueued|one|https://example.com/hook|Webhook call enqueued. A delivery worker sends it after COMMIT; see rule_webhook_call_status.", await database.ScalarAsync<string>("""
            SELECT concat_ws('|', c ->> 'success', c ->> 'call_id', c ->> 'status', c ->> 'webhook_name', c ->> 'url', c ->> 'message') FROM rule_webhook_call(1, '{"a": 1}') c
            """));
        Assert.Equal("true|2|enqueued|t", await database.ScalarAsync<string>("""
            SELECT concat_ws('|', c ->> 'success', c ->> 'call_id', c ->> 'status', c ->> 'message' LIKE 'The database makes no HTTP requests itself.%') FROM rule_webhook_call_with_http(1, '{}') c
            """));
        Assert.Equal(2L, await database.ScalarAsync<long>("SELECT count(*) FROM rule_webhook_claim('worker')"));
        foreach (var function in (string[])["rule_webhook_call", "rule_webhook_call_with_http"])
        {
            Assert.Equal("{\"success\" : false, \"error\" : \"Webhook not found\"}", await database.ScalarAsync<string>($"SELECT {function}(99, '{{}}')::text"));
            await database.ExecuteAsync("UPDATE rule_webhooks SET enabled = false");
            Assert.Equal("{\"success\" : false, \"error\" : \"Webhook is disabled\"}", await database.ScalarAsync<string>($"SELECT {function}(1, '{{}}')::text"));
            await database.ExecuteAsync("UPDATE rule_webhooks SET enabled = true");
        }
    }

    [Fact]
    public async Task Bug_A2_the_status_of_a_call_has_its_attempts()
    {
        await using var database = await WithWebhookAsync();
        await database.ExecuteAsync("SELECT rule_webhook_enqueue(1, '{\"a\": 1}')");
        Assert.Equal("[]", await database.ScalarAsync<string>("SELECT rule_webhook_call_status(1) ->> 'attempts'"));
        await database.ExecuteAsync("""
            INSERT INTO rule_webhook_call_history (call_id, attempt_number, event_id, webhook_id, outcome, response_status, error_message)
            VALUES (1, 2, 'e', 1, 'delivered', 204, NULL), (1, 1, 'e', 1, 'failed', 503, 'busy'), (NULL, 1, 'other', 1, 'failed', 500, NULL)
            """);
        await database.ExecuteAsync("UPDATE rule_webhook_calls SET status = 'success', retry_count = 1, completed_at = now(), response_status = 204");
        Assert.Equal("one|https://example.com/hook|success|1|{\"a\": 1}|204|failed 503 busy,delivered 204", await database.ScalarAsync<string>("""
            SELECT concat_ws('|', s ->> 'webhook_name', s ->> 'url', s ->> 'status', s ->> 'retry_count', s ->> 'payload', s ->> 'response_status',
                   (SELECT string_agg(concat_ws(' ', a ->> 'outcome', a ->> 'response_status', a ->> 'error_message'), ',') FROM json_array_elements(s -> 'attempts') a))
              FROM rule_webhook_call_status(1) s
            """));
        Assert.Equal(
            "call_id,webhook_name,url,status,retry_count,payload,response_status,response_body,error_message,execution_time_ms,scheduled_at,started_at,completed_at,next_retry_at,attempts",
            await database.ScalarAsync<string>("SELECT string_agg(k, ',') FROM json_object_keys(rule_webhook_call_status(1)) k"));
        Assert.Equal("{\"error\" : \"Call not found\"}", await database.ScalarAsync<string>("SELECT rule_webhook_call_status(99)::text"));
        await database.ExecuteAsync("SELECT rule_webhook_delete(1)");
        Assert.Equal("deleted webhook 1", await database.ScalarAsync<string>("SELECT rule_webhook_call_status(1) ->> 'webhook_name'"));
    }

    [Fact]
    public async Task Bug_A2_due_retries_become_pending_and_nothing_is_counted_twice()
    {
        await using var database = await WithWebhookAsync();
        await database.ExecuteAsync("SELECT rule_webhook_enqueue(1, to_jsonb(i)) FROM generate_series(1, 4) i");
        await database.ExecuteAsync("SELECT rule_webhook_claim('worker', 3)");
        await database.ExecuteAsync("SELECT rule_webhook_retry(1), rule_webhook_retry(2)");
        // The second of the two is due; its first path was told to wait, as in mode both.
        await database.ExecuteAsync("UPDATE rule_webhook_calls SET next_retry_at = now() - interval '1 second', scheduled_at = now() + interval '30 seconds' WHERE call_id = 2");
        Assert.Equal("2|one|retry_enqueued|1", await database.ScalarAsync<string>("""
            SELECT string_agg(concat_ws('|', call_id, webhook_name, retry_result ->> 'status', retry_result ->> 'retry_count'), ',') FROM rule_webhook_process_retries()
            """));
        Assert.Equal(0L, await database.ScalarAsync<long>("SELECT count(*) FROM rule_webhook_process_retries()"));
        Assert.Equal("retrying 1,pending 1,processing 0,pending 0", await database.ScalarAsync<string>(
            "SELECT string_agg(concat_ws(' ', status, retry_count), ',' ORDER BY call_id) FROM rule_webhook_calls"));
        Assert.Equal("2,4", await database.ScalarAsync<string>("SELECT string_agg(call_id::text, ',' ORDER BY call_id) FROM rule_webhook_claim('worker')"));
        Assert.Equal(2L, await database.ScalarAsync<long>("SELECT attempts::bigint FROM rule_webhook_calls WHERE call_id = 2"));
    }

    [Fact]
    public async Task Bug_A2_a_cleanup_leaves_what_is_still_to_be_sent()
    {
        await using var database = await WithWebhookAsync();
        await database.ExecuteAsync("""
            INSERT INTO rule_webhook_calls (webhook_id, payload, status, created_at, completed_at, next_retry_at)
            SELECT 1, '{}'::jsonb, s, now() - interval '60 days', CASE WHEN s IN ('success', 'failed') THEN now() - interval '40 days' END, now()
              FROM unnest(ARRAY['pending', 'processing', 'retrying', 'success', 'failed']) s
            UNION ALL SELECT 1, '{}', 'success', now() - interval '60 days', now(), NULL
            UNION ALL SELECT 1, '{}', 'success', now() - interval '60 days', now() - interval '40 days', NULL FROM generate_series(1, 12000)
            """);
        Assert.Equal(12001L, await database.ScalarAsync<long>("SELECT rule_webhook_cleanup_old_calls()"));
        Assert.Equal(1L, await database.ScalarAsync<long>("SELECT rule_webhook_cleanup_old_calls('30 days', false)"));
        Assert.Equal("pending,processing,retrying,success", await database.ScalarAsync<string>("SELECT string_agg(status, ',' ORDER BY call_id) FROM rule_webhook_calls"));
    }

    private static async Task<SqlDatabase> WithWebhookAsync()
    {
        var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT rule_webhook_register('one', 'https://example.com/hook')");
        return database;
    }
}
