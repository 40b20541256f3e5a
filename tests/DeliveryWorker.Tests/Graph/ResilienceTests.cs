using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Graph;

[Trait("Category", "Servers")]
public sealed class ResilienceTests
{
    private static readonly (string, string)[] ShortAckWait =
    [
        ("Delivery__AckWait", "00:00:03"), ("Delivery__ProgressEvery", "00:00:01"), ("Delivery__Lease", "00:00:10"), ("Delivery__MaxTimeout", "00:00:03"),
    ];

    [Fact]
    public async Task A_kill_in_the_middle_of_the_load_loses_nothing_and_repeats_no_more_than_was_in_flight()
    {
        const int Events = 1500;
        const int Kills = 3;
        const int InFlight = 64;
        await using var graph = await DeliveryGraph.StartAsync();
        await graph.RegisterAsync("all", "events.>", "/all", timeoutMs: 20_000);
        graph.Receiver.Answer("/all", (context, _) => Task.Delay(20, context.RequestAborted));
        var worker = await graph.StartWorkerAsync(settings: ShortAckWait);
        var publishing = graph.PublishManyAsync("events.load", Events, "1_");

        for (var kill = 1; kill <= Kills; kill++)
        {
            await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count >= kill * Events / (Kills + 2), "load before a kill");
            await worker.KillAsync();
            await worker.RestartAsync();
        }

        await publishing;
        await graph.DrainedAsync(Events);

