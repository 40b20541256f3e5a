using NATS.Client.Core;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.ChangeCapture.Tests;

[Trait("Category", "Servers")]
public sealed class SnapshotInterruptionTests
{
    private static readonly string[] Initial = ["--snapshot", "initial", "--snapshot-chunk-rows", "200"];

    [Fact]
    public async Task A_capture_killed_again_and_again_in_a_snapshot_reads_every_row_once()
    {
        await using var harness = await CaptureHarness.CreateAsync(Churn.Table);
        await using var churn = new Churn(harness);
        var tool = await harness.CaptureToNatsAsync([.. Initial, "--target", "nats"]);
        for (var kills = 0; kills < 5; kills++)
        {
            await MoreReadAsync(harness, tool);
            await tool.KillAsync();
            Assert.DoesNotContain("is complete", tool.Log, StringComparison.Ordinal);
            tool = await harness.CaptureToNatsAsync([.. Initial, "--target", "nats"]);
        }

        await tool.SaysAsync("is complete");
        var replayed = await churn.AssertReplayIsEqualAsync(tool);
        Assert.Equal(replayed.Reads.Count, replayed.Reads.Distinct().Count());
        Assert.Equal(["started", "completed"], await StatesAsync(harness));
    }

    [Fact]
    public async Task A_nats_server_killed_in_a_snapshot_gets_every_row_once()
    {
        await using var harness = await CaptureHarness.CreateAsync(Churn.Table);
        await using var churn = new Churn(harness);
        var tool = await harness.CaptureToNatsAsync([.. Initial, "--target", "nats"]);
        for (var kills = 0; kills < 2; kills++)
        {
            await MoreReadAsync(harness, tool);
            await harness.Nats.KillAsync();
            await tool.SaysAsync("has stopped, nothing is lost", times: kills + 1);
            await harness.Nats.RestartAsync();
        }

        await tool.SaysAsync("is complete");
        var replayed = await churn.AssertReplayIsEqualAsync(tool);
        Assert.Equal(replayed.Reads.Count, replayed.Reads.Distinct().Count());
    }

    [Fact]
    public async Task Sessions_that_postgres_ends_in_a_snapshot_are_gone_back_to()
    {
        await using var harness = await CaptureHarness.CreateAsync(Churn.Table);
        await using var churn = new Churn(harness);
        var tool = await harness.CaptureToNatsAsync([.. Initial, "--target", "nats"]);
        for (var ends = 0; ends < 4; ends++)
        {
            // By turns the one that reads the table, and all.
            await MoreReadAsync(harness, tool);
            await harness.ExecuteAsync(
                $"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgoutput-stream {harness.Slot} snapshot' OR ({ends % 2} = 1 AND application_name LIKE '%{harness.Slot}%')");
        }

        await tool.SaysAsync("is complete");
        Assert.Contains("a snapshot was interrupted", tool.Log, StringComparison.Ordinal);
        Assert.Contains("PostgreSQL is not ready", tool.Log, StringComparison.Ordinal);
        var replayed = await churn.AssertReplayIsEqualAsync(tool);
        Assert.Equal(replayed.Reads.Count, replayed.Reads.Distinct().Count());
    }

    [Fact]
    public async Task Without_a_stream_a_snapshot_that_was_interrupted_begins_again()
    {
        await using var harness = await CaptureHarness.CreateAsync(Churn.Table);
        var killed = await harness.CaptureAsync(Initial);
        await killed.WaitAsync(() => Task.FromResult(Reads(killed) > 1000), "some is read");
        await killed.KillAsync();
        Assert.DoesNotContain("is complete", killed.Log, StringComparison.Ordinal);
        var tool = await harness.CaptureAsync(Initial);
        await tool.SaysAsync($"is complete: {Churn.Rows} rows");
        await harness.ConfirmedAsync(tool);
        Assert.Equal(Churn.Rows, Reads(tool));
        Assert.Equal(0, await tool.TerminateAsync());
        var later = await harness.CaptureAsync(Initial);
        await harness.ExecuteAsync("DELETE FROM t WHERE id = 1");
        await later.HasLinesAsync(3);
        Assert.Equal(0, Reads(later));
    }

    [Fact]
    public async Task Standard_output_beside_a_stream_misses_no_row_that_was_read()
    {
        await using var harness = await CaptureHarness.CreateAsync(Churn.Table);
        var tools = new List<ToolProcess> { await harness.CaptureToNatsAsync(Initial) };
        for (var kills = 0; kills < 3; kills++)
        {
            await MoreReadAsync(harness, tools[^1]);
            await tools[^1].KillAsync();
            tools.Add(await harness.CaptureToNatsAsync(Initial));
        }

        await tools[^1].SaysAsync("is complete");
        await harness.ConfirmedAsync(tools[^1]);
        var stored = (await harness.ReadStreamAsync()).Where(message => message.Subject == "postgres.public.t.read").Select(message => message.Body).ToHashSet();
        Assert.Equal(Churn.Rows, stored.Count);
        Assert.Subset(tools.SelectMany(tool => tool.Lines()).ToHashSet(), stored);
    }

