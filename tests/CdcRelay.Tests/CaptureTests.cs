using NATS.Client.JetStream.Models;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.CdcRelay.Tests;

/// <summary>Row changes captured by the service, as SQL asks for it.</summary>
[Trait("Category", "Servers")]
public sealed class CaptureTests
{
    private const string Stream = "postgres_replication";

    [Fact]
    public async Task A_table_is_captured_paused_resumed_and_left_alone_as_SQL_says()
    {
        await using var outbox = await StartAsync();
        await outbox.ExecuteAsync("CREATE TABLE \"odd.table\" (id int PRIMARY KEY, card text)");
        await outbox.ExecuteAsync("""SELECT rule_cdc_table_add('"odd.table"', p_settings => '{"mask_columns": ["card"]}')""");
        await IsAsync(outbox, "capturing");
        await outbox.ExecuteAsync("INSERT INTO \"odd.table\" VALUES (1, '4111')");
        await EventsAsync(outbox, ".insert", 1);

        Assert.True(await outbox.ScalarAsync<bool>("SELECT rule_cdc_pause()"));
        await IsAsync(outbox, "paused");
        await Wait.UntilAsync(async () => !await outbox.ScalarAsync<bool>("SELECT active FROM pg_replication_slots WHERE slot_name = $1", outbox.Slot + "_cdc"), "the slot is left");
        await outbox.ExecuteAsync("INSERT INTO \"odd.table\" VALUES (2, '4222')");
        Assert.True(await outbox.ScalarAsync<bool>("SELECT rule_cdc_resume()"));
        var inserts = await EventsAsync(outbox, ".insert", 2);
        Assert.Equal(["1", "2"], inserts.Select(message => Field(message, "id")));
        Assert.All(inserts, message => Assert.Equal("***", Field(message, "card")));
        Assert.All(inserts, message => Assert.Equal("postgres.public.odd%2Etable.insert", message.Subject));

        Assert.True(await outbox.ScalarAsync<bool>("SELECT rule_cdc_table_remove('\"odd.table\"')"));
        await outbox.ExecuteAsync("CREATE TABLE other (id int PRIMARY KEY); SELECT rule_cdc_table_add('other')");
        await outbox.ExecuteAsync("INSERT INTO \"odd.table\" VALUES (3, '4333'); INSERT INTO other VALUES (4)");
        Assert.Equal(["1", "2", "4"], (await EventsAsync(outbox, ".insert", 3)).Select(message => Field(message, "id")));

        await outbox.ExecuteAsync("SELECT rule_cdc_drop('default')");
        await Wait.UntilAsync(() => outbox.ScalarAsync<bool>("SELECT NOT EXISTS (SELECT FROM rule_cdc_captures)"), "the capture is gone");
        Assert.Equal(0, await outbox.ScalarAsync<long>("SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", outbox.Slot + "_cdc"));
    }

    [Fact]
    public async Task Neither_the_outbox_nor_a_capture_stands_still_for_the_other()
    {
        await using var outbox = await StartAsync();
        await outbox.JetStream.CreateStreamAsync(new StreamConfig(Stream, ["postgres.>"]) { Discard = StreamConfigDiscard.New, MaxMsgs = 2 });
        await outbox.ExecuteAsync("CREATE TABLE t (id int PRIMARY KEY); SELECT rule_cdc_table_add('t')");
        await IsAsync(outbox, "capturing");
        await outbox.ExecuteAsync("INSERT INTO t SELECT generate_series(1, 10)");
        await IsAsync(outbox, "stopped");
        var webhook = await outbox.RegisterAsync("orders");
        await outbox.StoredAsync(await outbox.PublishAsync(webhook, "{}"));

        await outbox.JetStream.DeleteStreamAsync("WEBHOOKS");
        var waiting = await outbox.PublishAsync(webhook, "{}");
        await Wait.UntilAsync(() => outbox.ScalarAsync<bool>("SELECT attempts > 0 FROM rule_nats_publish_history WHERE publish_id = $1", waiting), "the outbox waits");
        await outbox.JetStream.UpdateStreamAsync(new StreamConfig(Stream, ["postgres.>"]) { Discard = StreamConfigDiscard.New, MaxMsgs = -1, DuplicateWindow = TimeSpan.FromMinutes(2) });
        Assert.Equal(10, (await EventsAsync(outbox, ".insert", 10)).Count);
        await IsAsync(outbox, "capturing");
        await outbox.CreateStreamAsync();
        await outbox.StoredAsync(waiting);
    }

