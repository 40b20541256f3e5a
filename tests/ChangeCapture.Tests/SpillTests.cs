using System.Buffers;
using System.Globalization;
using System.Text.Json;
using NATS.Client.JetStream.Models;
using Npgsql;
using RuleEngineNats.ChangeCapture.Spilling;

namespace RuleEngineNats.ChangeCapture.Tests;

/// <summary>The WAL guard's policy spill: what a stream does not take is kept on disk, and PostgreSQL is free of it.</summary>
[Trait("Category", "Servers")]
public sealed class SpillTests
{
    private const string Kept = "is kept on disk in";
    private const string Done = "had on disk is stored and deleted";

    private static readonly StreamConfig Full = new(CaptureHarness.Stream, ["postgres.>"])
    {
        Discard = StreamConfigDiscard.New,
        MaxMsgs = 5,
        DuplicateWindow = TimeSpan.FromMinutes(2),
    };

    [Fact]
    public async Task What_a_full_stream_does_not_take_is_on_disk_until_it_does_and_the_WAL_is_free()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        await harness.JetStream.CreateStreamAsync(Full);
        var tool = await harness.CaptureToNatsAsync(Spill(harness));
        await InsertAsync(harness, 1, 4000);
        await tool.SaysAsync(Kept);
        await harness.ConfirmedAsync(tool);
        await InsertAsync(harness, 4001, 8000);
        await harness.ConfirmedAsync(tool);
        Assert.Equal(5, await harness.StoredAsync());
        Assert.True(Files(harness).Sum(file => file.Length) > 8_000_000);
        await ResolveAsync(harness, tool, 8000);

