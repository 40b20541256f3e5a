using System.Security.Cryptography;
using System.Text;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.IngestionApi.Tests.Limits;

[Trait("Category", "Servers")]
public sealed class LimitTests
{
    [Fact]
    public async Task Above_its_rate_a_client_is_told_when_to_come_again_and_others_are_not_touched()
    {
        var named = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes("named")));
        await using var api = await IngestionService.StartAsync(new() { ["Ingestion__RequestsPerSecond"] = "0.2", [$"Ingestion__RequestsPerSecondByKey__{named}"] = "0" });
        (await api.PostAsync("/ingest/message", "{}")).Is(202);
        var refused = (await api.PostAsync("/ingest/message", "{}")).IsProblem(429, "rate_limited");
        Assert.InRange(refused.RetryAfter ?? 0, 1, 5);
        (await api.PostAsync("/ingest/batch", "1\n", "application/x-ndjson")).IsProblem(429, "rate_limited");

        // A key that was made up has no bucket of its own where keys are named.
        (await api.PostAsync("/ingest/message", "{}", headers: ("X-Api-Key", "made up"))).IsProblem(429, "rate_limited");
        for (var number = 0; number < 20; number++)
        {
            (await api.PostAsync("/ingest/message", "{}", headers: ("X-Api-Key", "named"))).Is(202);
        }

        // Questions are not counted.
        (await api.GetAsync("/stats")).Is(200);
        await Wait.UntilAsync(async () => (await api.PostAsync("/ingest/message", "{}")).Status == 202, "its next request is due", TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task Where_no_key_is_named_each_has_the_rate()
    {
        await using var api = await IngestionService.StartAsync(new() { ["Ingestion__RequestsPerSecond"] = "0.1" });
        foreach (var key in (string[])["one", "other"])
        {
            (await api.PostAsync("/ingest/message", "{}", headers: ("X-Api-Key", key))).Is(202);
            (await api.PostAsync("/ingest/message", "{}", headers: ("X-Api-Key", key))).IsProblem(429, "rate_limited");
        }
    }

    [Fact]
    public async Task Documents_beyond_the_places_are_503_at_once_and_uploads_hold_none()
    {
        await using var api = await IngestionService.StartAsync(new() { ["Ingestion__ConcurrentRequests"] = "1", ["Ingestion__ConcurrentBatches"] = "1", ["Ingestion__BatchPatience"] = "00:00:00.100" });
        List<RawHttp> uploads = [];
        try
        {
            foreach (var path in (string[])["/ingest/message", "/ingest/message", "/ingest/batch", "/ingest/batch"])
            {
                uploads.Add(await RawHttp.ConnectAsync(api));
                await uploads[^1].WriteAsync($"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n1\n");
            }

            (await api.PostAsync("/ingest/message", "{}")).Is(202);
            (await api.PostAsync("/ingest/batch", "1\n", "application/x-ndjson")).Is(202);

            // What is published waits for a server that hangs.
            api.Nats.Pause();
            var (waiting, waitingBatch) = (api.PostAsync("/ingest/message", "{}"), api.PostAsync("/ingest/batch", "1\n", "application/x-ndjson"));
            await Wait.UntilAsync(async () => await IsOverloadedAsync("/ingest/message", "{}"), "the place is taken");
            await Wait.UntilAsync(async () => await IsOverloadedAsync("/ingest/batch", "1\n"), "the batch's place is taken");
            api.Nats.Resume();
            await Task.WhenAll(waiting, waitingBatch);
            await Wait.UntilAsync(async () => (await api.PostAsync("/ingest/message", "{}")).Status == 202, "the place is free again");
            await Wait.UntilAsync(async () => (await api.PostAsync("/ingest/batch", "1\n", "application/x-ndjson")).Status == 202, "the batch's place is free again");
        }
        finally
        {
            uploads.ForEach(upload => upload.Dispose());
        }

        async Task<bool> IsOverloadedAsync(string path, string body)
        {
            var answer = await api.PostAsync(path, body, path.EndsWith("batch", StringComparison.Ordinal) ? "application/x-ndjson" : "application/json");
            Assert.True(answer.Status is 202 or 503);
            return answer.Status == 503 && answer.Body.Contains(path.EndsWith("batch", StringComparison.Ordinal) ? "more documents are on their way" : "overloaded", StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task More_connections_than_allowed_are_closed()
    {
        await using var api = await IngestionService.StartAsync(new() { ["Ingestion__MaxConnections"] = "4" });
        List<RawHttp> connections = [];
        try
        {
            for (var number = 0; number < 4; number++)
            {
                connections.Add(await RawHttp.ConnectAsync(api));
                await connections[^1].WriteAsync("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
            }

            await Assert.ThrowsAsync<IOException>(async () => await RawHttp.SendAsync(api, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"));
        }
        finally
        {
            connections.ForEach(connection => connection.Dispose());
        }

        await Wait.UntilAsync(async () => (await RawHttp.SendAsync(api, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n")).Status == 200, "a connection is free again");
    }

    [Fact]
    public async Task Limits_that_make_no_sense_keep_the_service_from_starting_and_are_named()
    {
        await using var nats = await NatsServer.StartAsync();
        var settings = IngestionService.Settings(await (await PostgresServer.StartAsync()).CreateDatabaseAsync(), nats.Url, new() { ["Ingestion__MaxLines"] = "0", ["Ingestion__MaxMessageBytes"] = "1000000" });
        await using var process = await ServiceProcess.StartAsync("IngestionApi", settings, waitUntilReady: false);
        await process.SaysAsync("MaxLines");
        await process.SaysAsync("MaxMessageBytes");
        await Wait.UntilAsync(() => process.HasExited, "it ends");
    }
}
