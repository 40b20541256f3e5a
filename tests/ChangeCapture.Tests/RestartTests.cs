namespace RuleEngineNats.ChangeCapture.Tests;

[Trait("Category", "Servers")]
public sealed class RestartTests
{
    [Fact]
    public async Task A_nats_server_killed_and_started_anew_loses_nothing_and_stores_nothing_twice()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        var tool = await harness.CaptureToNatsAsync();
        using var rows = new Rows(harness);
        for (var kills = 0; kills < 2; kills++)
        {
            await rows.MoreStoredAsync(tool);
            await harness.Nats.KillAsync();
            // Again and again, not once.
            await tool.SaysAsync("has stopped, nothing is lost", times: 2 * (kills + 1));
            await harness.Nats.RestartAsync();
        }

        await rows.MoreStoredAsync(tool);
        var stored = await rows.AssertAllStoredOnceAsync(tool);
        Assert.Equal(tool.Lines(), stored.Select(message => message.Body));
    }

    [Fact]
    public async Task A_start_lsn_leaves_out_what_was_committed_before_it()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        await harness.ExecuteAsync($"SELECT pg_create_logical_replication_slot('{harness.Slot}', 'pgoutput')");
        await harness.ExecuteAsync("INSERT INTO t (id) VALUES (1)");
        var lsn = await harness.ScalarAsync<string>("SELECT pg_current_wal_lsn()::text");
        await harness.ExecuteAsync("INSERT INTO t (id) VALUES (2)");

        var tool = await harness.CaptureAsync("--start-lsn", lsn);
        await tool.HasLinesAsync(4);

        Assert.Contains("\"2\"", Assert.Single(tool.Lines(), line => line.StartsWith("{\"Insert\"", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_postgres_that_ends_the_sessions_is_gone_back_to()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        var tool = await harness.CaptureToNatsAsync();
        using var rows = new Rows(harness);
        for (var ends = 0; ends < 3; ends++)
        {
            await rows.MoreStoredAsync(tool);
            await harness.ExecuteAsync($"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{harness.Slot}'");
            await tool.SaysAsync("PostgreSQL is not ready", times: ends + 1);
        }

        await rows.MoreStoredAsync(tool);
        var stored = await rows.AssertAllStoredOnceAsync(tool);
        Assert.Equal(tool.Lines(), stored.Select(message => message.Body));
    }

    [Fact]
    public async Task A_table_that_was_renamed_is_described_anew_also_after_a_restart()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        var tool = await harness.CaptureToNatsAsync();
        await harness.ExecuteAsync("INSERT INTO t VALUES (1); ALTER TABLE t RENAME TO u; INSERT INTO u VALUES (2)");
        await harness.ConfirmedAsync(tool);
        await tool.KillAsync();
        await harness.ExecuteAsync("ALTER TABLE u RENAME TO t; INSERT INTO t VALUES (3)");
        tool = await harness.CaptureToNatsAsync();
        await harness.ConfirmedAsync(tool);

        var kinds = (await harness.ReadStreamAsync()).Select(message => message.Subject["postgres.".Length..]).Where(subject => subject.StartsWith("public.", StringComparison.Ordinal));
        Assert.Equal(["public.t.relation", "public.t.insert", "public.u.relation", "public.u.insert", "public.t.relation", "public.t.insert"], kinds);
    }

    [Fact]
    public async Task A_stop_confirms_what_was_written_so_that_it_does_not_come_again()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        var lines = new List<string>();
        for (var id = 1; id <= 8; id++)
        {
            var tool = await harness.CaptureAsync();
            await harness.ExecuteAsync($"INSERT INTO t VALUES ({id})");
            await tool.HasLinesAsync(4);
            Assert.Equal(0, await tool.TerminateAsync());
            lines.AddRange(tool.Lines().Where(line => line.StartsWith("{\"Insert\"", StringComparison.Ordinal)));
        }

        Assert.Equal(8, lines.Count);
    }
}