        // And it goes on without.
        await harness.ExecuteAsync("INSERT INTO t VALUES (8001)");
        await harness.ConfirmedAsync(tool);
        Assert.Equal(Enumerable.Range(1, 8001), Rows.Ids(await harness.ReadStreamAsync()));
        Assert.Empty(Files(harness));
    }

    // A header, and less than it says; all of it, but not what was to be written.
    [Theory]
    [InlineData((byte)20, (byte)'I', (byte)0)]
    [InlineData((byte)2, (byte)'I', (byte)0)]
    public async Task A_kill_and_a_torn_record_cost_nothing(byte length, params byte[] rest)
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        await harness.JetStream.CreateStreamAsync(Full);
        var tool = await harness.CaptureToNatsAsync(Spill(harness));
        await InsertAsync(harness, 1, 4000);
        await tool.SaysAsync(Kept);
        await harness.ConfirmedAsync(tool);
        await tool.KillAsync();
        await using (var torn = new FileStream(Assert.Single(Files(harness)).FullName, FileMode.Append))
        {
            torn.Write([length, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, .. rest]);
        }

        tool = await harness.CaptureToNatsAsync(Spill(harness));
        await InsertAsync(harness, 4001, 4100);
        await harness.ConfirmedAsync(tool);
        Assert.Equal(2, Files(harness).Length);
        await ResolveAsync(harness, tool, 4100);
        Assert.Contains("the last 18 bytes of ", tool.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stop_leaves_the_rest_on_disk_for_the_next_start()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        await harness.JetStream.CreateStreamAsync(Full);
        var tool = await harness.CaptureToNatsAsync(Spill(harness));
        await InsertAsync(harness, 1, 4000);
        await tool.SaysAsync(Kept);
        await harness.ConfirmedAsync(tool);
        await InsertAsync(harness, 4001, 4100);
        Assert.Equal(0, await tool.TerminateAsync());
        Assert.NotEmpty(Files(harness));
        await InsertAsync(harness, 4101, 4200);

        // Whatever the policy is then.
        tool = await harness.CaptureToNatsAsync("--spill-directory", harness.Folder);
        await ResolveAsync(harness, tool, 4200);
    }

    [Fact]
    public async Task Large_transactions_that_commit_or_roll_back_meanwhile_come_at_their_commit_or_never()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        await harness.ExecuteAsync($"ALTER DATABASE {new NpgsqlConnectionStringBuilder(harness.ConnectionString).Database} SET logical_decoding_work_mem = '64kB'");
        await harness.JetStream.CreateStreamAsync(Full);
        var tool = await harness.CaptureToNatsAsync(Spill(harness));
        await InsertAsync(harness, 1, 4000);
        await tool.SaysAsync(Kept);
        await using (var connection = await harness.Database.OpenConnectionAsync())
        {
            await ExecuteAsync(connection, "BEGIN; INSERT INTO t SELECT g FROM generate_series(10001, 15000) g; SAVEPOINT a; INSERT INTO t SELECT g FROM generate_series(20001, 25000) g; ROLLBACK TO a");
            await InsertAsync(harness, 4001, 4010);
            await ExecuteAsync(connection, "COMMIT");
            await ExecuteAsync(connection, "BEGIN; INSERT INTO t SELECT g FROM generate_series(30001, 35000) g; ROLLBACK");
        }

        await harness.ConfirmedAsync(tool);
        Assert.Equal(5, await harness.StoredAsync());
        await harness.JetStream.UpdateStreamAsync(Full with { MaxMsgs = -1 });
        await tool.SaysAsync(Done);
        Assert.Equal(Enumerable.Range(1, 4010).Concat(Enumerable.Range(10001, 5000)), Rows.Ids(await harness.ReadStreamAsync()));
    }

    [Fact]
    public async Task Rows_come_once_and_in_order_whatever_is_killed_while_the_stream_stops_and_goes_on()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        await harness.JetStream.CreateStreamAsync(Full with { MaxMsgs = 1000 });
        var tool = await harness.CaptureToNatsAsync(Spill(harness));
        using var rows = new Rows(harness);
        await tool.SaysAsync(Kept);
        await harness.JetStream.UpdateStreamAsync(Full with { MaxMsgs = -1 });
        for (var kills = 0; kills < 3; kills++)
        {
            await rows.MoreStoredAsync(tool);
            await tool.KillAsync();
            tool = await harness.CaptureToNatsAsync(Spill(harness));
        }

        // What is on disk is confirmed and not stored; the workers may be faster than the stream.
        await rows.StopAsync();
        await tool.WaitAsync(() => Task.FromResult(Files(harness).Length == 0), "everything is stored");
        await rows.AssertAllStoredOnceAsync(tool);
        Assert.Empty(Files(harness));
    }

    [Fact]
    public async Task Beyond_its_limit_the_server_keeps_the_WAL_and_nothing_is_lost()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        await harness.JetStream.CreateStreamAsync(Full);
        var tool = await harness.CaptureToNatsAsync([.. Spill(harness), "--wal-spill-limit", "2097152"]);
        await InsertAsync(harness, 1, 1500);
        await tool.SaysAsync(Kept);
        for (var first = 1501; first <= 4000; first += 500)
        {
            await InsertAsync(harness, first, first + 499);
        }

        await tool.SaysAsync("has 2097152 bytes on disk (WalSpillLimit, --wal-spill-limit): PostgreSQL keeps the WAL again");
        Assert.InRange(Files(harness).Sum(file => file.Length), 1_000_000, 2_097_152);
        Assert.False(await harness.ScalarAsync<bool>($"SELECT confirmed_flush_lsn >= pg_current_wal_lsn() FROM pg_replication_slots WHERE slot_name = '{harness.Slot}'"));
        await ResolveAsync(harness, tool, 4000);
    }

    [Fact]
    public async Task A_disk_without_room_is_named_and_tried_again_until_there_is_some()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        await harness.JetStream.CreateStreamAsync(Full);
        var tool = await harness.CaptureToNatsAsync([.. Spill(harness), "--target", "nats"]);
        await LargeTransactionTests.LimitFilesAsync(tool, "100000");
        await InsertAsync(harness, 1, 4000);
        await tool.SaysAsync($"SpillDirectory (--spill-directory): {harness.Folder} cannot be used: ", times: 2);
        await LargeTransactionTests.LimitFilesAsync(tool, "unlimited");
        await harness.ConfirmedAsync(tool);
        Assert.Equal(5, await harness.StoredAsync());
        await ResolveAsync(harness, tool, 4000);
    }

    [Fact]
    public async Task A_snapshot_goes_on_meanwhile_and_the_replayed_table_is_the_same()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        await harness.JetStream.CreateStreamAsync(Full with { MaxMsgs = 1000 });
        await InsertAsync(harness, 1, 3000);
        var tool = await harness.CaptureToNatsAsync([.. Spill(harness), "--snapshot", "initial", "--snapshot-chunk-rows", "100"]);
        await tool.SaysAsync("StreamFull");
        await harness.ExecuteAsync("UPDATE t SET worker = 1 WHERE id % 2 = 0; DELETE FROM t WHERE id % 7 = 0");
        await InsertAsync(harness, 3001, 6000);
        await tool.SaysAsync(Kept);
        await harness.ConfirmedAsync(tool);
        await harness.JetStream.UpdateStreamAsync(Full with { MaxMsgs = -1 });
        await tool.SaysAsync("is complete");
        await tool.SaysAsync(Done);
        await harness.ConfirmedAsync(tool);
        Assert.Equal(await ReplayedTable.RowsAsync(harness, "SELECT * FROM t"), ReplayedTable.Of(await harness.ReadStreamAsync(), "public.t", "id").Rows);
    }

    [Fact]
    public async Task A_snapshot_without_NATS_holds_no_WAL_then_and_begins_again_after_a_kill()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        await InsertAsync(harness, 1, 5000);
        var tool = await harness.CaptureAsync([.. Spill(harness), "--snapshot", "initial", "--snapshot-chunk-rows", "1"]);
        await InsertAsync(harness, 5001, 7500);
        await tool.SaysAsync(Kept);
        await harness.ConfirmedAsync(tool);
        await tool.KillAsync();
        Assert.DoesNotContain("is complete", tool.Log, StringComparison.Ordinal);
        Assert.NotEmpty(Files(harness));

        tool = await harness.CaptureAsync("--spill-directory", harness.Folder);
        await tool.SaysAsync("is complete");
        await tool.SaysAsync(Done);
        Assert.Empty(Files(harness));
        Assert.Equal(7500, tool.Lines().Count(line => line.Contains("\"Read\"", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Parts_of_a_transaction_go_on_from_disk_behind_what_the_stream_has()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        await harness.JetStream.CreateStreamAsync(Full with { MaxMsgs = 1 });
        var tool = await harness.CaptureToNatsAsync([.. Spill(harness), "--per", "transaction"]);
        await InsertAsync(harness, 1, 4000);
        await tool.SaysAsync(Kept);
        await harness.ConfirmedAsync(tool);
        await tool.KillAsync();
        tool = await harness.CaptureToNatsAsync([.. Spill(harness), "--per", "transaction"]);
        await InsertAsync(harness, 4001, 4100);
        await harness.JetStream.UpdateStreamAsync(Full with { MaxMsgs = -1 });
        await tool.SaysAsync(Done);
        await harness.ConfirmedAsync(tool);
        var changes = (await harness.ReadStreamAsync()).SelectMany(message => JsonElement.Parse(message.Body).GetProperty("Transaction").GetProperty("changes").EnumerateArray());
        var ids = changes.Where(change => change.TryGetProperty("Insert", out _)).Select(change => change.GetProperty("Insert").GetProperty("new_tuple").GetProperty("id").GetString());
        Assert.Equal(Enumerable.Range(1, 4100).Select(id => id.ToString(CultureInfo.InvariantCulture)), ids);
    }

    [Fact]
    public async Task A_file_of_another_PostgreSQL_ends_the_capture_and_one_in_use_waits()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        ToolProcess tool;
        await using (new FileStream(Path.Combine(harness.Folder, $"{harness.Slot}.lock"), FileMode.Create, FileAccess.Write, FileShare.None))
        {
            tool = harness.Start("-c", harness.ConnectionString, "-s", harness.Slot, "-p", "pub", "--create-slot", "--spill-directory", harness.Folder);
            await tool.SaysAsync("or end the other process that captures from the slot", times: 2);
        }

        await tool.SaysAsync("capturing from slot");
        Assert.Equal(0, await tool.TerminateAsync());
        var record = new ArrayBufferWriter<byte>();
        SpillRecord.Write(record, 0, "7:1"u8);
        await File.WriteAllBytesAsync(Path.Combine(harness.Folder, $"{harness.Slot}-1.spill"), record.WrittenMemory);
        tool = await harness.CaptureAsync("--spill-directory", harness.Folder);
        Assert.Equal(1, await tool.ExitAsync());
        Assert.Contains($"--spill-directory: {harness.Folder}/{harness.Slot}-1.spill has changes of PostgreSQL 7:1 (system identifier and timeline), and this is ", tool.Log, StringComparison.Ordinal);
        Assert.Single(Files(harness));
    }

    private static string[] Spill(CaptureHarness harness)
        => ["--max-in-flight", "8", "--wal-policy", "spill", "--wal-limit", "1048576", "--wal-grace", "1", "--spill-directory", harness.Folder];

    private static Task InsertAsync(CaptureHarness harness, int first, int last)
        => harness.ExecuteAsync($"INSERT INTO t SELECT g, 0, repeat('x', 1000) FROM generate_series({first}, {last}) g");

    private static FileInfo[] Files(CaptureHarness harness) => new DirectoryInfo(harness.Folder).GetFiles($"{harness.Slot}-*.spill");

    // The stream has room: every row is there once, in order, and the files are gone.
    private static async Task ResolveAsync(CaptureHarness harness, ToolProcess tool, int last)
    {
        await harness.JetStream.UpdateStreamAsync(Full with { MaxMsgs = -1 });
        await tool.SaysAsync(Done);
        await harness.ConfirmedAsync(tool);
        Assert.Equal(Enumerable.Range(1, last), Rows.Ids(await harness.ReadStreamAsync()));
        Assert.Empty(Files(harness));
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 120 };
        await command.ExecuteNonQueryAsync();
    }
}
