using System.Text.Json;
using Npgsql;

namespace RuleEngineNats.Sql.Tests;

/// <summary>What goes with an event besides its payload, and what its publisher learns about it later.</summary>
[Trait("Category", "Servers")]
public sealed class PublishContextTests
{
    private const string Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    // For statements that are refused and so change nothing.
    private static readonly Lazy<Task<SqlDatabase>> Untouched = new(() => SqlDatabase.WithWebhookAsync());

    [Theory]
    [InlineData("queue")]
    [InlineData("nats")]
    [InlineData("both")]
    public async Task Headers_rule_and_trace_are_in_the_row_of_every_path(string mode)
    {
        await using var database = await SqlDatabase.WithWebhookAsync(mode);
        await database.ExecuteAsync(
            "SELECT rule_webhook_call_unified(1, '{}', 'm-1', $1::jsonb, 'big orders', 42, $2)", "{\"X-Tenant\": \"it's\", \"ce-type\": \"order.created\"}", Trace);
        const string Expected = "{\"ce-type\": \"order.created\", \"X-Tenant\": \"it's\"}|big orders|42|" + Trace;
        Assert.Equal(mode == "nats" ? null : Expected, await database.ScalarAsync<string>(
            "SELECT concat_ws('|', request_headers, rule_name, rule_execution_id, trace_parent) FROM rule_webhook_calls"));
        Assert.Equal(mode == "queue" ? null : Expected, await database.ScalarAsync<string>(
            "SELECT concat_ws('|', headers, triggered_by, rule_execution_id, trace_parent) FROM rule_nats_publish_history"));
    }

    [Theory]
    [InlineData("queue")]
    [InlineData("both")]
    public async Task The_setting_is_the_trace_of_those_who_give_none_and_stops_nobody(string mode)
    {
        await using var database = await SqlDatabase.WithWebhookAsync(mode);
        await using var connection = await database.Source.OpenConnectionAsync();
        foreach (var setting in (string[])[Trace, "not a trace", "ff" + Trace[2..], Trace.Replace("b7ad6b7169203331", "0000000000000000", StringComparison.Ordinal)])
        {
            await database.ExecuteAsync(connection, "SELECT set_config('rule.traceparent', $1, false), rule_webhook_call_unified(1, '{}')", setting);
        }

        await database.ExecuteAsync(connection, $"SELECT set_config('rule.traceparent', '{Trace}', false), rule_webhook_enqueue(1, '{{}}')");
        Assert.Equal($"{Trace}|none|none|none|{Trace}", await database.ScalarAsync<string>(
            "SELECT string_agg(coalesce(trace_parent, 'none'), '|' ORDER BY call_id) FROM rule_webhook_calls"));
    }

