using RuleEngineNats.TestKit;

namespace RuleEngineNats.IngestionApi.Tests.Health;

[Trait("Category", "Servers")]
public sealed class HealthTests : IAsyncLifetime
{
    private IngestionService Api { get; set; } = null!;

    public async Task InitializeAsync() => Api = await IngestionService.StartAsync();

    public async Task DisposeAsync() => await Api.DisposeAsync();

    [Fact]
    public async Task Health_and_readiness_have_the_documented_members()
    {
        var health = (await Api.GetAsync("/health")).Is(200);
        Assert.Equal(["status", "database", "nats", "entities", "version"], health.Json.AsObject().Select(member => member.Key));
        Assert.Equal(("healthy", "connected", "connected"), (health.Text("status"), health.Text("database"), health.Text("nats")));
        Assert.Equal(["ready", "timestamp"], (await Api.GetAsync("/ready")).Is(200).Json.AsObject().Select(member => member.Key));
        (await Api.GetAsync("/health/live")).Is(200);
        (await Api.GetAsync("/health/ready")).Is(200);
    }

    [Fact]
    public async Task Statistics_are_what_was_counted_and_is_in_the_stream()
    {
        await Api.ExecuteAsync("""
            INSERT INTO ingest_totals (worker_name, entity_type, completed, dlq, entity_rows)
            VALUES ('a', 'Order', 10, 1, 40), ('b', 'Order', 5, 0, 20), ('a', '', 0, 2, 0)
            """);
        (await Api.PostAsync("/ingest/message", "{}")).Is(202);
        (await Api.PostAsync("/ingest/batch", "1\nx\n2\n", "application/x-ndjson")).Is(202);
        (await Api.PostAsync("/ingest/message", "x")).Is(400);
        var stats = (await Api.GetAsync("/stats")).Is(200);
        Assert.Equal((15, 15, 3, 60), (stats.Number("total_messages_processed"), stats.Number("completed"), stats.Number("dead_letters"), stats.Number("entity_rows")));
        Assert.Equal((3, 2, 0), (stats.Number("accepted"), stats.Number("rejected"), stats.Number("unavailable")));
        Assert.Equal((3, 0), (stats.Number("queue_depth"), stats.Number("in_progress")));
        Assert.True(stats.Number("stream_bytes") > 0);
        Assert.Equal(1024 * 1024 * 1024, stats.Number("stream_max_bytes"));
        Assert.True(stats.Json["oldest_pending_seconds"]!.GetValue<double>() >= 0);
        Assert.True(stats.Number("uptime_seconds") >= 0);
        Assert.Equal(["", "Order"], stats.Json["entities"]!.AsArray().Select(entity => entity!["entity_type"]!.GetValue<string>()));
        Assert.Equal(15, stats.Json["entities"]![1]!["completed"]!.GetValue<int>());
    }

    [Fact]
    public async Task A_termination_signal_ends_it_in_order_with_the_rows_of_its_batches_written()
    {
        for (var number = 0; number < 20; number++)
        {
            (await Api.PostAsync("/ingest/batch", "1\n", "application/x-ndjson")).Is(202);
        }

        Assert.Equal(0, await Api.Process.TerminateAsync());
        Assert.Equal(20, await Api.ScalarAsync<long>("SELECT count(*) FROM ingest_batches"));
    }

    [Fact]
    public async Task The_seeds_session_works_with_curl()
    {
        var message = await CurlAsync("-X", "POST", $"{Api.Process.HttpUrl}ingest/message", "-H", "Content-Type: application/json", "-d", """{"order_id": "123", "total": 100.50}""");
        Assert.Equal(["message_id", "status", "timestamp"], message.AsObject().Select(member => member.Key));
        Assert.Equal("accepted", message["status"]!.GetValue<string>());
        var status = await CurlAsync($"{Api.Process.HttpUrl}ingest/status/{message["message_id"]}");
        Assert.Equal("accepted", status["status"]!.GetValue<string>());
    }

    private static async Task<System.Text.Json.Nodes.JsonNode> CurlAsync(params string[] arguments)
    {
        await using var curl = ChildProcess.Start("curl", ["-sS", "--fail", .. arguments]);
        await curl.ExitedAsync();
        Assert.True(curl.ExitCode == 0, curl.Output);
        return System.Text.Json.Nodes.JsonNode.Parse(curl.Output)!;
    }
}
