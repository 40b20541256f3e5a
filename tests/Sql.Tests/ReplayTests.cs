using System.Text.Json;

namespace RuleEngineNats.Sql.Tests;

[Trait("Category", "Servers")]
public sealed class ReplayTests
{
    // For statements that are refused and so change nothing. Webhooks: 1 orders, 2 queue only, 3 off, 4 of another configuration, 5 of two streams, 6 of a work queue.
    private static readonly Lazy<Task<SqlDatabase>> Untouched = new(WithWebhooksAsync);

    [Fact]
    public async Task A_replay_is_asked_for_shown_and_cancelled()
    {
        await using var database = await WithWebhooksAsync();
        var id = await database.ScalarAsync<long>("SELECT rule_webhook_replay(1, p_from => '2030-01-01', p_to_sequence => 9, p_status => '{failed,missing}', p_rate => 2.5)");
        Assert.Equal("requested|{WEBHOOKS}|2.5|f|{failed,missing}|0", await database.ScalarAsync<string>(
            "SELECT concat_ws('|', state, streams, rate, dry_run, status, enqueued) FROM rule_webhook_replays WHERE replay_id = $1 AND requested_by = session_user", id));
        var status = JsonDocument.Parse(await database.ScalarAsync<string>("SELECT rule_webhook_replay_status($1)::text", id)).RootElement;
        Assert.Equal(("orders", 0, 0), (status.GetProperty("webhook_name").GetString(), status.GetProperty("progress_pct").GetDouble(), status.GetProperty("waiting").GetInt32()));
        Assert.True(await database.ScalarAsync<bool>("SELECT rule_webhook_replay_cancel($1)", id));
        Assert.False(await database.ScalarAsync<bool>("SELECT rule_webhook_replay_cancel($1)", id));
        Assert.Equal("cancelled", await database.ScalarAsync<string>("SELECT state FROM rule_webhook_replays WHERE finished_at IS NOT NULL"));
        Assert.Equal("{ORDERS,WEBHOOKS}", await database.ScalarAsync<string>(
            "SELECT streams::text FROM rule_webhook_replays WHERE replay_id = $1", await database.ScalarAsync<long>("SELECT rule_webhook_replay(5)")));
    }

