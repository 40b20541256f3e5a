using System.Text.Json;

namespace RuleEngineNats.Sql.Tests;

[Trait("Category", "Servers")]
public sealed class StatisticsTests
{
    // For statements that are refused and so change nothing.
    private static readonly Lazy<Task<SqlDatabase>> Untouched = new(() => SqlDatabase.CreateAsync());

    [Theory]
    [InlineData(-5)]
    [InlineData(0)]
    [InlineData(8761)]
    [InlineData(int.MaxValue)]
    [InlineData(null)]
    public async Task Bug_S13_hours_out_of_range_are_refused(int? hours)
    {
        var database = await Untouched.Value;
        var refusal = await database.RefusedAsync("SELECT rule_nats_stats(NULL, $1::int)", hours);
        Assert.Equal(("22023", "p_hours must be 1..8760"), (refusal.SqlState, refusal.MessageText));
    }

    [Fact]
    public async Task Bug_S3_refused_events_count_as_failed_and_pending_ones_as_neither()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("SELECT rule_webhook_register('other', 'https://example.com/'), rule_webhook_enable_nats(2)");
        await database.ExecuteAsync("SELECT rule_webhook_publish_nats(1, to_jsonb(i)) FROM generate_series(1, 5) i");
        await database.ExecuteAsync("SELECT rule_nats_mark_stored('{1,2}', '{WEBHOOKS,WEBHOOKS}', '{1,2}', '{false,false}', '{1,3}')");
        await database.ExecuteAsync("SELECT rule_nats_mark_refused('{3}', '{message too large}')");

        using var stats = JsonDocument.Parse(await database.ScalarAsync<string>("SELECT rule_nats_stats(1, 24)::text"));
        Assert.Equal((5, 2, 1, 2), (Number("total_published"), Number("successful"), Number("failed"), Number("pending")));
        Assert.Equal((66.67m, 2m, 24), (stats.RootElement.GetProperty("success_rate_pct").GetDecimal(), stats.RootElement.GetProperty("avg_latency_ms").GetDecimal(), Number("time_range_hours")));
        Assert.Equal("message too large|orders", await database.ScalarAsync<string>("SELECT concat_ws('|', error_message, webhook_name) FROM nats_recent_failures"));
        Assert.Equal("5|2|1|66.67|2", await database.ScalarAsync<string>(
            "SELECT concat_ws('|', total_published, successful, failed, success_rate_pct, pending) FROM nats_publish_summary WHERE webhook_id = 1"));
        Assert.Equal("orders|webhooks.orders|2|2.00", await database.ScalarAsync<string>(
            "SELECT concat_ws('|', webhook_name, subject, message_count, avg_latency_ms) FROM nats_performance_stats"));

        // Upstream shows 0.00 % for a webhook that has published nothing.
        Assert.Equal("0|unknown", await database.ScalarAsync<string>(
            "SELECT concat_ws('|', total_published, coalesce(success_rate_pct::text, 'unknown')) FROM nats_publish_summary WHERE webhook_id = 2"));
        Assert.Null(await database.ScalarAsync<string>("SELECT rule_nats_stats(2) ->> 'success_rate_pct'"));
        Assert.Equal("0", await database.ScalarAsync<string>("SELECT count(*)::text FROM nats_publish_summary WHERE success_rate_pct < 50"));

