using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using RuleEngineNats.TestKit;
using Xunit.Abstractions;

namespace RuleEngineNats.IngestionApi.Tests.Limits;

/// <summary>I33: ten times the load that there is room for, and 200 uploads that trickle in.</summary>
[Trait("Category", "Servers")]
public sealed class OverloadTests(ITestOutputHelper output)
{
    private const int Places = 16;
    private const int Senders = 10 * Places;
    private const int SlowUploads = 200;
    private const long MostMemory = 512L * 1024 * 1024;

    private static readonly TimeSpan Load = TimeSpan.FromSeconds(15);

    [Fact]
    public async Task Under_ten_times_the_load_and_200_slow_uploads_what_is_accepted_is_fast_and_the_rest_is_shed_with_an_answer()
    {
        await using var api = await IngestionService.StartAsync(new()
        {
            ["Ingestion__ConcurrentRequests"] = $"{Places}",
            ["Ingestion__ConcurrentBatches"] = "2",
            ["DOTNET_ENVIRONMENT"] = "Production",
            ["ASPNETCORE_ENVIRONMENT"] = "Production",
        });
        using var http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = Senders + 8 }) { BaseAddress = api.Process.HttpUrl };
        var uploads = await Task.WhenAll(Enumerable.Range(0, SlowUploads).Select(_ => RawHttp.ConnectAsync(api)));
        var (latencies, refusals, peak) = (new ConcurrentBag<double>(), new ConcurrentBag<Answer>(), 0L);
        try
        {
            using var stop = new CancellationTokenSource(Load);
            var trickling = uploads.Select((upload, number) => TrickleAsync(upload, number, stop.Token)).ToArray();
            var watching = WatchAsync(api.Process.Id, memory => peak = Math.Max(peak, memory), stop.Token);
            await Task.WhenAll(Enumerable.Range(0, Senders).Select(sender => Task.Run(() => SendAsync(http, sender, latencies, refusals, stop.Token))));
            await watching;
            await Task.WhenAll(trickling);

            var clock = Stopwatch.StartNew();
            await Wait.UntilAsync(async () => (await api.PostAsync("/ingest/message", "{}")).Status == 202, "it accepts again", TimeSpan.FromSeconds(5));
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(5));
        }
        finally
        {
            Array.ForEach(uploads, upload => upload.Dispose());
        }

        var sorted = latencies.Order().ToArray();
        Assert.True(sorted.Length > 1000, $"{sorted.Length} accepted");
        var p99 = sorted[(int)(sorted.Length * 0.99)];
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{sorted.Length} accepted, p99 {p99:0} ms; {refusals.Count} refused; {peak / 1024 / 1024} MiB at most"));
        Assert.True(p99 <= 1000, string.Create(CultureInfo.InvariantCulture, $"p99 of {sorted.Length} accepted: {p99:0} ms"));
        Assert.True(peak <= MostMemory, string.Create(CultureInfo.InvariantCulture, $"{peak / 1024 / 1024} MiB"));
        Assert.NotEmpty(refusals);
        Assert.All(refusals, refusal => refusal.IsProblem(refusal.Status, refusal.Text("code")));
        Assert.All(refusals, refusal => Assert.Contains(refusal.Status, (int[])[429, 503]));
        Assert.False(api.Process.HasExited);
    }

    private static async Task SendAsync(HttpClient http, int sender, ConcurrentBag<double> latencies, ConcurrentBag<Answer> refusals, CancellationToken stop)
    {
        var isBatch = sender % 20 == 0;
        var body = isBatch ? string.Concat(Enumerable.Repeat("{\"order_id\":\"123\",\"total\":100.50}\n", 500)) : """{"order_id":"123","total":100.50}""";
        while (!stop.IsCancellationRequested)
        {
            var clock = Stopwatch.StartNew();
            using var content = new StringContent(body, new System.Net.Http.Headers.MediaTypeHeaderValue(isBatch ? "application/x-ndjson" : "application/json"));
            using var response = await http.PostAsync(isBatch ? "/ingest/batch" : "/ingest/message", content, CancellationToken.None);
            var answer = await Answer.OfAsync(response);
            if (answer.Status == 202)
            {
                latencies.Add(clock.Elapsed.TotalMilliseconds);
            }
            else if (answer.MediaType == "application/problem+json")
            {
                refusals.Add(answer);
            }
            else
            {
                // A batch that found no place says so line by line.
                Assert.True(isBatch && answer is { Status: 503, RetryAfter: >= 1 }, answer.Body);
            }
        }
    }

    // Fast enough not to be timed out, and never done.
    private static async Task TrickleAsync(RawHttp upload, int number, CancellationToken stop)
    {
        var path = number % 2 == 0 ? "/ingest/message" : "/ingest/batch";
        await upload.WriteAsync($"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n\"");
        var piece = new string('x', 2000);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(500));
        try
        {
            while (await pace.WaitForNextTickAsync(stop))
            {
                await upload.WriteAsync(piece);
            }
        }
        catch (OperationCanceledException)
        {
            // The load is over.
        }
    }

    private static async Task WatchAsync(int process, Action<long> seen, CancellationToken stop)
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
        try
        {
            while (await pace.WaitForNextTickAsync(stop))
            {
                var resident = (await File.ReadAllLinesAsync($"/proc/{process}/status", stop)).Single(line => line.StartsWith("VmRSS:", StringComparison.Ordinal));
                seen(long.Parse(resident.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024);
            }
        }
        catch (OperationCanceledException)
        {
            // The load is over.
        }
    }
}
