using System.Text;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.ChangeCapture.Tests;

/// <summary>The stream forgets the ids of its messages here before anything comes again: what it holds must be known by other means.</summary>
[Trait("Category", "Servers")]
public sealed class ForgottenIdTests
{
    [Fact]
    public async Task A_restart_goes_on_where_the_stream_ends()
    {
        await using var harness = await CreateAsync(Rows.Table);
        var tool = await harness.CaptureToNatsAsync();
        await harness.ExecuteAsync("INSERT INTO t VALUES (1)");
        await harness.ConfirmedAsync(tool);
        await tool.TerminateAsync();
        await harness.CopySlotAsync();
        await harness.ExecuteAsync("INSERT INTO t VALUES (2)");
        tool = await harness.CaptureToNatsAsync();
        await harness.ConfirmedAsync(tool);
        await tool.TerminateAsync();

        await harness.CopySlotAsync(back: true);
        await ForgetAsync(harness);
        await harness.ExecuteAsync("INSERT INTO t VALUES (3)");
        tool = await harness.CaptureToNatsAsync();
        await tool.SaysAsync("going on behind it");
        await AssertOnceAsync(harness, tool, [1, 2, 3]);
    }

    [Fact]
    public async Task A_restart_finds_its_last_event_behind_many_of_others()
    {
        await using var harness = await CreateAsync(Rows.Table);
        await harness.ExecuteAsync($"SELECT pg_create_logical_replication_slot('{harness.Slot}', 'pgoutput')");
        await harness.CopySlotAsync();
        await harness.ExecuteAsync("INSERT INTO t VALUES (1)");
        var tool = await harness.CaptureToNatsAsync();
        await harness.ConfirmedAsync(tool);
        await tool.TerminateAsync();
        for (var number = 0; number < 1000; number++)
        {
            await harness.JetStream.PublishAsync("postgres.other", "");
        }

        await harness.CopySlotAsync(back: true);
        await ForgetAsync(harness);
        tool = await harness.CaptureToNatsAsync();
        await tool.SaysAsync("going on behind it");
        await AssertOnceAsync(harness, tool, [1]);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task A_restart_between_the_descriptions_of_a_row_goes_on_between_them(int kept)
    {
        await using var harness = await CreateAsync($"CREATE TYPE mood AS ENUM ('ok'); CREATE DOMAIN posint AS int; {Rows.Table}; ALTER TABLE t ADD m mood, ADD p mood[]");
        await harness.ExecuteAsync($"SELECT pg_create_logical_replication_slot('{harness.Slot}', 'pgoutput')");
        await harness.CopySlotAsync();
        await harness.ExecuteAsync("INSERT INTO t VALUES (1)");
        var tool = await harness.CaptureToNatsAsync();
        await harness.ConfirmedAsync(tool);
        await tool.TerminateAsync();
        var whole = await harness.ReadStreamAsync();
        Assert.Equal(["begin", "type", "type", "relation", "insert", "commit"], whole.Select(message => message.Subject.Split('.').First(part => part is not ("postgres" or "transactions" or "public" or "t"))));

        // As it is when the tool is killed there.
        for (var sequence = whole.Count; sequence > 1 + kept; sequence--)
        {
            await (await harness.JetStream.GetStreamAsync(CaptureHarness.Stream)).DeleteMessageAsync(new() { Seq = (ulong)sequence });
        }

        await harness.CopySlotAsync(back: true);
        await ForgetAsync(harness);
        tool = await harness.CaptureToNatsAsync();
        await harness.ConfirmedAsync(tool);
        Assert.Equal(
            whole.Select(message => (message.Id, message.Subject, message.Body)),
            (await harness.ReadStreamAsync()).Where(message => message.Subject != "postgres.probe").Select(message => (message.Id, message.Subject, message.Body)));
    }

    [Fact]
    public async Task Answers_that_were_lost_are_not_taken_for_refusals()
    {
        await using var harness = await CreateAsync(Rows.Table);
        await using var proxy = TcpProxy.Before(harness.Nats);
        var tool = await harness.CaptureAsync("--nats-server", proxy.Url);
        await harness.ExecuteAsync("INSERT INTO t VALUES (1)");
        await harness.ConfirmedAsync(tool);

        // Events arrive, and no answer comes back until the stream has forgotten them.
        proxy.Answer(static bytes => Encoding.ASCII.GetString(bytes).Contains("\"stream\":", StringComparison.Ordinal) ? null : bytes);
        await harness.ExecuteAsync("INSERT INTO t SELECT g FROM generate_series(2, 20) g");
        await tool.WaitAsync(async () => await harness.StoredAsync() >= 4 + 21, "all is stored");
        proxy.Answer(static _ => null);
        await ForgetAsync(harness);
        proxy.AnswerUnchanged();
        await harness.ExecuteAsync("INSERT INTO t VALUES (21)");
        await AssertOnceAsync(harness, tool, [.. Enumerable.Range(1, 21)]);
    }

    private static async Task<CaptureHarness> CreateAsync(string sql)
    {
        var harness = await CaptureHarness.CreateAsync(sql);
        await harness.JetStream.CreateStreamAsync(new(CaptureHarness.Stream, ["postgres.>"]) { DuplicateWindow = TimeSpan.FromMilliseconds(100) });
        return harness;
    }

    /// <summary>Waits until the stream takes an id a second time.</summary>
    private static async Task ForgetAsync(CaptureHarness harness)
    {
        await harness.JetStream.PublishAsync("postgres.probe", "", opts: new() { MsgId = "probe" });
        await Wait.UntilAsync(async () => !(await harness.JetStream.PublishAsync("postgres.probe", "", opts: new() { MsgId = "probe" })).Duplicate, "the ids are forgotten");
    }

    private static async Task AssertOnceAsync(CaptureHarness harness, ToolProcess tool, int[] ids)
    {
        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        Assert.Equal(ids, Rows.Ids(stored));
        var events = stored.Where(message => message.Id.StartsWith(harness.Slot, StringComparison.Ordinal)).ToArray();
        Assert.Equal(events.Length, events.Select(message => message.Id).Distinct().Count());
    }
}