        int Number(string name) => stats.RootElement.GetProperty(name).GetInt32();
    }

    [Fact]
    public async Task The_base_views_count_calls_of_both_paths_once()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        // From the queue: one delivered, one given up, one waiting, one retrying. The retrying one began as a delivery from the stream.
        await database.ExecuteAsync("SELECT rule_webhook_enqueue(1, to_jsonb(i)) FROM generate_series(1, 3) i");
        await database.ExecuteAsync("UPDATE rule_webhook_calls SET status = 'success', completed_at = now(), execution_time_ms = 10 WHERE call_id = 1");
        await database.ExecuteAsync("UPDATE rule_webhook_calls SET status = 'failed', completed_at = now(), error_message = '500' WHERE call_id = 2");
        await database.ExecuteAsync("INSERT INTO rule_webhook_calls (webhook_id, payload, status, next_retry_at, event_id) VALUES (1, '{}', 'retrying', now(), '1_x')");
        // From the stream: two delivered at once, one blocked, and the first attempt of the retrying one.
        await database.ExecuteAsync("""
            INSERT INTO rule_webhook_call_history (call_id, event_id, webhook_id, outcome, execution_time_ms)
            VALUES (NULL, '1_a', 1, 'delivered', 20), (NULL, '1_b', 1, 'delivered', 30), (NULL, '1_c', 1, 'blocked', NULL), (4, '1_x', 1, 'failed', 99)
            """);
        Assert.Equal("7|3|2|1|1|20.00|60.00", await database.ScalarAsync<string>("""
            SELECT concat_ws('|', total_calls, successful_calls, failed_calls, pending_calls, retrying_calls, avg_execution_time_ms, success_rate_pct)
              FROM webhook_status_summary
            """));
        Assert.Equal("3|10|30|20", await database.ScalarAsync<string>(
            "SELECT concat_ws('|', total_calls, min_time_ms, max_time_ms, p50_time_ms) FROM webhook_performance_stats"));
        Assert.Equal("failed,failed,retrying", await database.ScalarAsync<string>("SELECT string_agg(status, ',' ORDER BY status) FROM webhook_recent_failures"));
        Assert.Equal("7|60.00", await database.ScalarAsync<string>("SELECT concat_ws('|', total_calls, success_rate) FROM rule_webhook_list()"));
        await database.ExecuteAsync("SELECT rule_webhook_register('idle', 'https://example.com/')");
        Assert.Equal("0|0", await database.ScalarAsync<string>("SELECT concat_ws('|', total_calls, success_rate_pct) FROM webhook_status_summary WHERE webhook_name = 'idle'"));
    }

    [Fact]
    public async Task What_an_attempt_records_is_bounded_and_found_by_event_and_webhook()
    {
        await using var database = await SqlDatabase.CreateAsync();
        Assert.Equal("23514", (await database.RefusedAsync("INSERT INTO rule_webhook_call_history (outcome) VALUES ('perhaps')")).SqlState);
        Assert.Equal("23514", (await database.RefusedAsync("INSERT INTO rule_webhook_call_history (response_body) VALUES (repeat('x', 16385))")).SqlState);
        await database.ExecuteAsync("INSERT INTO rule_webhook_call_history (event_id, webhook_id, outcome) SELECT '1_' || i, 1, 'delivered' FROM generate_series(1, 5000) i");
        await database.ExecuteAsync("ANALYZE rule_webhook_call_history");
        var plan = await database.ScalarAsync<string>(
            "EXPLAIN (FORMAT JSON) SELECT webhook_id, outcome FROM rule_webhook_call_history WHERE event_id = '1_77' AND webhook_id = 1");
        Assert.Contains("idx_webhook_call_history_event", plan, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_worker_reports_itself_and_comes_back_to_life()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT rule_nats_consumer_update_stats('WEBHOOKS', 'worker-1', 10, 9, 1, 2.5)");
        await database.ExecuteAsync("UPDATE rule_nats_consumer_stats SET active = false");
        Assert.True(await database.ScalarAsync<bool>("SELECT rule_nats_consumer_update_stats('WEBHOOKS', 'worker-1', 20, 20, 0)"));
        Assert.Equal("20|20|0|2.50|t", await database.ScalarAsync<string>(
            "SELECT concat_ws('|', messages_delivered, messages_acknowledged, messages_pending, avg_processing_time_ms, active) FROM rule_nats_consumer_stats"));
        await database.ExecuteAsync("""
            SELECT rule_nats_consumer_update_stats('WEBHOOKS', 'worker-1', 21, 20, 0, NULL, 'delivery-worker', 'explicit', -1, 1);
            SELECT rule_nats_consumer_update_stats('WEBHOOKS', 'worker-1', 22, 22, 0, p_active => false);
            """);
        Assert.Equal("22|22|0|1|2.50|delivery-worker|explicit|-1|f", await database.ScalarAsync<string>("""
            SELECT concat_ws('|', messages_delivered, messages_acknowledged, messages_pending, messages_redelivered, avg_processing_time_ms,
                             queue_group, ack_policy, max_deliver, active)
              FROM rule_nats_consumer_stats
            """));
    }
}