    [Theory]
    [InlineData("headers => '{\"Nats-Msg-Id\": \"x\"}'", "22023", "headers[Nats-Msg-Id]: reserved header")]
    [InlineData("headers => '{\"ce-id\": \"x\"}'", "22023", "headers[ce-id]: reserved header")]
    [InlineData("headers => '{\"traceparent\": \"x\"}'", "22023", "headers[traceparent]: reserved header")]
    [InlineData("headers => '{\"X\": \"a\\nb\"}'", "22023", "headers[X]: character that is not printable ASCII, or a space at an end")]
    [InlineData("headers => '{\"X\": 1}'", "22023", "headers[X]: the value must be a string")]
    [InlineData("headers => '[]'", "22023", "headers: must be a JSON object of strings")]
    [InlineData("headers => '1e131071'", "22023", "headers: must be a JSON object of strings")]
    [InlineData("headers => jsonb_build_object('X', repeat('x', 1000000))", "54000", "headers: more than 64 or larger than 8192 bytes")]
    [InlineData("triggered_by => repeat('x', 1000000)", "54000", "triggered_by: 1000000 characters, the limit is 255")]
    [InlineData("traceparent => 'x'',''y''); drop table victim; --'", "22023", "traceparent: not <2>-<32>-<16>-<2> lower-case hexadecimal digits, as W3C Trace Context has it")]
    [InlineData("traceparent => '00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01'", "22023", "traceparent: not <2>-<32>-<16>-<2> lower-case hexadecimal digits, as W3C Trace Context has it")]
    [InlineData("traceparent => '00-00000000000000000000000000000000-b7ad6b7169203331-01'", "22023", "traceparent: not <2>-<32>-<16>-<2> lower-case hexadecimal digits, as W3C Trace Context has it")]
    [InlineData("traceparent => 'ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'", "22023", "traceparent: not <2>-<32>-<16>-<2> lower-case hexadecimal digits, as W3C Trace Context has it")]
    public async Task What_goes_with_an_event_is_checked_and_the_argument_named(string argument, string state, string message)
    {
        var database = await Untouched.Value;
        foreach (var function in (string[])["rule_webhook_publish_nats", "rule_webhook_call_unified"])
        {
            var refusal = await database.RefusedAsync($"SELECT {function}(1, '{{}}', {argument})");
            Assert.Equal((state, message), (refusal.SqlState, refusal.MessageText));
        }

        Assert.Equal(0L, await database.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history"));
    }

    [Theory]
    [InlineData("{\"X-Any\": \"x\", \"Content-Type\": \"application/json\"}", true)]
    [InlineData("{\"ce-type\": \"t\", \"CE-Source\": \"s\", \"ce-subject\": \"u\", \"ce-dataschema\": \"d\"}", true)]
    [InlineData("{\"ce-time\": \"t\"}", false)]
    [InlineData("{\"rule-call-id\": \"1\"}", false)]
    [InlineData("{\"Webhook-Id\": \"1\"}", false)]
    [InlineData("{\"Host\": \"x\"}", false)]
    [InlineData("{\"X\": \"a\", \"x\": \"b\"}", false)]
    [InlineData("{\"\": \"a\"}", false)]
    [InlineData("{\"X-Ü\": \"a\"}", false)]
    [InlineData("{\"X\": \" a\"}", false)]
    [InlineData("{\"X\": \"\"}", true)]
    public async Task The_headers_of_an_event_obey_the_rules_of_the_services(string json, bool accepted)
    {
        var database = await Untouched.Value;
        var headers = JsonSerializer.Deserialize<Dictionary<string, string>>(json)!;
        Assert.Equal(accepted, Contracts.HeaderRules.Check([.. headers]) is null);
        const string Check = "SELECT rule_webhook_headers_check($1::jsonb, true)";
        if (accepted)
        {
            await database.ExecuteAsync(Check, json);
        }
        else
        {
            Assert.Equal("22023", (await database.RefusedAsync(Check, json)).SqlState);
        }
    }

    [Theory]
    [InlineData("nats")]
    [InlineData("both")]
    public async Task Bug_B5_a_webhook_without_configuration_publishes_with_the_default_one(string mode)
    {
        await using var database = await SqlDatabase.WithWebhookAsync(mode);
        await database.ExecuteAsync("UPDATE rule_webhooks SET nats_config_id = NULL");
        Assert.Equal("WEBHOOKS", await database.ScalarAsync<string>("SELECT rule_webhook_call_unified(1, '{}') -> 'nats' ->> 'stream'"));
        Assert.Equal(1, await database.ScalarAsync<int>("SELECT config_id FROM rule_nats_publish_history"));
    }

    [Fact]
    public async Task A_message_id_that_is_free_again_in_mode_both_is_an_event_of_its_own()
    {
        await using var database = await SqlDatabase.WithWebhookAsync("both");
        const string Call = "SELECT rule_webhook_call_unified(1, $1::jsonb, 'm-1')";
        await database.ExecuteAsync(Call, "{\"a\": 1}");
        await database.ExecuteAsync("SELECT rule_nats_mark_refused('{1}', '{no stream}')");

        // The queue's call is still to be sent: it is the same event, or a refusal.
        await database.ExecuteAsync(Call, "{\"a\": 1}");
        await database.ExecuteAsync("SELECT rule_nats_mark_refused('{2}', '{no stream}')");
        Assert.Equal("23505", (await database.RefusedAsync(Call, "{\"a\": 2}")).SqlState);

        // It was sent: another event begins, which neither path takes for delivered.
        await database.ExecuteAsync("UPDATE rule_webhook_calls SET status = 'success', completed_at = now()");
        await database.ExecuteAsync(Call, "{\"a\": 2}");
        Assert.Equal("pending|{\"a\": 2}|t", await database.ScalarAsync<string>("SELECT concat_ws('|', status, payload, completed_at IS NULL) FROM rule_webhook_calls"));
        Assert.True(await database.ScalarAsync<bool>("SELECT rule_webhook_lease(1, 'worker')"));
    }

    [Fact]
    public async Task The_grace_of_mode_both_is_a_column_of_the_webhook()
    {
        await using var database = await SqlDatabase.WithWebhookAsync("both");
        await database.ExecuteAsync("UPDATE rule_webhooks SET queue_grace = '0'");
        await database.ExecuteAsync("SELECT rule_webhook_call_unified(1, '{}')");
        Assert.Equal(1L, await database.ScalarAsync<long>("SELECT count(*) FROM rule_webhook_claim('worker')"));
        Assert.Equal("23514", (await database.RefusedAsync("UPDATE rule_webhooks SET queue_grace = '2 hours'")).SqlState);
    }

    [Fact]
    public async Task The_status_of_an_event_is_found_by_its_message_id()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        const string Status = "SELECT concat_ws('|', s ->> 'state', s ->> 'success', s ->> 'stream', s ->> 'sequence', s ->> 'attempts', s ->> 'last_error', s ->> 'nats_msg_id') FROM rule_nats_publish_status($1, $2::int) s";
        Assert.Equal("unknown", await database.ScalarAsync<string>(Status, "m-1", null));
        await database.ExecuteAsync("SELECT rule_webhook_publish_nats(1, '{}', 'm-1')");
        Assert.Equal("pending|WEBHOOKS|0|1_m-1", await database.ScalarAsync<string>(Status, "m-1", null));
        await database.ExecuteAsync("SELECT rule_nats_park('{1}', '{no responders}', ARRAY[interval '1 hour'])");
        Assert.Equal("pending|WEBHOOKS|1|no responders|1_m-1", await database.ScalarAsync<string>(Status, "m-1", 1));
        await database.ExecuteAsync("SELECT rule_nats_mark_stored('{1}', '{ORDERS}', '{7}', '{false}', '{1}')");
        Assert.Equal("stored|true|ORDERS|7|2|1_m-1", await database.ScalarAsync<string>(Status, "m-1", 1));
        Assert.Equal("unknown", await database.ScalarAsync<string>(Status, "m-1", 2));

        await database.ExecuteAsync("SELECT rule_webhook_register('other', 'https://example.com/', p_enable_nats => true), rule_webhook_publish_nats(2, '{}', 'm-1')");
        Assert.Equal("pending|WEBHOOKS|0|2_m-1", await database.ScalarAsync<string>(Status, "m-1", null));
        await database.ExecuteAsync("SELECT rule_nats_mark_refused('{2}', '{too large}')");
        Assert.Equal("refused|false|WEBHOOKS|1|too large|2_m-1", await database.ScalarAsync<string>(Status, "m-1", null));

        var made = await database.ScalarAsync<string>("SELECT rule_webhook_publish_nats(1, '{}') ->> 'nats_msg_id'");
        Assert.Equal($"pending|WEBHOOKS|0|{made}", await database.ScalarAsync<string>(Status, made, null));
        Assert.Equal("unknown", await database.ScalarAsync<string>(Status, "p000000000000_3", null));
        Assert.Equal("22023", (await database.RefusedAsync("SELECT rule_nats_publish_status(NULL)")).SqlState);
        Assert.Equal("message_id: longer than 128 characters at byte 128", (await database.RefusedAsync("SELECT rule_nats_publish_status(repeat('x', 1000000))")).MessageText);
    }

