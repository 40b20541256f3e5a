using System.Globalization;
using NATS.Client.JetStream.Models;

namespace RuleEngineNats.ChangeCapture.Tests;

[Trait("Category", "Servers")]
public sealed class StoppedFlowTests
{
    [Fact]
    public async Task A_full_stream_stops_the_flow_until_there_is_room()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        var config = new StreamConfig(CaptureHarness.Stream, ["postgres.>"]) { Discard = StreamConfigDiscard.New, MaxBytes = 20_000, DuplicateWindow = TimeSpan.FromMinutes(2) };
        await harness.JetStream.CreateStreamAsync(config);
        var tool = await harness.CaptureToNatsAsync("--max-in-flight", "8");
        // Large and small by turns: a small one would still fit where a large one does not.
        await harness.ExecuteAsync("INSERT INTO t SELECT g, 0, repeat('x', (g % 2) * 3000) FROM generate_series(1, 200) g");
        await tool.SaysAsync("StreamFull");
        Assert.False(await harness.ScalarAsync<bool>($"SELECT confirmed_flush_lsn >= pg_current_wal_lsn() FROM pg_replication_slots WHERE slot_name = '{harness.Slot}'"));
        await harness.JetStream.UpdateStreamAsync(config with { MaxBytes = 50_000_000 });
        await harness.ConfirmedAsync(tool);
        await tool.SaysAsync("goes on");
        var stored = await harness.ReadStreamAsync();
        Assert.Equal(Enumerable.Range(1, 200), Rows.Ids(stored));
        Assert.Equal(tool.Lines(), stored.Select(message => message.Body));
    }

    [Fact]
    public async Task A_stream_that_does_not_take_the_subject_or_takes_no_large_message_stops_the_flow_until_it_does()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        var config = new StreamConfig(CaptureHarness.Stream, ["postgres.transactions.>", "postgres.public.other.*"]) { MaxMsgSize = 2000, DuplicateWindow = TimeSpan.FromMinutes(2) };
        await harness.JetStream.CreateStreamAsync(config);
        var tool = await harness.CaptureToNatsAsync();
        await harness.ExecuteAsync("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2, 0, repeat('x', 5000)); INSERT INTO t VALUES (3)");
        await tool.SaysAsync("let stream postgres_replication take postgres.>");
        await harness.JetStream.UpdateStreamAsync(config with { Subjects = ["postgres.>"] });
        await tool.SaysAsync("raise the server's max_payload or the stream's max_msg_size");
        await harness.JetStream.UpdateStreamAsync(config with { Subjects = ["postgres.>"], MaxMsgSize = -1 });
        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        Assert.Equal([1, 2, 3], Rows.Ids(stored));
    }

    [Fact]
    public async Task Another_publisher_in_the_stream_changes_no_order()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        var tool = await harness.CaptureToNatsAsync();
        using var rows = new Rows(harness);
        for (var number = 0; number < 300; number++)
        {
            await harness.JetStream.PublishAsync("postgres.other", number.ToString(CultureInfo.InvariantCulture), opts: new() { MsgId = $"other:{number}" });
        }

        var stored = await rows.AssertAllStoredOnceAsync(tool);
        Assert.Equal(tool.Lines(), stored.Select(message => message.Body));
    }
}