    [Fact]
    public async Task A_snapshot_whose_slot_was_dropped_is_given_up_for_the_next()
    {
        await using var harness = await CaptureHarness.CreateAsync(Churn.Table);
        var tool = await harness.CaptureToNatsAsync([.. Initial, "--target", "nats"]);
        await MoreReadAsync(harness, tool);
        await tool.KillAsync();
        Assert.DoesNotContain("is complete", tool.Log, StringComparison.Ordinal);
        await harness.ExecuteAsync($"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{harness.Slot}' AND active");
        await tool.WaitAsync(async () => await harness.ScalarAsync<bool>($"SELECT pg_drop_replication_slot('{harness.Slot}') IS NOT NULL"), "the slot is dropped");
        tool = await harness.CaptureToNatsAsync([.. Initial, "--target", "nats"]);
        await tool.SaysAsync($"is complete: {Churn.Rows} rows");
        await harness.ConfirmedAsync(tool);
        Assert.Equal(["started", "started", "failed", "completed"], await StatesAsync(harness));
    }

    [Fact]
    public async Task Of_several_servers_the_one_that_has_least_misses_nothing()
    {
        await using var harness = await CaptureHarness.CreateAsync(Churn.Table);
        await using var second = await NatsServer.StartAsync();
        await using var client = new NatsConnection(new NatsOpts { Url = second.Url });
        string[] arguments = [.. Initial, "--target", "nats", "--nats-server", second.Url];
        var tool = await harness.CaptureToNatsAsync(arguments);
        await MoreReadAsync(harness, tool);
        await second.KillAsync();
        // What may be on its way by then: the first has it, the second does not.
        await tool.SaysAsync("has stopped, nothing is lost");
        await tool.KillAsync();
        await second.RestartAsync();
        tool = await harness.CaptureToNatsAsync(arguments);
        await tool.SaysAsync("is complete");
        await harness.ConfirmedAsync(tool);
        var behind = ReplayedTable.Of(await CaptureHarness.ReadStreamAsync(new(client)), "public.t", "id").Reads;
        Assert.Equal(Churn.Rows, behind.Count);
        Assert.Equal(Churn.Rows, behind.Distinct().Count());
        var ahead = ReplayedTable.Of(await harness.ReadStreamAsync(), "public.t", "id").Reads;
        Assert.Equal(Churn.Rows, ahead.Distinct().Count());
        Assert.InRange(ahead.Count, Churn.Rows + 1, 2 * Churn.Rows);
    }

    [Fact]
    public async Task A_table_whose_key_is_not_to_be_seen_begins_again()
    {
        await using var harness = await CaptureHarness.CreateAsync(Churn.Table);
        string[] arguments = [.. Initial, "--target", "nats", "--hash-column", "public.t.id"];
        var tool = await harness.CaptureToNatsAsync(arguments);
        await MoreReadAsync(harness, tool);
        await tool.KillAsync();
        Assert.DoesNotContain("is complete", tool.Log, StringComparison.Ordinal);
        var read = await harness.ReadsAsync();
        tool = await harness.CaptureToNatsAsync(arguments);
        await tool.SaysAsync($"is complete: {Churn.Rows} rows");
        await harness.ConfirmedAsync(tool);
        var reads = ReplayedTable.Of(await harness.ReadStreamAsync(), "public.t", "id").Reads;
        Assert.Equal(Churn.Rows, reads.Distinct().Count());
        Assert.Equal(Churn.Rows + read, reads.Count);
    }

    private static int Reads(ToolProcess tool) => tool.Lines().Count(line => line.StartsWith("{\"Read\"", StringComparison.Ordinal));

    private static async Task MoreReadAsync(CaptureHarness harness, ToolProcess tool)
    {
        var before = await harness.ReadsAsync();
        await tool.WaitAsync(async () => await harness.ReadsAsync() > before + 500, "more is read");
    }

    private static async Task<IEnumerable<string>> StatesAsync(CaptureHarness harness) => (await harness.ReadStreamAsync())
        .Where(message => message.Subject == "postgres.transactions.snapshot.event")
        .Select(message => System.Text.Json.JsonElement.Parse(message.Body).GetProperty("Snapshot").GetProperty("state").GetString()!);
}
