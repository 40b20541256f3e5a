using System.Globalization;
using System.Text.Json;
using NATS.Client.Core;
using NATS.Client.JetStream.Models;
using RuleEngineNats.Contracts.Changes;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.ChangeCapture.Tests;

[Trait("Category", "Servers")]
public sealed class TransactionPartsTests
{
    private const string Subject = "postgres.transactions.changes.event";

    [Fact]
    public async Task A_transaction_is_one_event_with_all_that_is_captured_of_it()
    {
        await using var harness = await CaptureHarness.CreateAsync($"{Rows.Table}; CREATE TABLE other (id int PRIMARY KEY); CREATE TABLE hidden (id int)");
        var tool = await harness.CaptureToNatsAsync("--per", "transaction", "--exclude-table", "public.hidden");
        await harness.ExecuteAsync("INSERT INTO t VALUES (1); INSERT INTO hidden VALUES (1); INSERT INTO other VALUES (2), (3); SELECT pg_logical_emit_message(true, 'p', 'm')");
        await harness.ExecuteAsync("INSERT INTO hidden VALUES (2)");
        await harness.ExecuteAsync("SELECT pg_logical_emit_message(false, 'p', 'outside')");
        await harness.ExecuteAsync("DELETE FROM other WHERE id = 2");
        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        Assert.Equal([Subject, "postgres.transactions.message.event", Subject], stored.Select(message => message.Subject));
        Assert.Equal(tool.Lines(), stored.Select(message => message.Body));
        var (first, last) = (Transaction(stored[0]), Transaction(stored[2]));
        Assert.Equal(["Relation", "Insert", "Relation", "Insert", "Insert", "Message"], Kinds(first));
        Assert.Equal(["Delete"], Kinds(last));
        Assert.Equal((1, true), (first.GetProperty("part").GetInt32(), first.GetProperty("last").GetBoolean()));
        Assert.Equal("1", stored[0].Headers["rule-cdc-part"].ToString());
        Assert.Equal($"{harness.Slot}:{first.GetProperty("commit_lsn").GetString()}:6", stored[0].Id);
        Assert.Equal(0, await tool.TerminateAsync());
    }

    [Fact]
    public async Task A_capture_killed_within_a_transaction_goes_on_behind_the_last_part_also_when_the_limit_is_another()
    {
        const int Count = 20_000;
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        // Full within the transaction: there the tool is killed.
        var config = new StreamConfig(CaptureHarness.Stream, ["postgres.>"]) { MaxMsgSize = 6_000, MaxMsgs = 15, Discard = StreamConfigDiscard.New, DuplicateWindow = TimeSpan.FromMilliseconds(100) };
        await harness.JetStream.CreateStreamAsync(config);
        string[] arguments = ["--per", "transaction", "--max-in-flight", "4"];
        var tool = await harness.CaptureToNatsAsync(arguments);
        await harness.ExecuteAsync("INSERT INTO t VALUES (0)");
        await harness.ExecuteAsync($"INSERT INTO t SELECT g, 0, repeat('x', g % 300) FROM generate_series(1, {Count}) g; INSERT INTO t VALUES ({Count + 1})");
        var limits = new[] { 9_000, 4_000, 30_000 };
        foreach (var limit in limits)
        {
            await tool.WaitAsync(async () => await harness.StoredAsync() == config.MaxMsgs, "parts are stored");
            await tool.KillAsync();
            Assert.False(Transaction((await harness.ReadStreamAsync())[^1]).GetProperty("last").GetBoolean());
            config = config with { MaxMsgSize = limit, MaxMsgs = config.MaxMsgs + 15 };
            await harness.JetStream.UpdateStreamAsync(config);
            tool = await harness.CaptureToNatsAsync(arguments);
        }

        await harness.JetStream.UpdateStreamAsync(config with { MaxMsgs = -1 });
        await harness.ConfirmedAsync(tool);
        var stored = await harness.ReadStreamAsync();
        Assert.Equal(stored.Count, stored.Select(message => message.Id).Distinct().Count());
        Assert.Equal(Enumerable.Range(0, Count + 2), stored.SelectMany(message => Ids(Transaction(message))));
        var parts = stored.Skip(1).Select(Transaction).ToArray();
        Assert.Equal(Enumerable.Range(1, parts.Length), parts.Select(part => part.GetProperty("part").GetInt32()));
        Assert.Equal([.. Enumerable.Repeat(false, parts.Length - 1), true], parts.Select(part => part.GetProperty("last").GetBoolean()));
        Assert.Single(parts.Select(part => part.GetProperty("xid").GetUInt32()).Distinct());
        Assert.All(limits, limit => Assert.Contains(stored, message => message.Bytes.Length > limit * 2 / 3 && message.Bytes.Length < limit));
    }

