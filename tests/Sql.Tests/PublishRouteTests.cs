namespace RuleEngineNats.Sql.Tests;

/// <summary>A publish reads its way from a row that is derived from three tables: whatever changes there, the next publish goes by it.</summary>
[Trait("Category", "Servers")]
public sealed class PublishRouteTests
{
    private const string Publish = "SELECT rule_webhook_publish_nats(1, '{}') ->> 'webhook_name'";

    private const string Went = """
        SELECT concat_ws('|', h.subject, coalesce(h.stream_name, '-'), coalesce(c.config_name, '-'))
          FROM rule_nats_publish_history h LEFT JOIN rule_nats_config c USING (config_id) ORDER BY h.publish_id DESC LIMIT 1
        """;

    private const string ByDefault = "UPDATE rule_webhooks SET nats_config_id = NULL; ";

    [Theory]
    [InlineData("SELECT 1", "orders", "webhooks.orders|WEBHOOKS|default")]
    [InlineData("UPDATE rule_webhooks SET webhook_name = 'renamed'", "renamed", "webhooks.orders|WEBHOOKS|default")]
    [InlineData("UPDATE rule_webhooks SET nats_subject = 'events.other'", "orders", "events.other|WEBHOOKS|default")]
    [InlineData("SELECT rule_webhook_disable_nats(1), rule_webhook_enable_nats(1, 'events.again')", "orders", "events.again|WEBHOOKS|default")]
    [InlineData("UPDATE rule_webhooks SET nats_config_id = (SELECT config_id FROM rule_nats_config WHERE config_name = 'other')", "orders", "webhooks.orders|ELSEWHERE|other")]
    [InlineData("SELECT rule_nats_configure('default', p_stream_name => 'MOVED')", "orders", "webhooks.orders|MOVED|default")]
    [InlineData(ByDefault + "UPDATE rule_nats_config SET config_name = 'old' WHERE config_name = 'default'; UPDATE rule_nats_config SET config_name = 'default' WHERE config_name = 'other'",
        "orders", "webhooks.orders|ELSEWHERE|default")]
    [InlineData(ByDefault + "DELETE FROM rule_nats_streams; DELETE FROM rule_nats_config WHERE config_name = 'default'", "orders", "webhooks.orders|-|-")]
    [InlineData(ByDefault + "DELETE FROM rule_nats_streams; DELETE FROM rule_nats_config WHERE config_name = 'default'; SELECT rule_nats_configure('default', p_stream_name => 'ANEW')",
        "orders", "webhooks.orders|ANEW|default")]
    public async Task The_next_publish_goes_by_what_was_changed(string change, string name, string went)
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("SELECT rule_nats_configure('other', p_stream_name => 'ELSEWHERE')");
        await database.ExecuteAsync(Publish);
        await database.ExecuteAsync(change);
        Assert.Equal(name, await database.ScalarAsync<string>(Publish));
        Assert.Equal(went, await database.ScalarAsync<string>(Went));
    }

    [Theory]
    [InlineData("SELECT rule_webhook_disable_nats(1)", "rule_webhook_publish_nats", "P0002", "Webhook not found or NATS not enabled")]
    [InlineData("UPDATE rule_webhooks SET nats_subject = NULL", "rule_webhook_publish_nats", "55000", "NATS subject not configured")]
    [InlineData("SELECT rule_webhook_delete(1)", "rule_webhook_publish_nats", "P0002", "Webhook not found or NATS not enabled")]
    [InlineData("SELECT rule_webhook_delete(1)", "rule_webhook_call_unified", "P0002", "Webhook not found")]
    [InlineData("UPDATE rule_webhooks SET publish_mode = 'both', enabled = false", "rule_webhook_call_unified", "55000", "Webhook is disabled: orders")]
    public async Task A_way_that_is_gone_is_refused(string change, string function, string sqlState, string message)
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync(change);
        var refused = await database.RefusedAsync($"SELECT {function}(1, '{{}}')");
        Assert.Equal((sqlState, message), (refused.SqlState, refused.MessageText));
    }

    [Fact]
    public async Task A_change_is_seen_by_its_own_transaction_and_taken_back_with_it()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await using var connection = await database.Source.OpenConnectionAsync();
        await using (var transaction = await connection.BeginTransactionAsync())
        {
            await database.ExecuteAsync(connection, "UPDATE rule_webhooks SET nats_subject = 'events.inside'");
            await database.ExecuteAsync(connection, Publish);
            Assert.Equal("events.inside|WEBHOOKS|default", await database.ScalarAsync<string>(connection, Went));
            await transaction.RollbackAsync();
        }

        await database.ExecuteAsync(Publish);
        Assert.Equal("webhooks.orders|WEBHOOKS|default", await database.ScalarAsync<string>(Went));
    }

    [Theory]
    [InlineData("SELECT rule_nats_configure('default', p_stream_name => 'MOVED')", "UPDATE rule_webhooks SET nats_subject = 'events.late'")]
    [InlineData("UPDATE rule_webhooks SET nats_subject = 'events.late'", "SELECT rule_nats_configure('default', p_stream_name => 'MOVED')")]
    public async Task Of_two_changes_at_once_neither_is_lost(string first, string second)
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await using var one = await database.Source.OpenConnectionAsync();
        await using var other = await database.Source.OpenConnectionAsync();
        await using var transaction = await one.BeginTransactionAsync();
        await database.ExecuteAsync(one, first);
        var waiting = database.ExecuteAsync(other, second);
        await Wait.UntilAsync(
            () => database.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock')", other.ProcessID),
            "the second change waits for the first");
        await transaction.CommitAsync();
        await waiting;
        await database.ExecuteAsync(Publish);
        Assert.Equal("events.late|MOVED|default", await database.ScalarAsync<string>(Went));
    }

    // Headers are what the short way does not know.
    [Theory]
    [InlineData("rule_webhook_publish_nats")]
    [InlineData("rule_webhook_call_unified")]
    public async Task The_short_way_and_the_long_one_write_and_answer_the_same(string function)
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        const string Payload = """{"it's": "x','y'); --", "n": [1.50, {"deep": "grün"}], "long": "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"}""";
        var answer = $$$"""
            SELECT regexp_replace({{{function}}}(1, $1::jsonb, headers => $2::jsonb, triggered_by => 'rule', rule_execution_id => 7)::text, '"(latency_ms|publish_id)": [\d.]+|_\d+"', '', 'g')
            """;
        Assert.Equal(await database.ScalarAsync<string>(answer, Payload, null), await database.ScalarAsync<string>(answer, Payload, "{}"));
        Assert.Equal(1L, await database.ScalarAsync<long>("""
            SELECT count(DISTINCT (to_jsonb(h) - '{publish_id,published_at,expires_at,nats_msg_id,headers,enqueued_xid}'::text[], rtrim(nats_msg_id, '0123456789'), enqueued_xid IS NULL))
              FROM rule_nats_publish_history h
            """));
    }
}
