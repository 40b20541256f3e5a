using RuleEngineNats.TestKit;

namespace RuleEngineNats.CdcRelay.Tests;

[Trait("Category", "Servers")]
public sealed class FaultTests
{
    [Fact]
    public async Task A_relay_killed_again_and_again_loses_nothing_and_stores_nothing_twice()
    {
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync();
        var webhook = await outbox.RegisterAsync("orders");
        var load = await Load.RunAsync(outbox, webhook, 3000, async () =>
        {
            for (var round = 0; round < 4; round++)
            {
                await MoreStoredAsync(outbox, 100);
                await relay.KillAsync();
                await relay.RestartAsync();
            }
        });
        await outbox.NothingPendingAsync(relay);
        await load.AssertArrivedAsync(outbox);
    }

    [Fact]
    public async Task A_nats_server_killed_and_restarted_loses_nothing_and_stores_nothing_twice()
    {
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync();
        var webhook = await outbox.RegisterAsync("orders");
        var load = await Load.RunAsync(outbox, webhook, 3000, async () =>
        {
            for (var round = 0; round < 2; round++)
            {
                await MoreStoredAsync(outbox, 200);
                await outbox.Nats.KillAsync();
                await Wait.UntilAsync(async () => (await relay.HealthAsync()).Body.Contains("NATS", StringComparison.Ordinal), "the relay says that NATS is missing");
                await outbox.Nats.RestartAsync();
            }
        });
        await outbox.NothingPendingAsync(relay);
        await load.AssertArrivedAsync(outbox);
        await relay.ReadyAsync();
    }

    [Fact]
    public async Task A_nats_server_that_hangs_loses_nothing_and_stores_nothing_twice()
    {
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync(settings: [("Messaging__AckTimeout", "00:00:00.500"), ("Messaging__PublishBudget", "00:00:01")]);
        var webhook = await outbox.RegisterAsync("orders");
        var load = await Load.RunAsync(outbox, webhook, 2000, async () =>
        {
            await MoreStoredAsync(outbox, 200);
            outbox.Nats.Pause();
            await Wait.UntilAsync(async () => await outbox.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM rule_nats_publish_history WHERE last_error LIKE 'Timeout%')"), "a publish timed out");
            outbox.Nats.Resume();
        });
        await outbox.NothingPendingAsync(relay);
        await load.AssertArrivedAsync(outbox);
    }

    [Fact]
    public async Task A_postgres_killed_and_restarted_loses_nothing_that_was_committed()
    {
        await using var postgres = await PostgresServer.StartPrivateAsync(["fsync=on"]);
        await using var outbox = await Outbox.CreateAsync(postgres);
        var relay = await outbox.StartRelayAsync();
        var webhook = await outbox.RegisterAsync("orders");
        var before = await outbox.PublishAsync(webhook, """{"n": 1}""", "before");
        await outbox.StoredAsync(before, relay);
        await postgres.KillAsync();
        await postgres.RestartAsync();
        await Wait.UntilAsync(async () => await outbox.PublishAsync(webhook, """{"n": 2}""", "after") > 0, "PostgreSQL takes a publish again");
        await outbox.NothingPendingAsync(relay);
        Assert.Equal([$"{webhook}_before", $"{webhook}_after"], (await outbox.AssertHistoryIsTheStreamAsync()).Select(message => message.Id));
    }

    [Fact]
    public async Task A_slot_that_is_dropped_is_reported_and_created_again_and_its_rows_are_found()
    {
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync();
        var webhook = await outbox.RegisterAsync("orders");
        await outbox.StoredAsync(await outbox.PublishAsync(webhook, """{"n": 1}"""), relay);
        await Wait.UntilAsync(async () => await outbox.ScalarAsync<bool>("SELECT confirmed_lsn IS NOT NULL FROM rule_nats_relay_state"), "the slot's place is recorded", TimeSpan.FromSeconds(30));
        var load = await Load.RunAsync(outbox, webhook, 1000, () => PublishOutboxTests.DropSlotAsync(outbox));
        await outbox.NothingPendingAsync(relay);
        Assert.Equal(load.Committed.Count + 1, (await outbox.AssertHistoryIsTheStreamAsync()).Count);
        await relay.SaysAsync($"slot {outbox.Slot} was lost: it was dropped");
        Assert.True(await outbox.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1 AND active)", outbox.Slot));
    }