        var ids = graph.Receiver.Requests.GroupBy(request => request.Id).ToDictionary(group => group.Key, group => group.Count());
        Assert.Equal(Enumerable.Range(0, Events).Select(number => $"1_{number}").Order(), ids.Keys.Order());
        Assert.InRange(ids.Values.Sum() - Events, 0, Kills * InFlight);
        Assert.Equal(Events, await graph.CountAsync("SELECT count(DISTINCT event_id) FROM rule_webhook_call_history WHERE outcome = 'delivered'"));
        Assert.Equal(Events, await graph.CountAsync("SELECT count(*) FROM rule_webhook_call_history WHERE outcome = 'delivered'"));
    }

    [Fact]
    public async Task A_kill_during_queued_calls_loses_none()
    {
        const int Calls = 300;
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("queue", null, "/queue");
        graph.Receiver.Answer("/queue", (context, _) => Task.Delay(50, context.RequestAborted));
        var worker = await graph.StartWorkerAsync(settings: [("Delivery__Lease", "00:00:03"), ("Delivery__MaxTimeout", "00:00:02")]);
        await graph.ExecuteAsync("SELECT rule_webhook_enqueue($1, jsonb_build_object('n', n)) FROM generate_series(1, $2) n", webhook.Id, Calls);
        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count >= Calls / 3, "load before the kill");

        await worker.KillAsync();
        await worker.RestartAsync();
        await Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM rule_webhook_calls WHERE status = 'success'") == Calls, "all calls have succeeded");

        var ids = graph.Receiver.Requests.GroupBy(request => request.Id).ToArray();
        Assert.Equal(Calls, ids.Length);
        Assert.InRange(graph.Receiver.Requests.Count - Calls, 0, 32);
        Assert.Equal(Calls, await graph.CountAsync("SELECT count(*) FROM rule_webhook_call_history WHERE outcome = 'delivered'"));
    }

    [Fact]
    public async Task I29_a_stop_signal_finishes_what_is_in_flight_and_gives_back_the_rest()
    {
        const int PerSecond = 200;
        await using var graph = await DeliveryGraph.StartAsync();
        await graph.RegisterAsync("slow", "events.>", "/slow", timeoutMs: 20_000, settings: """{"max_concurrency": 100}""");
        graph.Receiver.Answer("/slow", (_, _) => Task.Delay(2000));
        var worker = await graph.StartWorkerAsync();
        using var stop = new CancellationTokenSource();
        var load = PublishAsync(graph, PerSecond, stop.Token);
        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count >= 150, "deliveries in flight");

        var signalled = TimeProvider.System.GetUtcNow();
        var exitCode = await worker.TerminateAsync(TimeSpan.FromSeconds(25));
        await stop.CancelAsync();
        var events = await load;
        var before = graph.Receiver.Requests.Count;
        Assert.Equal(0, exitCode);
        Assert.InRange(before, 150, events - 1);
        // What had its place at the signal was on its way: nothing began later.
        Assert.All(graph.Receiver.Requests, request => Assert.InRange(request.At, DateTimeOffset.MinValue, signalled.AddSeconds(1)));
        // Everything that was sent is recorded: nothing was cut off.
        Assert.Equal(before, await graph.CountAsync("SELECT count(*) FROM rule_webhook_call_history WHERE outcome = 'delivered'"));

        graph.Receiver.Answer("/slow", 200);
        await worker.RestartAsync();
        // What was on its way from the server when the pull ended could not be given back, and comes after AckWait.
        await graph.DrainedAsync(events, TimeSpan.FromSeconds(120));

        Assert.Equal(events, graph.Receiver.Requests.Count);
        Assert.Equal(events, graph.Receiver.Requests.DistinctBy(request => request.Id).Count());
    }

    /// <returns>How many there were.</returns>
    private static async Task<int> PublishAsync(DeliveryGraph graph, int perSecond, CancellationToken stop)
    {
        const int Ticks = 20;
        var published = 0;
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1.0 / Ticks));
        for (; !stop.IsCancellationRequested; published += perSecond / Ticks)
        {
            await graph.PublishManyAsync("events.load", perSecond / Ticks, $"1_{published}_");
            await timer.WaitForNextTickAsync(CancellationToken.None);
        }

        return published;
    }

    [Fact]
    public async Task What_does_not_end_in_the_drain_time_is_given_back_at_once()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var queued = await graph.RegisterAsync("hanging", "events.>", "/hanging", timeoutMs: 30_000);
        graph.Receiver.Answer("/hanging", (context, count) => count <= 2 ? Task.Delay(Timeout.Infinite, context.RequestAborted) : Task.CompletedTask);
        var worker = await graph.StartWorkerAsync(settings: ("Delivery__DrainTimeout", "00:00:01"));
        await graph.PublishAsync("events.x", "{}", "1_x");
        await graph.ExecuteAsync("SELECT rule_webhook_enqueue($1, '{}')", queued.Id);
        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count == 2, "both are in flight");

        Assert.Equal(0, await worker.TerminateAsync());
        Assert.Equal("pending", await graph.ScalarAsync("SELECT status FROM rule_webhook_calls"));
        await worker.RestartAsync();
        // AckWait and lease are 60 s: in less than that only what was given back can come again.
        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count == 4, "both came again", TimeSpan.FromSeconds(50));
        await graph.SettledAsync(1);

        Assert.Equal(2, graph.Receiver.Requests.DistinctBy(request => request.Id).Count());
    }

    [Fact]
    public async Task I29_a_second_stop_signal_does_not_wait()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        await graph.RegisterAsync("hanging", "events.>", "/hanging", timeoutMs: 60_000);
        graph.Receiver.Answer("/hanging", (context, count) => count == 1 ? Task.Delay(Timeout.Infinite, context.RequestAborted) : Task.CompletedTask);
        // With one signal this worker would use up the 30 s that the host gives it.
        var worker = await graph.StartWorkerAsync(settings: [("Delivery__DrainTimeout", "00:10:00"), ("Delivery__MaxTimeout", "00:00:59")]);
        await graph.PublishAsync("events.x", "{}", "1_x");
        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count == 1, "the request is in flight");

        var first = worker.TerminateAsync();
        await worker.SaysAsync("shutting down");

        Assert.Equal(0, await worker.TerminateAsync(TimeSpan.FromSeconds(20)));
        await first;
        await worker.RestartAsync();
        await graph.SettledAsync(1, TimeSpan.FromSeconds(50));
        Assert.Equal(2, graph.Receiver.Requests.Count);
    }

    [Fact]
    public async Task Two_workers_share_the_load_and_deliver_nothing_twice()
    {
        const int Events = 1000;
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("all", "events.>", "/all");
        graph.Receiver.Answer("/all", (context, _) => Task.Delay(20, context.RequestAborted));
        var workers = new[] { await graph.StartWorkerAsync(), await graph.StartWorkerAsync() };

        await Task.WhenAll(
            graph.PublishManyAsync("events.load", Events, "1_"),
            graph.ExecuteAsync("SELECT rule_webhook_enqueue($1, jsonb_build_object('n', n)) FROM generate_series(1, 500) n", webhook.Id));
        await graph.DrainedAsync(Events);

        Assert.Equal(Events + 500, graph.Receiver.Requests.Count);
        Assert.Equal(Events + 500, graph.Receiver.Requests.DistinctBy(request => request.Id).Count());
        await Task.WhenAll(workers.Select(worker => worker.SaysAsync("stream WEBHOOKS")));
    }

    [Fact]
    public async Task An_outage_of_postgresql_holds_the_acknowledgement_and_repeats_no_request()
    {
        await using var postgres = await PostgresServer.StartPrivateAsync();
        await using var graph = await DeliveryGraph.StartAsync(postgres);
        await graph.RegisterAsync("all", "events.>", "/all", timeoutMs: 20_000);
        await graph.StartWorkerAsync(settings: ShortAckWait);
        graph.Receiver.Answer("/all", async (_, count) =>
        {
            if (count == 1)
            {
                await postgres.KillAsync();
            }
        });

        await graph.PublishAsync("events.x", "{}", "1_x");
        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count == 1, "the request came while PostgreSQL was going down");
        var consumer = await graph.ConsumerAsync();
        Assert.Equal(1, consumer.NumAckPending);
        await postgres.RestartAsync();
        await graph.SettledAsync(1);

        Assert.Single(graph.Receiver.Requests);
        // The first query may meet a connection of before.
        await Wait.UntilAsync(
            async () => await graph.CountAsync("SELECT count(*) FROM rule_webhook_call_history WHERE outcome = 'delivered'") == 1, "the attempt is recorded once");
    }

    [Fact]
    public async Task An_outage_of_nats_is_survived_without_a_restart()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        await graph.RegisterAsync("all", "events.>", "/all");
        var worker = await graph.StartWorkerAsync();
        await graph.PublishAsync("events.x", "{}", "1_before");
        await graph.SettledAsync(1);

        await graph.Nats.KillAsync();
        await Wait.UntilAsync(async () => (await worker.HealthAsync()).Status == 503, "the worker is not ready");
        await graph.Nats.RestartAsync();
        await worker.ReadyAsync();
        await Wait.UntilAsync(async () =>
        {
            await graph.PublishAsync("events.x", "{}", "1_after");
            return true;
        }, "the publisher is connected again");
        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Any(request => request.Id == "1_after"), "the event after the outage");
    }

    // nats-server keeps the consumer's place and skips what takes the lost sequences; an event that was delivered before the loss may come back.
    [Fact]
    public async Task A_consumer_past_the_end_of_a_stream_that_lost_its_tail_is_made_anew()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        await graph.RegisterAsync("all", "events.>", "/all");
        var worker = await graph.StartWorkerAsync(settings: ShortAckWait);
        await graph.PublishManyAsync("events.x", 10, "1_kept");
        await graph.StopNatsAsync(10);
        graph.Nats.CopyStore();
        await graph.Nats.RestartAsync();
        await Wait.UntilAsync(async () =>
        {
            await graph.PublishManyAsync("events.x", 10, "1_lost");
            return true;
        }, "the publisher is connected again");
        await graph.StopNatsAsync(20);
        graph.Nats.RestoreStore(withConsumers: false);
        await graph.Nats.RestartAsync();
        await worker.SaysAsync("was at 20, but sequences from 11 on are used again");
        await graph.PublishAsync("events.x", "{}", "1_lost3", ("rule-restored", "true"));
        await graph.PublishAsync("events.x", "{}", "1_new");
        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Any(request => request.Id == "1_new"), "the new one is delivered");
        await graph.SettledAsync(12);

        Assert.Equal(21, graph.Receiver.Requests.Count);
        Assert.DoesNotContain(graph.Receiver.Requests, request => request.Headers.ContainsKey("rule-restored"));
        Assert.DoesNotContain("differs", (await worker.HealthAsync()).Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_consumer_whose_place_outlived_its_stream_begins_with_the_new_one()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        await graph.RegisterAsync("all", "events.>", "/all");
        var worker = await graph.StartWorkerAsync(settings: ShortAckWait);
        await graph.PublishManyAsync("events.x", 10, "1_old");
        await graph.StopNatsAsync(10);
        graph.Nats.LoseStream(DeliveryGraph.Stream);
        await graph.Nats.RestartAsync();

        await Wait.UntilAsync(async () =>
        {
            await graph.CreateStreamAsync();
            return true;
        }, "the stream is made anew");
        await graph.PublishManyAsync("events.x", 10, "1_new");
        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count >= 20, "all of the new stream is delivered");

        Assert.Equal(20, graph.Receiver.Requests.Select(request => request.Id).Distinct().Count());
        await worker.SaysAsync("came up at 10, the place of one before the stream was lost");
    }
}
