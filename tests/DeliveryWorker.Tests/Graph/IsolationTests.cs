using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Graph;

[Trait("Category", "Servers")]
public sealed class IsolationTests
{
    [Fact]
    public async Task I21_three_bad_endpoints_hold_up_none_of_fifty_healthy_ones()
    {
        const int Healthy = 50;
        const int Events = 1500;
        await using var graph = await DeliveryGraph.StartAsync();
        using var hole = new TcpListener(IPAddress.Loopback, 0);
        hole.Start(); // What connects is never accepted, and never answered.
        await graph.RegisterAsync("hole", "events.bad.hole", url: $"http://127.0.0.1:{((IPEndPoint)hole.LocalEndpoint).Port}/", timeoutMs: 20_000);
        await graph.RegisterAsync("slow", "events.bad.slow", "/slow", timeoutMs: 30_000);
        await graph.RegisterAsync("wrong", "events.bad.wrong", "/wrong", settings: """{"retry_schedule": [1, 1, 3600]}""");
        graph.Receiver.Answer("/slow", (context, _) => Task.Delay(TimeSpan.FromSeconds(29), context.RequestAborted));
        graph.Receiver.Answer("/wrong", 500);
        for (var number = 0; number < Healthy; number++)
        {
            await graph.RegisterAsync($"healthy{number}", $"events.healthy.{number}", $"/healthy/{number}");
        }

        await graph.StartWorkerAsync();
        var alone = await HealthyAsync(graph, Healthy, Events, "1_alone");

        await graph.PublishManyAsync("events.bad.slow", 500, "1_slow");
        await graph.PublishManyAsync("events.bad.wrong", 1000, "1_wrong");
        await graph.PublishManyAsync("events.bad.hole", 5000, "1_hole");
        // All of it is out of the stream although nothing of the hole and of the slow one has an outcome yet.
        await graph.SettledAsync(Events + 6500, TimeSpan.FromSeconds(25));
        var more = Task.WhenAll(graph.PublishManyAsync("events.bad.slow", 100, "1_moreslow"), graph.PublishManyAsync("events.bad.hole", 100, "1_morehole"));
        var beside = await HealthyAsync(graph, Healthy, Events, "1_beside");
        await more;

        Assert.Equal(5100, await graph.CountAsync("SELECT count(*) FROM rule_webhook_calls JOIN rule_webhooks USING (webhook_id) WHERE webhook_name = 'hole' AND due_at IS NOT NULL"));
        // The ratios are the benchmark's; here it must not be the seconds of the bad ones.
        Assert.True(beside <= Math.Max(2 * alone, 1000), $"p99 {beside:0} ms beside the bad ones, {alone:0} ms without");
    }

    [Fact]
    public async Task An_endpoint_never_has_more_requests_than_places_and_gets_all()
    {
        const int Events = 200;
        await using var graph = await DeliveryGraph.StartAsync();
        await graph.RegisterAsync("two", "events.>", "/two", settings: """{"max_concurrency": 2}""");
        var (now, most) = (0, 0);
        graph.Receiver.Answer("/two", async (context, _) =>
        {
            InterlockedMax(ref most, Interlocked.Increment(ref now));
            await Task.Delay(10, context.RequestAborted);
            Interlocked.Decrement(ref now);
        });
        await graph.StartWorkerAsync();

        await graph.PublishManyAsync("events.x", Events, "1_");
        await graph.DrainedAsync(Events);

        Assert.Equal(2, most);
        Assert.Equal(Events, graph.Receiver.Requests.Count);
        Assert.Equal(Events, graph.Receiver.Requests.DistinctBy(request => request.Id).Count());
        Assert.Equal(Events, await graph.CountAsync("SELECT count(DISTINCT event_id) FROM rule_webhook_call_history WHERE outcome = 'delivered'"));
    }

    [Fact]
    public async Task A_rate_limit_is_one_for_all_workers_and_can_be_lifted_at_run_time()
    {
        const int Rate = 20;
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("limited", "events.>", "/limited", settings: $$"""{"rate_limit": {{Rate}}, "rate_burst": 10}""");
        await graph.StartWorkerAsync();
        await graph.StartWorkerAsync();

        await graph.PublishManyAsync("events.x", 600, "1_");
        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count >= 100, "a hundred in the limit");
        var times = graph.Receiver.Requests.Select(request => request.At).Order().ToArray();
        for (var first = 0; first < times.Length; first++)
        {
            var within = times.Skip(first).TakeWhile(at => at - times[first] < TimeSpan.FromSeconds(1)).Count();
            // The burst, the second's own, and what each of the two workers may have taken out of the bucket a quarter of a second before.
            Assert.True(within <= Rate + 10 + (2 * 5), $"{within} in one second");
        }