    [Fact]
    public async Task Another_relay_goes_on_where_a_killed_one_was()
    {
        await using var outbox = await StartAsync();
        await outbox.ExecuteAsync("CREATE TABLE t (id int PRIMARY KEY); SELECT rule_cdc_table_add('t')");
        await IsAsync(outbox, "capturing");
        await outbox.StartRelayAsync();
        for (var round = 0; round < 3; round++)
        {
            await outbox.ExecuteAsync("INSERT INTO t SELECT generate_series($1, $1 + 999)", round * 1000);
            var reporter = await outbox.ScalarAsync<string>("SELECT reported_by FROM rule_cdc_reports");
            var relay = outbox.Relays.Single(relay => reporter.EndsWith($":{relay.Id}", StringComparison.Ordinal));
            await relay.KillAsync();
            await Wait.UntilAsync(() => outbox.ScalarAsync<bool>("SELECT reported_by <> $1 AND state = 'capturing' FROM rule_cdc_reports", reporter), "another relay captures");
            await relay.RestartAsync();
        }

        Assert.Equal(Enumerable.Range(0, 3000), (await EventsAsync(outbox, ".insert", 3000)).Select(message => int.Parse(Field(message, "id"), null)));
    }

    [Fact]
    public async Task A_table_added_with_a_snapshot_and_a_row_filter_brings_the_rows_that_were_there_and_pass()
    {
        await using var outbox = await StartAsync();
        await outbox.ExecuteAsync("CREATE TABLE t (id int PRIMARY KEY, total numeric); INSERT INTO t SELECT g, g FROM generate_series(1, 3000) g");
        await outbox.ExecuteAsync("""SELECT rule_cdc_table_add('t', p_settings => '{"snapshot": true, "row_filter": "$.total > 1000"}')""");
        await outbox.ExecuteAsync("UPDATE t SET total = 0 WHERE id = 2000");
        var reads = await EventsAsync(outbox, ".read", 1999);
        await Wait.UntilAsync(() => outbox.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM rule_cdc_snapshots WHERE state = 'completed')"), "the snapshot is reported");
        Assert.Equal("public.t 3000", await outbox.ScalarAsync<string>("SELECT string_agg(table_name || ' ' || rows_read, ',') FROM rule_cdc_snapshots"));
        Assert.Equal(1999, reads.Select(message => message.Id).Distinct().Count());

        await outbox.ExecuteAsync("SELECT rule_cdc_snapshot()");
        await EventsAsync(outbox, ".read", 2 * 1999);
        Assert.Equal(0, await outbox.ScalarAsync<long>("SELECT count(*) FROM rule_cdc_snapshot_requests"));
    }

    [Fact]
    public async Task I15_a_slot_that_is_gone_turns_health_red_and_is_made_anew_only_when_asked_with_a_gap_event()
    {
        await using var outbox = await StartAsync();
        await outbox.ExecuteAsync("CREATE TABLE t (id int PRIMARY KEY); SELECT rule_cdc_table_add('t'); INSERT INTO t VALUES (1)");
        await IsAsync(outbox, "capturing");
        await outbox.ExecuteAsync("INSERT INTO t VALUES (2)");
        await EventsAsync(outbox, ".insert", 1);
        await outbox.ExecuteAsync("SELECT rule_cdc_pause()");
        await Wait.UntilAsync(
            async () =>
            {
                await outbox.ExecuteAsync("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active", outbox.Slot + "_cdc");
                return await outbox.ScalarAsync<bool>("SELECT NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)", outbox.Slot + "_cdc");
            },
            "the slot is dropped");
        await outbox.ExecuteAsync("INSERT INTO t VALUES (3); SELECT rule_cdc_resume()");
        await IsAsync(outbox, "lost");
        await Wait.UntilAsync(async () => (await outbox.Relays[0].HealthAsync()).Body.Contains("call rule_cdc_recover", StringComparison.Ordinal), "health is red");

        await outbox.ExecuteAsync("SELECT rule_cdc_recover()");
        await IsAsync(outbox, "capturing");
        await outbox.Relays[0].ReadyAsync();
        await outbox.ExecuteAsync("INSERT INTO t VALUES (4)");
        var inserts = await EventsAsync(outbox, ".insert", 2);
        Assert.Equal(["2", "4"], inserts.Select(message => Field(message, "id")));
        var all = (await outbox.ReadStreamAsync(Stream)).Select(message => message.Subject).ToList();
        Assert.InRange(all.IndexOf("postgres.transactions.gap.event"), all.IndexOf("postgres.public.t.insert") + 1, all.LastIndexOf("postgres.public.t.insert") - 1);
        await EventsAsync(outbox, ".read", 3);
        Assert.False(await outbox.ScalarAsync<bool>("SELECT recover FROM rule_cdc_captures"));
    }

