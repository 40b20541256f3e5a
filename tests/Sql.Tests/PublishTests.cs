using System.Text;
using System.Text.Json;
using Npgsql;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Sql.Tests;

[Trait("Category", "Servers")]
public sealed class PublishTests
{
    // For statements that are refused and so change nothing.
    private static readonly Lazy<Task<SqlDatabase>> Untouched = new(() => SqlDatabase.WithWebhookAsync());

    private const string Publish = "SELECT rule_webhook_publish_nats(1, $1::jsonb, $2)::text";

    [Fact]
    public async Task A_publish_answers_pending_and_is_a_row_of_its_own_transaction()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await using var connection = await database.Source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        using var answer = JsonDocument.Parse(await database.ScalarAsync<string>(connection, Publish, "{\"b\":1,\"a\":[1.50]}", "order-17"));
        var root = answer.RootElement;
        Assert.Equal(
            ("pending", "WEBHOOKS", "webhooks.orders", "orders", "1_order-17", "order-17"),
            (Text("state"), Text("stream"), Text("subject"), Text("webhook_name"), Text("nats_msg_id"), Text("message_id")));
        Assert.True(root.GetProperty("success").GetBoolean());
        Assert.False(root.GetProperty("duplicate").GetBoolean());
        Assert.Equal(JsonValueKind.Null, root.GetProperty("sequence").ValueKind);
        Assert.True(root.GetProperty("latency_ms").GetDouble() >= 0);

        const string Row = "SELECT concat_ws('|', state, success, encode(body_sha256, 'hex') = encode(sha256(convert_to(payload::text, 'UTF8')), 'hex'), triggered_by) FROM rule_nats_publish_history WHERE publish_id = $1";
        Assert.Equal("pending|t|postgres", await database.ScalarAsync<string>(connection, Row, root.GetProperty("publish_id").GetInt64()));
        Assert.Null(await database.ScalarAsync<string>(Row, root.GetProperty("publish_id").GetInt64()));
        await transaction.CommitAsync();
        Assert.Equal("pending|t|postgres", await database.ScalarAsync<string>(Row, root.GetProperty("publish_id").GetInt64()));