    [Fact]
    public async Task A_slot_whose_wal_was_removed_is_replaced_and_its_rows_are_found()
    {
        await using var postgres = await PostgresServer.StartPrivateAsync(["max_slot_wal_keep_size=1MB", "min_wal_size=32MB", "max_wal_size=32MB"]);
        await using var outbox = await Outbox.CreateAsync(postgres);
        var relay = await outbox.StartRelayAsync(settings: ("Relay__ScanInterval", "00:00:00.200"));
        var webhook = await outbox.RegisterAsync("orders");
        await outbox.StoredAsync(await outbox.PublishAsync(webhook, """{"n": 1}"""), relay);
        await Wait.UntilAsync(async () => await outbox.ScalarAsync<bool>("SELECT confirmed_lsn IS NOT NULL FROM rule_nats_relay_state"), "the slot's place is recorded");
        await relay.KillAsync();
        for (var n = 2; n <= 50; n++)
        {
            await outbox.PublishAsync(webhook, $$"""{"n": {{n}}}""");
        }

        await Wait.UntilAsync(
            async () =>
            {
                await outbox.ExecuteAsync("SELECT pg_logical_emit_message(false, 'filler', repeat('x', 100000)) FROM generate_series(1, 400)");
                await outbox.ExecuteAsync("CHECKPOINT");
                return await outbox.ScalarAsync<bool>("SELECT wal_status = 'lost' FROM pg_replication_slots WHERE slot_name = $1", outbox.Slot);
            },
            "the slot is lost");
        await relay.RestartAsync();
        await outbox.NothingPendingAsync(relay);
        Assert.Equal(50, (await outbox.AssertHistoryIsTheStreamAsync()).Count);
        await relay.SaysAsync($"slot {outbox.Slot} was lost: the server removed WAL it needed");
    }