    [Fact]
    public async Task A_capture_that_its_policy_pauses_is_paused_in_the_table_and_goes_on_when_resumed()
    {
        await using var outbox = await StartAsync();
        await outbox.ExecuteAsync("""SELECT rule_cdc_configure(p_settings => '{"wal_policy": "pause", "wal_limit": 1048576}')""");
        await outbox.JetStream.CreateStreamAsync(new StreamConfig(Stream, ["postgres.>"]) { Discard = StreamConfigDiscard.New, MaxMsgs = 2 });
        await outbox.ExecuteAsync("CREATE TABLE t (id int PRIMARY KEY, pad text); SELECT rule_cdc_table_add('t')");
        await IsAsync(outbox, "capturing");
        await outbox.ExecuteAsync("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 3000) g");
        await IsAsync(outbox, "paused");
        Assert.Contains("bytes behind", await outbox.ScalarAsync<string>("SELECT reason FROM cdc_status"), StringComparison.Ordinal);
        await outbox.JetStream.UpdateStreamAsync(new StreamConfig(Stream, ["postgres.>"]) { Discard = StreamConfigDiscard.New, MaxMsgs = -1, DuplicateWindow = TimeSpan.FromMinutes(2) });
        await outbox.ExecuteAsync("SELECT rule_cdc_resume()");
        Assert.Equal(3000, (await EventsAsync(outbox, ".insert", 3000)).Select(message => Field(message, "id")).Distinct().Count());
    }

    [Fact]
    public async Task A_policy_that_needs_a_folder_says_which_setting_names_it()
    {
        await using var outbox = await StartAsync();
        await outbox.ExecuteAsync("""SELECT rule_cdc_configure(p_settings => '{"wal_policy": "spill"}'); CREATE TABLE t (id int PRIMARY KEY); SELECT rule_cdc_table_add('t')""");
        await IsAsync(outbox, "failed");
        Assert.Contains("Changes:SpillDirectory", await outbox.ScalarAsync<string>("SELECT reason FROM cdc_status"), StringComparison.Ordinal);
    }

    private static async Task<Outbox> StartAsync()
    {
        var outbox = await Outbox.CreateAsync();
        await outbox.ExecuteAsync("SELECT rule_cdc_configure(p_settings => jsonb_build_object('slot_name', $1::text))", outbox.Slot + "_cdc");
        await outbox.StartRelayAsync();
        return outbox;
    }

    private static Task IsAsync(Outbox outbox, string state) => Wait.UntilAsync(
        async () => await outbox.ScalarAsync<string>("SELECT state FROM cdc_status") is var found && (found == state
            || (found == "failed" ? throw new InvalidOperationException(await outbox.ScalarAsync<string>("SELECT reason FROM cdc_status")) : false)),
        $"the capture is {state}");

    private static async Task<List<Outbox.Message>> EventsAsync(Outbox outbox, string suffix, int count)
    {
        List<Outbox.Message> events = [];
        await Wait.UntilAsync(
            async () => (events = [.. (await outbox.ReadStreamAsync(Stream)).Where(message => message.Subject.EndsWith(suffix, StringComparison.Ordinal))]).Count >= count,
            $"{count} events of {suffix}");
        return events;
    }

    private static string Field(Outbox.Message message, string name)
        => System.Text.Json.JsonDocument.Parse(message.Body).RootElement.GetProperty("Insert").GetProperty("new_tuple").GetProperty(name).GetString()!;
}
