using RuleEngineNats.TestKit;

namespace RuleEngineNats.ChangeCapture.Tests;

[Trait("Category", "Servers")]
public sealed class SnapshotConsistencyTests
{
    [Theory]
    [InlineData(null)]
    [InlineData("ALTER TABLE t REPLICA IDENTITY FULL")]
    public async Task A_table_that_changes_while_it_is_read_is_what_its_replay_says(string? identity)
    {
        await using var harness = await CaptureHarness.CreateAsync($"{Churn.Table}; {identity}");
        await using var churn = new Churn(harness);
        var tool = await harness.CaptureToNatsAsync("--snapshot", "initial", "--snapshot-chunk-rows", "100", "--target", "nats");
        await tool.SaysAsync("is complete");
        var replayed = await churn.AssertReplayIsEqualAsync(tool);
        Assert.Equal(replayed.Reads.Count, replayed.Reads.Distinct().Count());
        // It was read, and while it changed.
        Assert.InRange(replayed.Reads.Count, Churn.Rows / 2, Churn.Rows * 2);
        var order = (await harness.ReadStreamAsync()).Select(message => message.Subject).ToList();
        Assert.InRange(order[order.IndexOf("postgres.public.t.read")..order.LastIndexOf("postgres.public.t.read")].Count(subject => subject == "postgres.public.t.update"), 100, int.MaxValue);
    }

    [Fact]
    public async Task A_table_that_is_emptied_while_it_is_read_is_what_its_replay_says()
    {
        await using var harness = await CaptureHarness.CreateAsync(Churn.Table);
        await using var churn = new Churn(harness, further: "TRUNCATE t; INSERT INTO t SELECT g, 7, 'again' FROM generate_series(1, 20000, 7) g");
        var tool = await harness.CaptureToNatsAsync("--snapshot", "initial", "--snapshot-chunk-rows", "50", "--target", "nats");
        await tool.SaysAsync("is complete");
        await churn.AssertReplayIsEqualAsync(tool);
        var order = (await harness.ReadStreamAsync()).Select(message => message.Subject).ToList();
        Assert.Contains("postgres.public.t.truncate", order[order.IndexOf("postgres.public.t.read")..order.LastIndexOf("postgres.public.t.read")]);
    }

    [Fact]
    public async Task A_commit_that_the_wal_has_and_nobody_sees_yet_is_waited_for()
    {
        var postgres = await PostgresServer.StartPrivateAsync();
        await using var harness = await CaptureHarness.CreateAsync("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0)", postgres: postgres);
        var tool = await harness.CaptureToNatsAsync();
        // A standby that is not there: whoever waits for it has committed, and is invisible.
        await harness.ExecuteAsync("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
        await harness.ExecuteAsync("SELECT pg_reload_conf()");
        await Wait.UntilAsync(() => harness.ScalarAsync<bool>("SELECT current_setting('synchronous_standby_names') = 'nobody'"), "the server waits for the standby");
        var update = harness.ExecuteAsync("UPDATE t SET n = 1");
        await tool.WaitAsync(async () => (await harness.StoredAsync()) >= 3, "the update is an event");
        Assert.Equal(0, await harness.ScalarAsync<int>("SELECT n FROM t"));
        await harness.ExecuteAsync($$"""SELECT set_config('synchronous_commit', 'local', false), pg_logical_emit_message(true, 'rule-cdc-snapshot', '{"slot":"{{harness.Slot}}"}')""");
        await tool.SaysAsync("waits for transactions that have written to it: process");
        await harness.ExecuteAsync("ALTER SYSTEM RESET synchronous_standby_names");
        await harness.ExecuteAsync("SELECT pg_reload_conf()");
        await update;
        await tool.SaysAsync("is complete");
        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        Assert.Equal(["id=1, n=1"], ReplayedTable.Of(stored, "public.t", "id").Rows);
        Assert.Single(stored, message => message.Subject == "postgres.public.t.read");
    }
}
