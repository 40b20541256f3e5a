using System.Text.Json;
using NATS.Client.JetStream.Models;
using RuleEngineNats.ChangeCapture.Guard;

namespace RuleEngineNats.ChangeCapture.Tests;

/// <summary>What happens when the outputs stand still and WAL is kept for them.</summary>
[Trait("Category", "Servers")]
public sealed class GuardTests
{
    private const string Filler = "INSERT INTO filler SELECT repeat(md5(random()::text), 32) FROM generate_series(1, 4000)";

    private static readonly StreamConfig Full = new(CaptureHarness.Stream, ["postgres.>"])
    {
        Discard = StreamConfigDiscard.New,
        MaxMsgs = 5,
        DuplicateWindow = TimeSpan.FromMinutes(2),
    };

    [Theory]
    [Trait("Category", "Unit")]
    [InlineData("reserved", 10L, 10L, 100L, null, false)]
    [InlineData("extended", 60L, 10L, 100L, "a transaction that began long ago holds it", false)]
    [InlineData("extended", 60L, 60L, 100L, "its outputs are behind", true)]
    [InlineData("unreserved", 60L, 10L, 100L, "max_slot_wal_keep_size is exceeded", false)]
    [InlineData("lost", 0L, 60L, 100L, "changes are missing", false)]
    [InlineData("extended", 60L, 60L, null, null, false)]
    public void A_slot_is_warned_of_by_half_of_what_the_server_keeps(string status, long held, long behind, long? keep, string? warning, bool act)
    {
        var verdict = WalVerdict.Of(new(status, held, behind, null, keep, null), asked: null);
        Assert.Equal(act, verdict.Act);
        Assert.Contains(warning ?? "", verdict.Warning ?? "", StringComparison.Ordinal);
        Assert.Equal(warning is null, verdict.Warning is null);
    }

    [Fact]
    public async Task I15_the_guard_speaks_before_the_slot_is_lost_and_a_replaced_slot_begins_with_a_gap()
    {
        await using var harness = await StalledAsync(["max_slot_wal_keep_size=64MB", "max_wal_size=32MB", "checkpoint_timeout=30min"]);
        var tool = await harness.CaptureToNatsAsync("--max-in-flight", "8", "--table", "public.t", "--verbose");
        for (var looks = 1; !tool.Log.Contains($"slot {harness.Slot} is in danger", StringComparison.Ordinal); looks++)
        {
            await harness.ExecuteAsync(Filler);
            await tool.SaysAsync("bytes behind", looks);
        }

        Assert.NotEqual("lost", await StatusAsync(harness));
        Assert.Contains("its outputs are behind", tool.Log, StringComparison.Ordinal);
        while (await StatusAsync(harness) != "lost")
        {
            await harness.ExecuteAsync(Filler + "; SELECT pg_switch_wal()");
            await harness.ExecuteAsync("CHECKPOINT");
        }

        await harness.ExecuteAsync("DELETE FROM t WHERE id < 20; INSERT INTO t SELECT g, 1 FROM generate_series(100, 200) g");
        await harness.JetStream.UpdateStreamAsync(Full with { MaxMsgs = -1 });
        Assert.Equal(1, await tool.ExitAsync());
        Assert.Contains("changes since", tool.Log, StringComparison.Ordinal);
        Assert.Contains("--recover-slot", tool.Log, StringComparison.Ordinal);

        var before = (int)await harness.StoredAsync();
        var again = await harness.CaptureToNatsAsync("--recover-slot", "--table", "public.t");
        await again.SaysAsync("is complete");
        await harness.ExecuteAsync("INSERT INTO t VALUES (99)");
        await harness.ConfirmedAsync(again);
        var stored = await harness.ReadStreamAsync();
        Assert.Equal("postgres.transactions.gap.event", stored[before].Subject);
        Assert.Equal(await ReplayedTable.RowsAsync(harness, "SELECT * FROM t"), ReplayedTable.Of(stored, "public.t", "id").Rows);
    }

    [Fact]
    public async Task What_the_policy_drops_is_a_gap_event_in_its_place_also_after_a_kill()
    {
        await using var harness = await StalledAsync([]);
        // Whatever else a server writes makes the slot fall behind, and may be dropped, too.
        string[] drop = ["--max-in-flight", "8", "--table", "public.t", "--wal-policy", "drop", "--wal-limit", "1048576", "--wal-grace", "2"];
        var tool = await harness.CaptureToNatsAsync(drop);
        await harness.ExecuteAsync("DELETE FROM t WHERE id = 7");
        await harness.ExecuteAsync("INSERT INTO t SELECT g, 0, repeat('x', 1000) FROM generate_series(100, 4000) g");
        await tool.SaysAsync("is left out (WalPolicy drop)");
        await tool.SaysAsync("capturing from slot", times: 2);
        await tool.KillAsync();
        await harness.JetStream.UpdateStreamAsync(Full with { MaxMsgs = -1 });
        tool = await harness.CaptureToNatsAsync("--table", "public.t");
        await tool.SaysAsync("is complete");
        await harness.ExecuteAsync("INSERT INTO t VALUES (99)");
        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        var gap = Assert.Single(stored, message => message.Subject == "postgres.transactions.gap.event");
        var (from, to) = Bounds(gap);
        Assert.True(from < to);
        var at = stored.IndexOf(gap);
        Assert.All(stored.Take(at), message => Assert.True(CommitOf(message) <= from));
        Assert.All(stored.Skip(at), message => Assert.True(CommitOf(message) >= to));
        Assert.Equal([99], Rows.Ids(stored.Skip(at)));
        Assert.Equal(await ReplayedTable.RowsAsync(harness, "SELECT * FROM t"), ReplayedTable.Of(stored, "public.t", "id").Rows);
    }

