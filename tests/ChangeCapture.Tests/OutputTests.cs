using System.Text.Json;
using NATS.Client.Core;
using NATS.Client.JetStream;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.ChangeCapture.Tests;

[Trait("Category", "Servers")]
public sealed class OutputTests
{
    [Fact]
    public async Task Several_servers_a_file_and_standard_output_get_the_same()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        await using var second = await NatsServer.StartAsync();
        await using var client = new NatsConnection(new NatsOpts { Url = second.Url });
        var file = Path.Combine(harness.Folder, "events.ndjson");
        await File.WriteAllTextAsync(file, "{\"kept\":1}\n{\"cut");
        var tool = await harness.CaptureToNatsAsync("--nats-server", second.Url, "--file", file, "--nats-subject-prefix", "shop.cdc", "--nats-stream", "SHOP", "--format", "debezium", "--values", "typed");
        await harness.ExecuteAsync("INSERT INTO t SELECT g FROM generate_series(1, 500) g");
        await harness.ConfirmedAsync(tool);
        Assert.Equal(0, await tool.TerminateAsync());
        var lines = tool.Lines();
        Assert.Equal(500, lines.Length);
        var written = await File.ReadAllLinesAsync(file);
        Assert.Equal(["{\"kept\":1}", .. lines], written);
        Assert.Equal(Enumerable.Range(1, 500), lines.Select(line => JsonElement.Parse(line).GetProperty("after").GetProperty("id").GetInt32()));
        Assert.Equal(500, (await harness.JetStream.GetStreamAsync("SHOP")).Info.State.Messages);
        var stream = await new NatsJSContext(client).GetStreamAsync("SHOP");
        Assert.Equal((500, "shop.cdc.>"), (stream.Info.State.Messages, stream.Info.Config.Subjects!.Single()));
    }

    [Fact]
    public async Task Filters_leave_no_trace_of_what_they_leave_out()
    {
        await using var harness = await CaptureHarness.CreateAsync("""
            CREATE TABLE orders (id int PRIMARY KEY, email text, note text); CREATE TABLE orders_audit (id int); CREATE TABLE other (id int);
            """);
        var tool = await harness.CaptureAsync(
            "--table", "public.orders*", "--exclude-table", "*.*_audit", "--operation", "insert,delete", "--mask-column", "public.orders.email", "--exclude-column", "*.*.note");
        await harness.ExecuteAsync("INSERT INTO other VALUES (1)");
        await harness.ExecuteAsync("INSERT INTO orders_audit VALUES (1); INSERT INTO orders VALUES (1, 'e', 'n'); UPDATE orders SET email = 'f'");
        await harness.ExecuteAsync("UPDATE orders SET email = NULL");
        await harness.ExecuteAsync("TRUNCATE orders");
        await harness.ExecuteAsync("INSERT INTO orders VALUES (2)");
        await harness.ConfirmedAsync(tool);
        var lines = tool.Lines();
        Assert.Equal(["Begin", "Relation", "Insert", "Commit", "Begin", "Insert", "Commit"], lines.Select(line => JsonElement.Parse(line).EnumerateObject().Single().Name));
        Assert.Contains("""new_tuple":{"id":"1","email":"***"}}""", lines[2], StringComparison.Ordinal);
        Assert.Contains("""new_tuple":{"id":"2","email":null}}""", lines[5], StringComparison.Ordinal);
        Assert.DoesNotContain("note", string.Concat(lines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stop_while_nats_hangs_ends_in_time_and_loses_nothing()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        var tool = await harness.CaptureToNatsAsync("--max-in-flight", "4", "--shutdown-timeout", "1");
        harness.Nats.Pause();
        await harness.ExecuteAsync("INSERT INTO t SELECT g FROM generate_series(1, 50) g");
        await tool.SaysAsync("has stopped, nothing is lost");
        Assert.Equal(0, await tool.TerminateAsync());
        harness.Nats.Resume();
        tool = await harness.CaptureToNatsAsync();
        await harness.ConfirmedAsync(tool);
        Assert.Equal(Enumerable.Range(1, 50), Rows.Ids(await harness.ReadStreamAsync()));
    }

    [Fact]
    public async Task A_stop_ends_when_nats_has_answered_for_what_is_on_its_way()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        var tool = await harness.CaptureToNatsAsync("--shutdown-timeout", "20");
        harness.Nats.Pause();
        await harness.ExecuteAsync("INSERT INTO t SELECT g FROM generate_series(1, 50) g");
        await tool.SaysAsync("has stopped, nothing is lost");
        var (began, stop) = (TimeProvider.System.GetTimestamp(), tool.TerminateAsync());
        await tool.SaysAsync("has stopped, nothing is lost", times: 3);
        harness.Nats.Resume();
        Assert.Equal(0, await stop);
        Assert.InRange(TimeProvider.System.GetElapsedTime(began), TimeSpan.Zero, TimeSpan.FromSeconds(19));
        Assert.Equal(tool.Lines(), (await harness.ReadStreamAsync()).Select(message => message.Body));
    }

    [Fact]
    public async Task A_closed_standard_output_ends_it_and_confirms_nothing_more()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        await harness.ExecuteAsync($"SELECT pg_create_logical_replication_slot('{harness.Slot}', 'pgoutput'); INSERT INTO t SELECT g FROM generate_series(1, 20000) g");
        await using var pipe = ChildProcess.Start(
            "bash", ["-c", "set -o pipefail; dotnet \"$1\" -c \"$2\" -s \"$3\" -p pub | head -n 3", "pipe", ToolProcess.Assembly, harness.ConnectionString, harness.Slot]);
        await pipe.ExitedAsync();
        Assert.Equal(1, pipe.ExitCode);
        Assert.Contains("standard output cannot be written", pipe.Output, StringComparison.Ordinal);
        var tool = await harness.CaptureAsync();
        await tool.HasLinesAsync(20003);
    }
}