    [Fact]
    public async Task A_stop_within_a_transaction_does_not_wait_for_its_end_and_the_rest_comes_at_the_next_start()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table, new(MaxPayload: 6_000));
        var tool = await harness.CaptureToNatsAsync("--per", "transaction", "--max-in-flight", "1", "--shutdown-timeout", "20");
        await harness.ExecuteAsync("INSERT INTO t SELECT g FROM generate_series(1, 40000) g");
        await tool.WaitAsync(async () => await harness.StoredAsync() > 5, "some parts are stored");
        var stopped = TimeProvider.System.GetTimestamp();
        Assert.Equal(0, await tool.TerminateAsync());
        Assert.InRange(TimeProvider.System.GetElapsedTime(stopped), TimeSpan.Zero, TimeSpan.FromSeconds(15));
        Assert.False(Transaction((await harness.ReadStreamAsync())[^1]).GetProperty("last").GetBoolean());
        tool = await harness.CaptureToNatsAsync("--per", "transaction");
        await harness.ConfirmedAsync(tool);
        Assert.Equal(Enumerable.Range(1, 40_000), (await harness.ReadStreamAsync()).SelectMany(message => Ids(Transaction(message))));
    }

    [Fact]
    public async Task Sessions_that_end_within_a_transaction_and_a_killed_nats_server_change_nothing()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table, new(MaxPayload: 6_000));
        var config = new StreamConfig(CaptureHarness.Stream, ["postgres.>"]) { Discard = StreamConfigDiscard.New, MaxMsgs = 6, DuplicateWindow = TimeSpan.FromMinutes(2) };
        await harness.JetStream.CreateStreamAsync(config);
        var tool = await harness.CaptureToNatsAsync("--per", "transaction", "--max-in-flight", "4");
        for (var round = 0; round < 3; round++)
        {
            config = config with { MaxMsgs = await harness.StoredAsync() + 6 };
            await harness.JetStream.UpdateStreamAsync(config);
            await harness.ExecuteAsync($"INSERT INTO t SELECT g FROM generate_series({round * 10_000}, {round * 10_000 + 9_999}) g");
            await tool.WaitAsync(async () => await harness.StoredAsync() == config.MaxMsgs, "some parts are stored");
            await harness.ExecuteAsync($"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{harness.Slot}'");
            await harness.Nats.KillAsync();
            await harness.Nats.RestartAsync();
            await harness.JetStream.UpdateStreamAsync(config with { MaxMsgs = -1 });
            await harness.ConfirmedAsync(tool);
        }

        var stored = await harness.ReadStreamAsync();
        Assert.Equal(tool.Lines(), stored.Select(message => message.Body));
        Assert.Equal(Enumerable.Range(0, 30_000), stored.SelectMany(message => Ids(Transaction(message))));
        Assert.Equal(3, stored.Count(message => Transaction(message).GetProperty("last").GetBoolean()));
    }

    [Fact]
    public async Task Servers_of_which_one_is_behind_when_the_capture_is_killed_get_the_same_changes()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table, new(MaxPayload: 6_000));
        await using var second = await NatsServer.StartAsync(new(MaxPayload: 9_000));
        await using var client = new NatsConnection(new() { Url = second.Url });
        string[] arguments = ["--nats-server", second.Url, "--per", "transaction", "--max-in-flight", "8"];
        var tool = await harness.CaptureToNatsAsync(arguments);
        second.Pause();
        await harness.ExecuteAsync("INSERT INTO t SELECT g FROM generate_series(1, 5000) g");
        await tool.WaitAsync(async () => await harness.StoredAsync() >= 8, "the first server has some parts");
        await tool.KillAsync();
        second.Resume();
        tool = await harness.CaptureToNatsAsync(arguments);
        await harness.ConfirmedAsync(tool);
        foreach (var stored in (List<StoredEvent>[])[await harness.ReadStreamAsync(), await CaptureHarness.ReadStreamAsync(new(client))])
        {
            Assert.Equal(Enumerable.Range(1, 5000), stored.SelectMany(message => Ids(Transaction(message))));
            Assert.Equal(Enumerable.Range(1, stored.Count), stored.Select(message => Transaction(message).GetProperty("part").GetInt32()));
            Assert.Equal(stored.Count, stored.Select(message => message.Id).Distinct().Count());
        }
    }

    [Fact]
    public async Task A_change_that_is_too_large_for_a_part_is_replaced_within_it()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table, new(MaxPayload: 20_000));
        var letters = Path.Combine(harness.Folder, "letters.ndjson");
        var tool = await harness.CaptureToNatsAsync("--per", "transaction", "--oversized", "dead-letter", "--dead-letter-file", letters);
        await harness.ExecuteAsync("INSERT INTO t SELECT g, 0, repeat('x', CASE WHEN g = 2 THEN 30000 ELSE 10 END) FROM generate_series(1, 3) g");
        await harness.ConfirmedAsync(tool);
        var part = Transaction(Assert.Single(await harness.ReadStreamAsync()));
        Assert.Equal(["Relation", "Insert", "Oversized", "Insert"], Kinds(part));
        Assert.Equal("""{"id":"2"}""", part.GetProperty("changes")[2].GetProperty("Oversized").GetProperty("key").GetRawText());
        Assert.Contains("\"id\":\"2\"", Assert.Single(await File.ReadAllLinesAsync(letters)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("debezium")]
    [InlineData("cloudevents")]
    [InlineData("protobuf")]
    [InlineData("json-pretty")]
    [InlineData("text")]
    public async Task Every_format_has_its_form_of_a_transaction(string format)
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        var tool = await harness.CaptureToNatsAsync("--per", "transaction", "--format", format);
        await harness.ExecuteAsync("INSERT INTO t VALUES (1), (2)");
        await harness.ConfirmedAsync(tool);
        Assert.Equal(0, await tool.TerminateAsync());
        var message = Assert.Single(await harness.ReadStreamAsync());
        Assert.Equal(Subject, message.Subject);
        switch (format)
        {
            case "debezium":
                Assert.Equal(["c", "c"], Transaction(message).GetProperty("changes").EnumerateArray().Select(change => change.GetProperty("op").GetString()));
                break;
            case "cloudevents":
                var root = JsonElement.Parse(message.Body);
                Assert.Equal((message.Id, "com.postgresql.transaction.changes.v1"), (root.GetProperty("id").GetString(), root.GetProperty("type").GetString()));
                Assert.Equal(["Relation", "Insert", "Insert"], Kinds(root.GetProperty("data").GetProperty("Transaction")));
                break;
            case "protobuf":
                var part = CapturedEvent.Parser.ParseFrom(message.Bytes).Transaction;
                Assert.Equal(["", "1", "2"], part.Changes.Select(change => change.Insert?.New.Values[0].Text ?? ""));
                Assert.Equal((1, true), (part.Part, part.Last));
                break;
            case "json-pretty":
                Assert.Equal(["Relation", "Insert", "Insert"], Kinds(Transaction(message)));
                Assert.Equal("    \"last\": true,", tool.Lines().Single(line => line.Contains("\"last\"", StringComparison.Ordinal)));
                break;
            default:
                Assert.Equal(["Relation", "Insert", "Insert"], Kinds(Transaction(message)));
                Assert.Equal(2, tool.Lines().Count(line => line.StartsWith("INSERT into public.t", StringComparison.Ordinal)));
                break;
        }
    }

    private static JsonElement Transaction(StoredEvent message) => JsonElement.Parse(message.Body).GetProperty("Transaction");

    private static IEnumerable<string> Kinds(JsonElement part) => part.GetProperty("changes").EnumerateArray().Select(change => change.EnumerateObject().Single().Name);

    private static IEnumerable<int> Ids(JsonElement part)
        => part.GetProperty("changes").EnumerateArray().Where(change => change.TryGetProperty("Insert", out _))
            .Select(change => int.Parse(change.GetProperty("Insert").GetProperty("new_tuple").GetProperty("id").GetString()!, CultureInfo.InvariantCulture));
}