    [Theory]
    [InlineData("NULL", "P0002", "Webhook not found")]
    [InlineData("99", "P0002", "Webhook not found: 99")]
    [InlineData("2", "55000", "Webhook takes no events from streams: queue")]
    [InlineData("3", "55000", "Webhook is disabled: off")]
    [InlineData("4", "55000", "The NATS configuration far of webhook far is off")]
    [InlineData("6", "55000", "p_stream: no stream of configuration default that keeps its events has subjects that jobs.> selects")]
    [InlineData("6, p_stream => 'JOBS'", "55000", "p_stream: stream JOBS is none that keeps its events has subjects that jobs.> selects")]
    [InlineData("1, p_stream => 'NONE'", "P0002", "p_stream: configuration default has no enabled stream \"NONE\"")]
    [InlineData("1, p_stream => 'ORDERS'", "55000", "p_stream: stream ORDERS is none")]
    [InlineData("5, p_from_sequence => 1", "22023", "p_stream: sequences are those of one stream; give one of ORDERS, WEBHOOKS")]
    [InlineData("1, 'infinity'", "22023", "p_from: is no point in time")]
    [InlineData("1, NULL, '-infinity'", "22023", "p_to: is no point in time")]
    [InlineData("1, '2030-01-02', '2030-01-02'", "22023", "p_to: must be later than p_from")]
    [InlineData("1, p_from_sequence => 0", "22023", "p_from_sequence: must be 1 or more")]
    [InlineData("1, now(), p_from_sequence => 1", "22023", "p_from_sequence: not together with p_from")]
    [InlineData("1, p_from_sequence => 5, p_to_sequence => 4", "22023", "p_to_sequence: must be 1 or more, and not less than p_from_sequence")]
    [InlineData("1, p_to => now(), p_to_sequence => 4", "22023", "p_to_sequence: not together with p_to")]
    [InlineData("1, p_status => '{}'", "22023", "p_status: must be one or more of delivered, failed, cancelled, missing")]
    [InlineData("1, p_status => '{failed,lost}'", "22023", "p_status: must be one or more of")]
    [InlineData("1, p_status => '{failed,NULL}'", "22023", "p_status: must be one or more of")]
    [InlineData("1, p_rate => 0", "22023", "p_rate: 0 is not 0.01 to 100000")]
    [InlineData("1, p_rate => 'NaN'", "22023", "p_rate: NaN is not 0.01 to 100000")]
    public async Task What_cannot_be_is_refused_by_its_name(string arguments, string state, string message)
    {
        var database = await Untouched.Value;
        var refused = await database.RefusedAsync($"SELECT rule_webhook_replay({arguments})");
        Assert.Equal(state, refused.SqlState);
        Assert.StartsWith(message, refused.MessageText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_replay_that_is_not_there_is_said_not_to_be()
    {
        var database = await Untouched.Value;
        foreach (var function in new[] { "rule_webhook_replay_status", "rule_webhook_replay_cancel" })
        {
            var refused = await database.RefusedAsync($"SELECT {function}(99)");
            Assert.Equal(("P0002", "Replay not found: 99"), (refused.SqlState, refused.MessageText));
        }
    }

    [Fact]
    public async Task Outcomes_are_the_last_ones_and_a_call_that_is_not_finished_is_due()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("""
            INSERT INTO rule_webhook_calls (webhook_id, event_id, payload, status) VALUES (1, 'pending', '{}', 'pending'), (1, 'success', '{}', 'success'), (1, 'dead', '{}', 'failed')
            """);
        await database.ExecuteAsync("""
            INSERT INTO rule_webhook_call_history (event_id, webhook_id, outcome, attempt_number)
            VALUES ('success', 1, 'failed', 1), ('first', 1, 'delivered', 1), ('off', 1, 'cancelled', 1), ('died', 1, 'unknown', 1), ('blocked', 1, 'blocked', 1),
                   ('twice', 1, 'failed', 1), ('twice', 1, 'delivered', 2), ('other', 2, 'delivered', 1)
            """);
        Assert.Equal("blocked=failed dead=failed died=failed first=delivered none=missing off=cancelled other=missing pending=due success=delivered twice=delivered", await database.ScalarAsync<string>("""
            SELECT string_agg(event_id || '=' || outcome, ' ' ORDER BY event_id)
              FROM rule_webhook_outcomes(1, '{pending,success,dead,first,off,died,blocked,twice,other,none}')
            """));
    }

    [Fact]
    public async Task A_step_is_all_or_nothing_and_only_for_the_worker_that_has_the_replay()
    {
        const string Step = """
            SELECT held || ':' || coalesce(due::text, '') FROM rule_webhook_replay_open(1, $1, 11, 4, 3, '{a,b,a}', '{s,s,s}', '{1,2,1}', ARRAY['1','2','1']::bytea[],
                ARRAY['{"x": "y"}', NULL, NULL], ARRAY[NULL, NULL, NULL]::text[])
            """;
        await using var database = await WithWebhooksAsync();
        await database.ExecuteAsync("SELECT rule_webhook_replay(1)");
        await database.ExecuteAsync("INSERT INTO rule_webhook_calls (webhook_id, event_id, payload, status, attempts, completed_at) VALUES (1, 'a', '{}', 'success', 2, now())");
        await database.ExecuteAsync("INSERT INTO rule_webhook_call_history (event_id, webhook_id, outcome, attempt_number) VALUES ('b', 1, 'delivered', 4)");
        Assert.Equal("false:", await database.ScalarAsync<string>(Step, "me"));
        await database.ExecuteAsync("UPDATE rule_webhook_replays SET state = 'running', leased_by = 'other'");
        Assert.Equal("false:", await database.ScalarAsync<string>(Step, "me"));
        Assert.Equal("true:2", await database.ScalarAsync<string>(Step, "other"));
        Assert.Equal("a:2,b:4", await database.ScalarAsync<string>(
            "SELECT string_agg(event_id || ':' || attempts, ',' ORDER BY event_id) FROM rule_webhook_calls WHERE status = 'pending' AND replay_id = 1 AND completed_at IS NULL"));
        Assert.Equal("11|4|3|2|1", await database.ScalarAsync<string>("SELECT concat_ws('|', next_sequence, scanned, matched, enqueued, skipped) FROM rule_webhook_replays"));
        // Both are due now, and left alone.
        Assert.Equal("true:2", await database.ScalarAsync<string>(Step, "other"));
        Assert.Equal("2|4", await database.ScalarAsync<string>("SELECT concat_ws('|', enqueued, skipped) FROM rule_webhook_replays"));
        await database.ExecuteAsync("SELECT rule_webhook_replay_cancel(1)");
        Assert.Equal("false:", await database.ScalarAsync<string>(Step, "other"));
    }

    [Fact]
    public async Task A_replay_that_ended_is_kept_for_30_days()
    {
        await using var database = await WithWebhooksAsync();
        await database.ExecuteAsync("SELECT rule_webhook_replay(1) FROM generate_series(1, 3)");
        await database.ExecuteAsync("""
            UPDATE rule_webhook_replays SET requested_at = now() - interval '90 days', state = CASE replay_id WHEN 1 THEN 'running' ELSE 'done' END,
                   finished_at = CASE replay_id WHEN 2 THEN now() - interval '29 days' WHEN 3 THEN now() - interval '31 days' END
            """);
        await database.ExecuteAsync("SELECT rule_webhook_purge_expired()");
        Assert.Equal("1,2", await database.ScalarAsync<string>("SELECT string_agg(replay_id::text, ',' ORDER BY replay_id) FROM rule_webhook_replays"));
    }

    [Theory]
    [InlineData("rule_stats", "SELECT * FROM rule_webhook_dead_letters, rule_webhook_replays", true)]
    [InlineData("rule_stats", "SELECT rule_webhook_dead_letter(1)", false)]
    [InlineData("rule_stats", "SELECT rule_webhook_redrive(1)", false)]
    [InlineData("rule_stats", "SELECT rule_webhook_replay(1)", false)]
    [InlineData("rule_publisher", "SELECT rule_webhook_replay(1)", false)]
    [InlineData("rule_publisher", "SELECT * FROM rule_webhook_dead_letters", false)]
    [InlineData("rule_worker", "SELECT rule_webhook_replay(1)", false)]
    [InlineData("rule_worker", "SELECT rule_webhook_discard_all(1)", false)]
    [InlineData("rule_worker", "SELECT rule_webhook_outcomes(1, '{}'), rule_webhook_replay_open(1, 'w', 1, 0, 0, '{}', '{}', '{}', '{}', '{}', '{}')", true)]
    [InlineData("rule_admin", "SELECT rule_webhook_replay(1), rule_webhook_redrive_all(1), rule_webhook_discard_all(1), rule_webhook_dead_letter_list()", true)]
    [InlineData("rule_admin", "DELETE FROM rule_webhook_replays", false)]
    public async Task Each_role_may_do_its_own_work_and_no_more(string role, string sql, bool allowed)
    {
        var database = await Untouched.Value;
        await using var connection = await database.Source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await database.ExecuteAsync(connection, $"SET ROLE {role}");
        var attempt = database.ExecuteAsync(connection, sql);
        if (allowed)
        {
            await attempt;
        }
        else
        {
            Assert.Equal("42501", (await Assert.ThrowsAsync<Npgsql.PostgresException>(() => attempt)).SqlState);
        }
    }

    private static async Task<SqlDatabase> WithWebhooksAsync()
    {
        var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("""
            SELECT rule_nats_configure('far', 'nats://127.0.0.1:1'), rule_nats_stream_create('ORDERS', ARRAY['orders.>']), rule_nats_stream_create('JOBS', ARRAY['jobs.>']);
            UPDATE rule_nats_config SET enabled = false WHERE config_name = 'far';
            UPDATE rule_nats_streams SET retention_policy = 'workqueue' WHERE stream_name = 'JOBS';
            INSERT INTO rule_webhooks (webhook_name, url, enabled, nats_enabled, nats_subject, subject_filter, nats_config_id)
            VALUES ('queue', 'https://example.com/', true, false, NULL, NULL, NULL), ('off', 'https://example.com/', false, true, 'events.x', NULL, NULL),
                   ('far', 'https://example.com/', true, true, 'events.x', NULL, (SELECT config_id FROM rule_nats_config WHERE config_name = 'far')),
                   ('two', 'https://example.com/', true, true, 'events.x', '*.a', NULL), ('jobs', 'https://example.com/', true, true, 'jobs.x', 'jobs.>', NULL);
            """);
        return database;
    }
}