        string? Text(string name) => root.GetProperty(name).GetString();
    }

    [Fact]
    public async Task Bug_S2_what_is_rolled_back_leaves_neither_row_nor_key()
    {
        await using var database = await SqlDatabase.WithWebhookAsync("both");
        await using var connection = await database.Source.OpenConnectionAsync();
        await using (var transaction = await connection.BeginTransactionAsync())
        {
            await database.ExecuteAsync(connection, "SELECT rule_webhook_call_unified(1, '{}', 'rolled-back')");
            await transaction.RollbackAsync();
        }

        await using (var transaction = await connection.BeginTransactionAsync())
        {
            await transaction.SaveAsync("here");
            await database.ExecuteAsync(connection, "SELECT rule_webhook_call_unified(1, '{}', 'to-savepoint')");
            await transaction.RollbackAsync("here");
            await database.ExecuteAsync(connection, "SELECT rule_webhook_call_unified(1, '{}', 'kept')");
            await transaction.CommitAsync();
        }

        Assert.Equal("kept", await database.ScalarAsync<string>("SELECT string_agg(message_id, ',') FROM rule_nats_publish_history"));
        Assert.Equal("kept", await database.ScalarAsync<string>("SELECT string_agg(message_id, ',') FROM rule_nats_message_keys"));
        Assert.Equal("1_kept", await database.ScalarAsync<string>("SELECT string_agg(event_id, ',') FROM rule_webhook_calls"));
    }

    [Fact]
    public async Task The_same_message_id_with_the_same_body_answers_the_first_result()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync(Publish, "{\"a\":1,\"b\":2}", "m-1");
        await database.ExecuteAsync("SELECT rule_nats_mark_stored('{1}', '{WEBHOOKS}', '{42}', '{false}', '{1.5}')");
        using var again = JsonDocument.Parse(await database.ScalarAsync<string>(Publish, "{\"b\": 2, \"a\": 1}", "m-1"));
        Assert.True(again.RootElement.GetProperty("duplicate").GetBoolean());
        Assert.Equal(1, again.RootElement.GetProperty("publish_id").GetInt64());
        Assert.Equal(42, again.RootElement.GetProperty("sequence").GetInt64());
        Assert.Equal("stored", again.RootElement.GetProperty("state").GetString());
        Assert.Equal(1L, await database.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history"));
    }

    [Theory]
    [InlineData("queue")]
    [InlineData("nats")]
    [InlineData("both")]
    public async Task The_same_message_id_with_another_body_is_refused_and_names_the_id(string mode)
    {
        await using var database = await SqlDatabase.WithWebhookAsync(mode);
        await database.ExecuteAsync("SELECT rule_webhook_call_unified(1, '{\"a\":1}', 'm-1')");
        var refusal = await database.RefusedAsync("SELECT rule_webhook_call_unified(1, '{\"a\":2}', 'm-1')");
        Assert.Equal(("23505", "message_id m-1 was already published for webhook 1 with another body"), (refusal.SqlState, refusal.MessageText));
        Assert.Equal(mode == "nats" ? 0L : 1L, await database.ScalarAsync<long>("SELECT count(*) FROM rule_webhook_calls WHERE payload = '{\"a\":1}'"));
        Assert.Equal(mode == "queue" ? 0L : 1L, await database.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history"));
    }

    [Fact]
    public async Task Two_webhooks_may_use_the_same_message_id()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("SELECT rule_webhook_register('other', 'https://example.com/'), rule_webhook_enable_nats(2)");
        await database.ExecuteAsync("SELECT rule_webhook_publish_nats(1, '{\"a\":1}', 'same'), rule_webhook_publish_nats(2, '{\"a\":2}', 'same')");
        Assert.Equal("1_same,2_same", await database.ScalarAsync<string>("SELECT string_agg(nats_msg_id, ',' ORDER BY nats_msg_id) FROM rule_nats_publish_history"));
    }

    [Fact]
    public async Task Two_transactions_with_the_same_message_id_store_one_event()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await using var first = await database.Source.OpenConnectionAsync();
        await using var transaction = await first.BeginTransactionAsync();
        await database.ExecuteAsync(first, Publish, "{}", "race");
        await using var second = await database.Source.OpenConnectionAsync();
        var waiting = database.ScalarAsync<string>(second, Publish, "{}", "race");
        await Wait.UntilAsync(
            () => database.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock')", second.ProcessID),
            "the second waits for the first");
        await transaction.CommitAsync();
        using var answer = JsonDocument.Parse(await waiting);
        Assert.True(answer.RootElement.GetProperty("duplicate").GetBoolean());
        Assert.Equal(1L, await database.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history"));
    }

    [Fact]
    public async Task A_message_id_may_be_used_again_after_its_time_or_after_a_refusal()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync(Publish, "{\"a\":1}", "refused");
        await database.ExecuteAsync("SELECT rule_nats_mark_refused('{1}', '{no stream}')");
        await database.ExecuteAsync(Publish, "{\"a\":2}", "refused");
        await database.ExecuteAsync(Publish, "{\"a\":1}", "old");
        await database.ExecuteAsync("UPDATE rule_nats_message_keys SET expires_at = now() - interval '1 second' WHERE message_id = 'old'");
        await database.ExecuteAsync(Publish, "{\"a\":2}", "old");
        Assert.Equal(4L, await database.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history"));

        await database.ExecuteAsync("UPDATE rule_webhooks SET deduplicate_for = NULL");
        await database.ExecuteAsync(Publish, "{\"a\":1}", "free");
        await database.ExecuteAsync(Publish, "{\"a\":2}", "free");
        Assert.False(await database.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM rule_nats_message_keys WHERE message_id = 'free')"));
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("x','y');drop-table-victim;--")]
    [InlineData("it's.with.dots")]
    [InlineData("grün→")]
    [InlineData("0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456")]
    public async Task Bug_S1_ids_and_payloads_are_values_and_never_statements(string messageId)
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("CREATE TABLE victim (id int)");
        const string Payload = "{\"it's\": \"x','y'); drop table victim; --\", \"$$\": \"\\\\'; SELECT 1\"}";
        await database.ExecuteAsync(Publish, Payload, messageId);
        Assert.True(await database.ScalarAsync<bool>("SELECT payload = $1::jsonb AND message_id = $2 FROM rule_nats_publish_history", Payload, messageId));
        var id = await database.ScalarAsync<string>("SELECT nats_msg_id FROM rule_nats_publish_history");
        Assert.Equal(NatsMessageId.For(1, messageId), id);
        Assert.True(Encoding.UTF8.GetByteCount(id) <= 128);
        Assert.DoesNotContain('.', id);
        Assert.True(await database.ScalarAsync<bool>("SELECT to_regclass('victim') IS NOT NULL"));
    }

    [Fact]
    public async Task Ids_made_here_differ_between_copies_of_one_database()
    {
        await using var one = await SqlDatabase.WithWebhookAsync();
        await using var other = await SqlDatabase.WithWebhookAsync();
        Assert.True(await one.ScalarAsync<bool>("SELECT count(*) = 1 FROM rule_nats_relay_state WHERE database_id <> ''"));
        const string Id = "SELECT rule_webhook_publish_nats(1, '{}') ->> 'nats_msg_id'";
        var (first, second) = (await one.ScalarAsync<string>(Id), await other.ScalarAsync<string>(Id));
        Assert.EndsWith("_1", first, StringComparison.Ordinal);
        Assert.EndsWith("_1", second, StringComparison.Ordinal);
        Assert.NotEqual(first, second);

        // As after a restore into another cluster.
        await one.ExecuteAsync("UPDATE rule_nats_relay_state SET cluster_id = 1, low_water_xid = '900000000'");
        await one.ExecuteAsync("SELECT rule_nats_history_maintain()");
        Assert.NotEqual(first[..^1], (await one.ScalarAsync<string>(Id))[..^1]);
        Assert.Equal("0", await one.ScalarAsync<string>("SELECT low_water_xid::text FROM rule_nats_relay_state"));
        Assert.Equal("1/webhooks.orders", await one.ScalarAsync<string>("SELECT destination FROM rule_nats_relay_parked WHERE publish_id = 1"));
    }

    [Fact]
    public async Task Bug_S12_history_and_pending_events_outlive_their_webhook()
    {
        await using var database = await SqlDatabase.WithWebhookAsync("both");
        await database.ExecuteAsync("SELECT rule_webhook_call_unified(1, '{}', 'm-1')");
        await database.ExecuteAsync("INSERT INTO rule_webhook_call_history (event_id, webhook_id, outcome) VALUES ('1_m-0', 1, 'delivered')");
        Assert.True(await database.ScalarAsync<bool>("SELECT rule_webhook_delete(1)"));
        Assert.Equal("pending", await database.ScalarAsync<string>("SELECT state FROM rule_nats_publish_history WHERE webhook_id = 1"));
        Assert.Equal("failed|Webhook deleted", await database.ScalarAsync<string>("SELECT concat_ws('|', status, error_message, due_at) FROM rule_webhook_calls WHERE webhook_id = 1"));
        Assert.Equal(1L, await database.ScalarAsync<long>("SELECT count(*) FROM rule_webhook_call_history WHERE webhook_id = 1"));
        Assert.Equal(0L, await database.ScalarAsync<long>("SELECT count(*) FROM rule_webhook_secrets"));
    }

    [Fact]
    public async Task Mode_both_is_one_event_with_a_call_that_waits_for_the_stream()
    {
        await using var database = await SqlDatabase.WithWebhookAsync("both");
        using var answer = JsonDocument.Parse(await database.ScalarAsync<string>("SELECT rule_webhook_call_unified(1, '{\"a\":1}')::text"));
        var (queue, nats) = (answer.RootElement.GetProperty("queue"), answer.RootElement.GetProperty("nats"));
        Assert.True(answer.RootElement.GetProperty("success").GetBoolean());
        Assert.Equal((1, 1, "pending"), (queue.GetProperty("queue_id").GetInt64(), queue.GetProperty("call_id").GetInt64(), queue.GetProperty("status").GetString()));
        Assert.True(await database.ScalarAsync<bool>(
            """
            SELECT h.call_id = c.call_id AND c.publish_id = h.publish_id AND c.event_id = h.nats_msg_id AND h.nats_msg_id = $1
                   AND c.scheduled_at BETWEEN now() + interval '20 seconds' AND now() + interval '31 seconds'
              FROM rule_webhook_calls c, rule_nats_publish_history h
            """, nats.GetProperty("nats_msg_id").GetString()));
        Assert.Equal(0L, await database.ScalarAsync<long>("SELECT count(*) FROM rule_webhook_claim('worker')"));
        Assert.True(await database.ScalarAsync<bool>("SELECT rule_webhook_lease(1, 'worker')"));
        Assert.False(await database.ScalarAsync<bool>("SELECT rule_webhook_lease(1, 'other worker')"));
    }

    [Theory]
    [InlineData("queue", "queue")]
    [InlineData("nats", "nats")]
    public async Task Each_mode_answers_success_and_the_path_it_took(string mode, string key)
    {
        await using var database = await SqlDatabase.WithWebhookAsync(mode);
        Assert.Equal(
            string.Join(',', new[] { key, "success" }.Order(StringComparer.Ordinal)),
            await database.ScalarAsync<string>("SELECT string_agg(k, ',' ORDER BY k COLLATE \"C\") FROM jsonb_object_keys(rule_webhook_call_unified(1, '{}')) k"));
    }

    [Theory]
    [InlineData("SELECT rule_webhook_publish_nats(99, '{}')", "P0002", "Webhook not found or NATS not enabled")]
    [InlineData("SELECT rule_webhook_publish_nats(NULL, '{}')", "P0002", "Webhook not found or NATS not enabled")]
    [InlineData("SELECT rule_webhook_call_unified(99, '{}')", "P0002", "Webhook not found")]
    [InlineData("SELECT rule_webhook_call_unified(NULL, '{}')", "P0002", "Webhook not found")]
    [InlineData("SELECT rule_webhook_publish_nats(1, NULL)", "22004", "payload must not be null")]
    [InlineData("SELECT rule_webhook_publish_nats(1, 'null')", "22004", "payload must not be null")]
    [InlineData("SELECT rule_webhook_publish_nats(1, '{}', '')", "22023", "message_id: empty at byte 0")]
    [InlineData("SELECT rule_webhook_publish_nats(1, '{}', repeat('x', 129))", "22023", "message_id: longer than 128 characters at byte 128")]
    [InlineData("SELECT rule_webhook_publish_nats(1, '{}', E'a\\r\\nb')", "22023", "message_id: space or control character at byte 1")]
    [InlineData("SELECT rule_webhook_publish_nats(1, '1e400')", "22023", "payload: number out of range")]
    [InlineData("SELECT rule_webhook_publish_nats(1, '[-1e400]')", "22023", "payload: number out of range")]
    [InlineData("SELECT rule_webhook_publish_nats(1, '[1e-400]')", "22023", "payload: number out of range")]
    [InlineData("SELECT rule_webhook_publish_nats(1, ('[' || repeat('1e131071,', 10000) || '1]')::jsonb)", "22023", "payload: number out of range")]
    [InlineData("CREATE TEMP TABLE compressed AS SELECT ('[' || repeat('1e131071,', 10000) || '1]')::jsonb AS p; SELECT rule_webhook_publish_nats(1, p) FROM compressed", "22023", "payload: number out of range")]
    [InlineData("SELECT rule_webhook_publish_nats(1, (repeat('[', 65) || repeat(']', 65))::jsonb)", "22023", "payload: deeper than 64 levels")]
    [InlineData("SELECT rule_webhook_publish_nats(1, to_jsonb(repeat('x', 67108863)))", "54000", "payload is 67108865 bytes, the limit is 67108864")]
    [InlineData("SELECT rule_webhook_publish_nats(1, to_jsonb(repeat('x', 134217728)))", "54000", "payload is 134217740 bytes as jsonb, the limit is 134217728")]
    [InlineData("UPDATE rule_webhooks SET nats_subject = NULL; SELECT rule_webhook_publish_nats(1, '{}')", "55000", "NATS subject not configured")]
    [InlineData("SELECT rule_webhook_disable_nats(1); SELECT rule_webhook_publish_nats(1, '{}')", "P0002", "Webhook not found or NATS not enabled")]
    public async Task A_hostile_or_mistaken_publish_is_refused_with_a_clear_error(string sql, string state, string message)
    {
        var database = await Untouched.Value;
        var refusal = await database.RefusedAsync(sql);
        Assert.Equal((state, message), (refusal.SqlState, refusal.MessageText));
        Assert.Equal(0L, await database.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history"));
    }

    [Theory]
    [InlineData("to_jsonb(repeat('x', 1040382))")]
    [InlineData("(repeat('[', 64) || '9007199254740993' || repeat(']', 64))::jsonb")]
    [InlineData("'1e308'")]
    [InlineData("to_jsonb(repeat('1', 400))")]
    [InlineData("'{\"__proto__\": {\"$type\": \"x\"}}'")]
    public async Task What_is_exactly_at_a_limit_is_accepted(string payload)
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync($"SELECT rule_webhook_publish_nats(1, {payload})");
        Assert.True(await database.ScalarAsync<bool>($"SELECT payload = {payload} FROM rule_nats_publish_history"));
    }

    [Theory]
    [InlineData("state = 'stored'")]
    [InlineData("state = 'stored', sequence_number = 0, stream_name = 'WEBHOOKS'")]
    [InlineData("state = 'stored', sequence_number = 1, stream_name = NULL")]
    [InlineData("state = 'refused'")]
    [InlineData("state = 'lost'")]
    [InlineData("sequence_number = 5")]
    public async Task Bug_I5_no_row_can_claim_success_without_stream_and_sequence(string change)
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync(Publish, "{}", null);
        var refusal = await database.RefusedAsync($"UPDATE rule_nats_publish_history SET {change}");
        Assert.Equal(PostgresErrorCodes.CheckViolation, refusal.SqlState);
        await Assert.ThrowsAsync<PostgresException>(() => database.ExecuteAsync("UPDATE rule_nats_publish_history SET success = true"));
    }
}
