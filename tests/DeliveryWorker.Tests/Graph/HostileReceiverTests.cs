using System.Collections.Concurrent;
using System.Globalization;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Graph;

/// <summary>Receivers that mean harm, all at once, against a worker process.</summary>
[Trait("Category", "Servers")]
public sealed class HostileReceiverTests
{
    private const int EventsEach = 4;
    private const int MostGrowthMb = 32;

    private static readonly TimeSpan LongestAttempt = TimeSpan.FromSeconds(30);

    // 30 s are the worker's own limit; these endpoints ask for twice as much.
    private const int TimeoutMs = 60_000;

    private static readonly (string Name, string Script, bool Delivered)[] Hostile =
    [
        ("endless", "endless", true),
        ("drip", "drip:1B/s", false),
        ("slow", "slow:1B/s", true),
        ("bomb", "bomb:1GiB", true),
        ("headers", "headers:100KiB", false),
        ("cut", "cut", true),
        ("redirect", "302:/redirect", false),
        ("cookie", "200;set-cookie=\"session=stolen; Path=/\"", true),
    ];

    [Fact]
    public async Task I28_hostile_receivers_cannot_hurt_the_worker()
    {
        using var silent = SilentServer.Start();
        await using var graph = await DeliveryGraph.StartAsync();
        await graph.RegisterAsync("healthy", "events.good", "/healthy");
        await RegisterHostileAsync(graph, silent);
        var worker = await graph.StartWorkerAsync();
        await graph.PublishManyAsync("events.good", 2000, "1_warm");
        // A busy machine begins slowly and leaves some of it to the queue, which takes places too.
        await graph.DrainedAsync(2000);

        var before = ResidentMb(worker.Id);
        using var stop = new CancellationTokenSource();
        var memory = HighestMbAsync(worker, stop.Token);
        var healthy = PublishHealthyAsync(graph, stop.Token);
        await graph.PublishManyAsync("events.bad", EventsEach, "1_bad");
        const int Attempts = EventsEach * 9;
        await Wait.UntilAsync(
            async () => await graph.CountAsync("SELECT count(*) FROM rule_webhook_call_history WHERE subject = 'events.bad'") >= Attempts,
            $"{Attempts} attempts at hostile endpoints are recorded",
            TimeSpan.FromSeconds(100));
        await stop.CancelAsync();
        var sent = await healthy;
        await graph.Receiver.WaitForAsync(receiver => sent.Keys.All(id => receiver.At("/healthy").Any(request => request.Id == id)), "the healthy endpoint has all");

        Assert.InRange(await memory - before, double.MinValue, MostGrowthMb);
        await AssertEndedAsync(graph, Attempts);
        AssertHealthy(graph, sent);
        AssertNothingFollowed(graph);
        Assert.False(worker.HasExited);
    }

    private static async Task RegisterHostileAsync(DeliveryGraph graph, SilentServer silent)
    {
        foreach (var (name, script, _) in Hostile)
        {
            graph.Receiver.Script($"/{name}", script);
            await graph.RegisterAsync(name, "events.bad", $"/{name}", timeoutMs: TimeoutMs, maxRetries: 0);
        }

        await graph.RegisterAsync("stall", "events.bad", url: $"https://127.0.0.1:{silent.Port}/", timeoutMs: TimeoutMs, maxRetries: 0);
    }

    private static async Task AssertEndedAsync(DeliveryGraph graph, int attempts)
    {
        const string Bad = "FROM rule_webhook_call_history h JOIN rule_webhooks w USING (webhook_id) WHERE h.subject = 'events.bad'";
        // What is on record took place: a moment for the timer on a busy machine, and no more.
        Assert.InRange(await graph.CountAsync($"SELECT max(execution_time_ms)::bigint {Bad}"), 1, (long)LongestAttempt.TotalMilliseconds + 1500);
        Assert.InRange(await graph.CountAsync($"SELECT max(octet_length(response_body)) {Bad}"), 1, 16 * 1024);
        Assert.Equal(attempts, await graph.CountAsync($"SELECT count(*) {Bad}"));
        foreach (var (name, _, delivered) in Hostile.Append(("stall", "", false)))
        {
            Assert.Equal(
                (name, EventsEach, delivered ? "delivered" : "failed"),
                (name, await graph.CountAsync($"SELECT count(*) {Bad} AND webhook_name = $1", name), await graph.ScalarAsync($"SELECT string_agg(DISTINCT h.outcome, ' ') {Bad} AND webhook_name = $1", name)));
        }
    }

    // While the hostile ones hold their requests for half a minute.
    private static void AssertHealthy(DeliveryGraph graph, IReadOnlyDictionary<string, DateTimeOffset> sent)
    {
        var received = graph.Receiver.At("/healthy").Where(request => sent.ContainsKey(request.Id)).ToArray();
        Assert.Equal(sent.Count, received.Length);
        Assert.InRange(sent.Count, 50, int.MaxValue);
        Assert.All(received, request => Assert.InRange((request.At - sent[request.Id]).TotalSeconds, -1, 3));
    }

    private static void AssertNothingFollowed(DeliveryGraph graph)
    {
        Assert.Equal(EventsEach, graph.Receiver.At("/redirect").Count());
        Assert.Equal(EventsEach, graph.Receiver.At("/cookie").Count());
        Assert.DoesNotContain(graph.Receiver.Requests, request => request.Headers.ContainsKey("Cookie"));
    }

    private static async Task<IReadOnlyDictionary<string, DateTimeOffset>> PublishHealthyAsync(DeliveryGraph graph, CancellationToken stop)
    {
        var sent = new ConcurrentDictionary<string, DateTimeOffset>();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!stop.IsCancellationRequested)
        {
            var id = string.Create(CultureInfo.InvariantCulture, $"1_good{sent.Count}");
            sent[id] = TimeProvider.System.GetUtcNow();
            await graph.PublishAsync("events.good", "{}", id);
            await timer.WaitForNextTickAsync(CancellationToken.None);
        }

        return sent;
    }

    private static async Task<double> HighestMbAsync(ServiceProcess worker, CancellationToken stop)
    {
        var highest = 0d;
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!stop.IsCancellationRequested)
        {
            highest = Math.Max(highest, ResidentMb(worker.Id));
            await timer.WaitForNextTickAsync(CancellationToken.None);
        }

        return highest;
    }

    private static double ResidentMb(int process)
    {
        const string Name = "VmRSS:";
        var line = File.ReadLines($"/proc/{process}/status").First(line => line.StartsWith(Name, StringComparison.Ordinal));
        return double.Parse(line[Name.Length..^"kB".Length], NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture) / 1024;
    }
}