    [Fact]
    public async Task Without_logical_wal_the_relay_polls_and_says_so()
    {
        await using var postgres = await PostgresServer.StartPrivateAsync(["wal_level=replica"]);
        await using var outbox = await Outbox.CreateAsync(postgres);
        var relay = await outbox.StartRelayAsync();
        var webhook = await outbox.RegisterAsync("orders");
        var load = await Load.RunAsync(outbox, webhook, 1000, () => Task.CompletedTask);
        await outbox.NothingPendingAsync(relay);
        await load.AssertArrivedAsync(outbox);
        var (status, body) = await relay.HealthAsync();
        Assert.Equal(200, status);
        Assert.Contains("wal_level is replica: polling", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_standby_takes_over_when_the_leader_is_killed()
    {
        await using var outbox = await Outbox.CreateAsync();
        var leader = await outbox.StartRelayAsync();
        var standby = await outbox.StartRelayAsync();
        await standby.SaysAsync("standing by");
        var webhook = await outbox.RegisterAsync("orders");
        var load = await Load.RunAsync(outbox, webhook, 1500, async () =>
        {
            await MoreStoredAsync(outbox, 200);
            await leader.KillAsync();
            await MoreStoredAsync(outbox, 200);
        });
        await outbox.NothingPendingAsync(standby);
        await load.AssertArrivedAsync(outbox);
    }

    [Fact]
    public async Task I14_a_standby_takes_over_from_a_leader_that_hangs_and_both_together_do_no_harm()
    {
        await using var outbox = await Outbox.CreateAsync();
        var leader = await outbox.StartRelayAsync(settings: ("Relay__Lease", "00:00:03"));
        var standby = await outbox.StartRelayAsync(settings: ("Relay__Lease", "00:00:03"));
        var webhook = await outbox.RegisterAsync("orders");
        var load = await Load.RunAsync(outbox, webhook, 1500, async () =>
        {
            await MoreStoredAsync(outbox, 200);
            leader.Pause();
            await MoreStoredAsync(outbox, 200);
            leader.Resume();
            await MoreStoredAsync(outbox, 200);
        });
        await outbox.NothingPendingAsync(standby);
        await load.AssertArrivedAsync(outbox);
        await standby.SaysAsync("leading as");
    }

    [Fact]
    public async Task A_relay_that_is_told_to_stop_marks_what_is_in_flight()
    {
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync();
        var webhook = await outbox.RegisterAsync("orders");
        var load = await Load.RunAsync(outbox, webhook, 500, async () =>
        {
            await MoreStoredAsync(outbox, 100);
            Assert.Equal(0, await relay.TerminateAsync());
        });
        Assert.Equal((await outbox.ReadStreamAsync()).Count, await outbox.CountAsync("stored"));
        await relay.RestartAsync();
        await outbox.NothingPendingAsync(relay);
        await load.AssertArrivedAsync(outbox);
    }

    [Fact]
    public async Task The_slot_follows_a_server_whose_other_databases_are_busy()
    {
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync();
        var webhook = await outbox.RegisterAsync("orders");
        await outbox.StoredAsync(await outbox.PublishAsync(webhook, """{"n": 1}"""), relay);
        await outbox.ExecuteAsync("CREATE TABLE elsewhere AS SELECT repeat('x', 1000) AS filler FROM generate_series(1, 5000)");
        var written = await outbox.ScalarAsync<string>("SELECT pg_current_wal_insert_lsn()::text");
        await Wait.UntilAsync(
            async () => await outbox.ScalarAsync<bool>("SELECT confirmed_flush_lsn >= $2::text::pg_lsn FROM pg_replication_slots WHERE slot_name = $1", outbox.Slot, written),
            "the slot is past what was written elsewhere");
    }

    // The delivery worker would look in vain for the call row or the webhook that the same transaction wrote, and deliver twice or to nobody.
    [Fact]
    public async Task Bug_2_an_event_was_published_before_its_transaction_could_be_seen()
    {
        // A commit that waits for a synchronous standby is in the WAL while no other session sees it.
        await using var postgres = await PostgresServer.StartPrivateAsync(["synchronous_standby_names=nobody", "synchronous_commit=local"]);
        await using var outbox = await Outbox.CreateAsync(postgres);
        var relay = await outbox.StartRelayAsync();
        await outbox.StreamingAsync();
        var webhook = await outbox.RegisterAsync("orders");
        await outbox.StoredAsync(await outbox.PublishAsync(webhook, """{"n": 1}"""), relay);
        await using var connection = await outbox.Database.OpenConnectionAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = $$"""SET synchronous_commit = on; SELECT rule_webhook_publish_nats({{webhook}}, '{"n": 2}')""";
        var committing = command.ExecuteNonQueryAsync();
        await relay.SaysAsync("is committed and still not visible");
        Assert.False(committing.IsCompleted);
        Assert.Single(await outbox.ReadStreamAsync());
        await outbox.ExecuteAsync("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
        await committing;
        await outbox.NothingPendingAsync(relay);
        Assert.Equal(2, (await outbox.AssertHistoryIsTheStreamAsync()).Count);
        Assert.Equal(0, await outbox.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE duplicate OR attempts <> 1"));
    }

    private static async Task MoreStoredAsync(Outbox outbox, long more)
    {
        var before = await outbox.CountAsync("stored");
        await Wait.UntilAsync(async () => await outbox.CountAsync("stored") >= before + more, $"{more} more rows are stored");
    }
}