    [Fact]
    public async Task A_pause_ends_the_capture_and_loses_nothing()
    {
        await using var harness = await StalledAsync([]);
        var tool = await harness.CaptureToNatsAsync("--max-in-flight", "8", "--wal-policy", "pause", "--wal-limit", "1048576", "--wal-grace", "2");
        await harness.ExecuteAsync("INSERT INTO t SELECT g, 0, repeat('x', 1000) FROM generate_series(101, 4000) g");
        Assert.Equal(1, await tool.ExitAsync());
        Assert.Contains("--wal-policy: slot", tool.Log, StringComparison.Ordinal);
        await harness.JetStream.UpdateStreamAsync(Full with { MaxMsgs = -1 });
        tool = await harness.CaptureToNatsAsync();
        await harness.ConfirmedAsync(tool);
        Assert.Equal(3900, Rows.Ids(await harness.ReadStreamAsync()).Distinct().Count(id => id > 100));
    }

    [Fact]
    public async Task A_slot_made_anew_under_its_name_begins_with_a_gap_and_a_first_one_does_not()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        var tool = await harness.CaptureToNatsAsync();
        await harness.ExecuteAsync("INSERT INTO t VALUES (1)");
        await harness.ConfirmedAsync(tool);
        await tool.TerminateAsync();
        await harness.ExecuteAsync($"SELECT pg_drop_replication_slot('{harness.Slot}'); INSERT INTO t VALUES (2)");
        tool = await harness.CaptureToNatsAsync();
        await harness.ExecuteAsync("INSERT INTO t VALUES (3)");
        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        var gap = Assert.Single(stored, message => message.Subject == "postgres.transactions.gap.event");
        Assert.Equal([1, 3], Rows.Ids(stored));
        Assert.True(stored.IndexOf(gap) > stored.FindIndex(message => message.Subject == "postgres.public.t.insert"));
        Assert.Equal(CommitOf(stored[stored.IndexOf(gap) - 1]), Bounds(gap).From);
    }

    [Fact]
    public async Task I16_an_idle_table_holds_no_WAL_of_a_busy_database_and_heartbeats_are_no_events()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table + "; CREATE TABLE busy (v text)");
        await harness.ExecuteAsync("DROP PUBLICATION pub; CREATE PUBLICATION pub FOR TABLE t");
        var tool = await harness.CaptureToNatsAsync("--heartbeat-interval", "1", "--verbose");
        await harness.ExecuteAsync("INSERT INTO busy SELECT repeat('x', 1000) FROM generate_series(1, 20000)");
        await harness.ConfirmedAsync(tool);
        await tool.WaitAsync(
            async () => await harness.ScalarAsync<bool>($"SELECT restart_lsn > '0/0'::pg_lsn + pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') - 10000000 FROM pg_replication_slots WHERE slot_name = '{harness.Slot}'"),
            "what the slot holds is less than what was written");
        await harness.ExecuteAsync("INSERT INTO t VALUES (1)");
        await harness.ConfirmedAsync(tool);
        Assert.Equal(["postgres.transactions.begin.event", "postgres.public.t.relation", "postgres.public.t.insert", "postgres.transactions.commit.event"], (await harness.ReadStreamAsync()).Select(message => message.Subject));
    }

    // The stream takes the first rows and no more. With settings, PostgreSQL is the test's own.
    private static async Task<CaptureHarness> StalledAsync(string[]? settings = null)
    {
        var harness = await CaptureHarness.CreateAsync(Rows.Table + "; CREATE TABLE filler (v text)", postgres: settings is null ? null : await TestKit.PostgresServer.StartPrivateAsync(settings));
        await harness.JetStream.CreateStreamAsync(Full);
        var tool = await harness.CaptureToNatsAsync("--max-in-flight", "8");
        await harness.ExecuteAsync("INSERT INTO t SELECT g FROM generate_series(1, 50) g");
        await tool.SaysAsync("StreamFull");
        await tool.KillAsync();
        return harness;
    }

    private static Task<string> StatusAsync(CaptureHarness harness)
        => harness.ScalarAsync<string>($"SELECT wal_status FROM pg_replication_slots WHERE slot_name = '{harness.Slot}'");

    private static NpgsqlTypes.NpgsqlLogSequenceNumber CommitOf(StoredEvent message) => NpgsqlTypes.NpgsqlLogSequenceNumber.Parse(message.Id.Split(':')[1]);

    private static (NpgsqlTypes.NpgsqlLogSequenceNumber From, NpgsqlTypes.NpgsqlLogSequenceNumber To) Bounds(StoredEvent gap)
    {
        var body = JsonDocument.Parse(gap.Body).RootElement.GetProperty("Gap");
        return (NpgsqlTypes.NpgsqlLogSequenceNumber.Parse(body.GetProperty("from_lsn").GetString()!), NpgsqlTypes.NpgsqlLogSequenceNumber.Parse(body.GetProperty("to_lsn").GetString()!));
    }
}