        await graph.ExecuteAsync("""SELECT rule_webhook_configure($1, '{"rate_limit": null}')""", webhook.Id);
        await graph.DrainedAsync(600, TimeSpan.FromSeconds(15));
        Assert.Equal(600, graph.Receiver.Requests.DistinctBy(request => request.Id).Count());
        Assert.Equal(600, graph.Receiver.Requests.Count);
    }

    [Fact]
    public async Task A_circuit_opens_for_all_workers_lets_probes_through_and_closes_with_one_that_succeeds()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("down", "events.>", "/down", settings: """{"breaker_probe_seconds": 1, "retry_schedule": [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]}""");
        graph.Receiver.Answer("/down", 500);
        var workers = new[] { await graph.StartWorkerAsync(), await graph.StartWorkerAsync() };

        await graph.PublishManyAsync("events.x", 300, "1_");
        await Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM webhook_delivery_health WHERE circuit = 'open' AND reason = 'HTTP 500' AND consecutive_failures >= 10") == 1, "the circuit is open");
        await graph.SettledAsync(300);
        var opened = graph.Receiver.Requests.Count;
        // What was under way when it opened, in either worker; everything else waits.
        Assert.InRange(opened, 10, 10 + (2 * 64));
        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count >= opened + 3, "three probes");
        // One a second; on a busy machine two may arrive together, but no three within a second.
        var probes = graph.Receiver.Requests.Skip(opened).ToArray();
        Assert.True(probes.Zip(probes.Skip(2)).All(three => three.Second.At - three.First.At > TimeSpan.FromSeconds(1)), "one probe at a time");

        graph.Receiver.Answer("/down", 200);
        await Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM webhook_delivery_health WHERE circuit = 'closed' AND webhook_id = $1", webhook.Id) == 1, "the circuit is closed");
        await graph.DrainedAsync(300, TimeSpan.FromSeconds(90));
        Assert.Equal(300, await graph.CountAsync("SELECT count(DISTINCT event_id) FROM rule_webhook_call_history WHERE outcome = 'delivered'"));
        await await Task.WhenAny(workers.Select(worker => worker.SaysAsync("opened")));
    }

    [Fact]
    public async Task I24_an_endpoint_that_comes_back_is_not_run_over_by_what_is_due()
    {
        const int Due = 10_000;
        const int Fresh = 200;
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("back", "events.>", "/back");
        await graph.ExecuteAsync("""
            INSERT INTO rule_webhook_calls (webhook_id, status, payload, next_retry_at, retry_count, attempts)
            SELECT $1, 'retrying', '{}', now() - interval '1 minute', 1, 1 FROM generate_series(1, $2)
            """, webhook.Id, Due);
        var (now, most) = (0, 0);
        graph.Receiver.Answer("/back", async (context, _) =>
        {
            InterlockedMax(ref most, Interlocked.Increment(ref now));
            await Task.Delay(20, context.RequestAborted);
            Interlocked.Decrement(ref now);
        });
        await graph.StartWorkerAsync();
        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count > 0, "the first repeat");
        var began = graph.Receiver.Requests.First().At;

        await graph.PublishManyAsync("events.x", Fresh, "1_fresh");
        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count(request => request.Id.StartsWith("1_fresh", StringComparison.Ordinal)) == Fresh, "all new events");
        var last = graph.Receiver.Requests.Last(request => request.Id.StartsWith("1_fresh", StringComparison.Ordinal)).At;
        var repeats = graph.Receiver.Requests.Count(request => request.At <= last && !request.Id.StartsWith("1_fresh", StringComparison.Ordinal));

        Assert.InRange(most, 1, 8);
        Assert.True(repeats <= (Fresh * 0.2) + (10 * (last - began).TotalSeconds) + 11, $"{repeats} repeats beside {Fresh} new events in {(last - began).TotalSeconds:0.0} s");
        Assert.InRange(Due - await graph.CountAsync("SELECT count(*) FROM rule_webhook_calls WHERE status = 'retrying'"), 1, Due / 10);
    }

    private static async Task<double> HealthyAsync(DeliveryGraph graph, int endpoints, int events, string prefix)
    {
        var published = new ConcurrentDictionary<string, DateTimeOffset>();
        for (var start = 0; start < events; start += endpoints)
        {
            await Task.WhenAll(Enumerable.Range(start, endpoints).Select(number =>
            {
                published[$"{prefix}{number}"] = TimeProvider.System.GetUtcNow();
                return graph.PublishAsync($"events.healthy.{number % endpoints}", "{}", $"{prefix}{number}");
            }));
        }

        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count(request => published.ContainsKey(request.Id)) >= events, $"all {events} of {prefix}");
        var latencies = graph.Receiver.Requests.Where(request => published.ContainsKey(request.Id)).Select(request => (request.At - published[request.Id]).TotalMilliseconds).Order().ToArray();
        Assert.Equal(events, latencies.Length);
        return latencies[(int)(0.99 * latencies.Length)];
    }

    private static void InterlockedMax(ref int most, int value)
    {
        for (var seen = Volatile.Read(ref most); value > seen; seen = Volatile.Read(ref most))
        {
            Interlocked.CompareExchange(ref most, value, seen);
        }
    }
}
