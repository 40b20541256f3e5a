using Npgsql;

namespace RuleEngineNats.Sql.Tests;

[Trait("Category", "Servers")]
public sealed class ReconcileTests
{
    [Fact]
    public async Task A_request_waits_for_the_relay_and_the_same_request_twice_is_one()
    {
        await using var database = await SqlDatabase.CreateAsync();
        var request = await database.ScalarAsync<long>("SELECT (rule_nats_reconcile('WEBHOOKS', '10 minutes') ->> 'request_id')::bigint");
        Assert.Equal(request, await database.ScalarAsync<long>("SELECT (rule_nats_reconcile('WEBHOOKS', '10 minutes') ->> 'request_id')::bigint"));
        Assert.NotEqual(request, await database.ScalarAsync<long>("SELECT (rule_nats_reconcile() ->> 'request_id')::bigint"));
        Assert.True(await database.ScalarAsync<bool>("""
            SELECT reason = 'requested' AND stream_name = 'WEBHOOKS' AND horizon = '10 minutes' AND requested_by = session_user AND started_at IS NULL
              FROM rule_nats_reconcile_runs WHERE run_id = $1
            """, request));
        Assert.True(await database.ScalarAsync<bool>("SELECT r -> 'relay' = 'null' AND r -> 'runs' = '[]' FROM rule_nats_reconcile() r"));
    }

    [Theory]
    [InlineData("SELECT rule_nats_reconcile('NOWHERE')", "P0002", "Stream not found: NOWHERE")]
    [InlineData("SELECT rule_nats_reconcile(NULL, '0')", "22023", "p_horizon: 00:00:00 is not between 0 and 30 days")]
    [InlineData("SELECT rule_nats_reconcile(NULL, '-1 minute')", "22023", "p_horizon: -00:01:00 is not between 0 and 30 days")]
    [InlineData("SELECT rule_nats_reconcile(NULL, '31 days')", "22023", "p_horizon: 31 days is not between 0 and 30 days")]
    public async Task A_request_that_cannot_be_served_is_refused(string sql, string sqlState, string message)
    {
        await using var database = await SqlDatabase.CreateAsync();
        var e = await Assert.ThrowsAsync<PostgresException>(() => database.ExecuteAsync(sql));
        Assert.Equal((sqlState, message), (e.SqlState, e.MessageText));
    }

    [Fact]
    public async Task The_rows_stored_since_a_moment_lie_above_a_known_place()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("DELETE FROM rule_nats_reconcile_marks");
        Assert.Equal(0, await SinceAsync("5 minutes"));
        await database.ExecuteAsync("""
            INSERT INTO rule_nats_reconcile_marks (minute, low_publish_id, next_publish_id)
            SELECT date_trunc('minute', now()) - ago, low, next
              FROM (VALUES (interval '60 minutes', 100, 100), ('30 minutes', 50, 1000), ('20 minutes', 1500, 2000), ('2 minutes', 2500, 3000)) AS m (ago, low, next)
            """);
        Assert.Equal(2000, await SinceAsync("5 minutes"));
        // A backlog was published meanwhile.
        Assert.Equal(50, await SinceAsync("30 minutes"));
        Assert.Equal(0, await SinceAsync("2 hours"));

        // A mark that goes further back is noted, whatever this minute has already.
        await database.ExecuteAsync("SELECT setval('rule_nats_publish_history_publish_id_seq', 5000), rule_nats_reconcile_maintain()");
        await database.ExecuteAsync("SELECT rule_nats_mark_stored('{7,8}', '{S,S}', '{1,2}', '{f,f}', '{1,1}')");
        Assert.Equal(7, await SinceAsync("5 minutes"));

        Task<long> SinceAsync(string ago) => database.ScalarAsync<long>("SELECT rule_nats_stored_since(now() - $1::text::interval)", ago);
    }

    [Fact]
    public async Task Runs_that_found_nothing_and_old_marks_are_forgotten()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("""
            INSERT INTO rule_nats_reconcile_runs (reason, config_name, stream_name, started_at, finished_at, missing)
            SELECT 'interval', 'default', 'WEBHOOKS', now(), now(), CASE WHEN n % 3 = 0 THEN 1 ELSE 0 END FROM generate_series(1, 4000) AS n
            """);
        await database.ExecuteAsync("""
            INSERT INTO rule_nats_reconcile_marks (minute, low_publish_id, next_publish_id)
            SELECT date_trunc('minute', now()) - n * interval '1 hour', 1, 1 FROM generate_series(20, 60) AS n
            """);
        await database.ExecuteAsync("SELECT rule_nats_reconcile_maintain()");
        Assert.Equal(1000, await database.ScalarAsync<long>("SELECT count(*) FROM rule_nats_reconcile_runs"));
        Assert.Equal(1, await database.ScalarAsync<long>("SELECT count(*) FROM rule_nats_reconcile_runs WHERE missing = 0"));
        Assert.Equal(1, await database.ScalarAsync<long>("SELECT count(*) FROM rule_nats_reconcile_marks WHERE minute < now() - interval '24 hours'"));
    }

    [Fact]
    public async Task A_restart_of_a_consumer_that_is_not_done_keeps_its_first_sequence()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT rule_nats_consumer_restart('default', 'WEBHOOKS', 50), rule_nats_consumer_restart('default', 'WEBHOOKS', 70)");
        Assert.Equal(50, await StartAsync());
        await database.ExecuteAsync("UPDATE rule_nats_consumer_restarts SET done_at = now()");
        await database.ExecuteAsync("SELECT rule_nats_consumer_restart('default', 'WEBHOOKS', 70)");
        Assert.Equal(70, await StartAsync());

        Task<long> StartAsync() => database.ScalarAsync<long>("SELECT start_sequence FROM rule_nats_consumer_restarts WHERE done_at IS NULL");
    }

    [Theory]
    [InlineData("rule_admin", "SELECT rule_nats_reconcile()", true)]
    [InlineData("rule_admin", "UPDATE rule_nats_reconcile_runs SET error = ''", false)]
    [InlineData("rule_stats", "SELECT reason, missing FROM rule_nats_reconcile_runs", true)]
    [InlineData("rule_stats", "SELECT rule_nats_reconcile()", false)]
    [InlineData("rule_publisher", "SELECT rule_nats_reconcile()", false)]
    [InlineData("rule_publisher", "SELECT reason FROM rule_nats_reconcile_runs", false)]
    [InlineData("rule_relay", "SELECT rule_nats_reconcile_maintain(), rule_nats_stored_since(now()), rule_nats_consumer_restart('default', 'WEBHOOKS', 1)", true)]
    [InlineData("rule_relay", "UPDATE rule_nats_reconcile_runs SET started_at = now()", true)]
    [InlineData("rule_relay", "UPDATE rule_nats_consumer_restarts SET done_at = now()", false)]
    [InlineData("rule_worker", "UPDATE rule_nats_consumer_restarts SET done_at = now()", true)]
    [InlineData("rule_worker", "UPDATE rule_nats_consumer_restarts SET start_sequence = 1", false)]
    public async Task Each_role_may_do_its_part(string role, string sql, bool allowed)
    {
        await using var database = await SqlDatabase.CreateAsync();
        await using var connection = await database.Source.OpenConnectionAsync();
        await database.ExecuteAsync(connection, $"SET ROLE {role}");
        if (allowed)
        {
            await database.ExecuteAsync(connection, sql);
        }
        else
        {
            Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, (await Assert.ThrowsAsync<PostgresException>(() => database.ExecuteAsync(connection, sql))).SqlState);
        }
    }
}