    [Fact]
    public async Task A_second_transaction_can_wait_until_an_event_is_stored()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await using var publisher = await database.Source.OpenConnectionAsync();
        await using var transaction = await publisher.BeginTransactionAsync();
        await database.ExecuteAsync(publisher, "SELECT rule_webhook_publish_nats(1, '{}')");
        var own = await Assert.ThrowsAsync<PostgresException>(() => database.ExecuteAsync(publisher, "SAVEPOINT s; SELECT rule_nats_publish_wait(1)"));
        Assert.Equal(("55000", "publish_id: 1 was published by this transaction, and is sent after its COMMIT: wait for it in the next one"), (own.SqlState, own.MessageText));
        await database.ExecuteAsync(publisher, "ROLLBACK TO s");

        // It waits for the commit first, then for the mark.
        await using var waiter = await database.Source.OpenConnectionAsync();
        var waiting = database.ScalarAsync<string>(waiter, "SELECT concat_ws('|', s ->> 'state', s ->> 'sequence') FROM rule_nats_publish_wait(1, '1 minute') s");
        await Wait.UntilAsync(
            () => database.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep')", waiter.ProcessID), "it waits");
        await transaction.CommitAsync();
        Assert.False(waiting.IsCompleted);
        await database.ExecuteAsync("SELECT rule_nats_mark_stored('{1}', '{WEBHOOKS}', '{7}', '{false}', '{1}')");
        Assert.Equal("stored|7", await waiting);
    }

    [Fact]
    public async Task A_wait_that_cannot_succeed_says_so()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("SELECT rule_webhook_publish_nats(1, '{}')");
        Assert.Equal("pending", await database.ScalarAsync<string>("SELECT rule_nats_publish_wait(1, '20 milliseconds') ->> 'state'"));
        Assert.Equal("unknown", await database.ScalarAsync<string>("SELECT rule_nats_publish_wait(99, '5 minutes') ->> 'state'"));
        var isolated = await database.RefusedAsync("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT rule_nats_publish_wait(1)");
        Assert.Equal(("55000", "rule_nats_publish_wait needs READ COMMITTED: this transaction (repeatable read) cannot see what commits after its snapshot"), (isolated.SqlState, isolated.MessageText));
        foreach (var arguments in (string[])["NULL", "1, NULL", "1, '-1 second'", "1, '6 minutes'"])
        {
            Assert.Equal("22023", (await database.RefusedAsync($"SELECT rule_nats_publish_wait({arguments})")).SqlState);
        }
    }
}
