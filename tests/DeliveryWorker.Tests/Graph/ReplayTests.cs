using System.Text.Json;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Graph;

[Trait("Category", "Servers")]
public sealed class ReplayTests
{
    private const int Events = 2000;

    private static readonly TimeSpan Long = TimeSpan.FromSeconds(120);

    [Fact]
    public async Task A_replay_by_sequence_delivers_each_event_once_more_with_its_id_and_says_which_replay_it_is()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("all", "events.load", "/all");
        await graph.RegisterAsync("other", "events.>", "/other");
        await graph.StartWorkerAsync();
        await graph.PublishManyAsync("events.load", Events, "1_");
        await graph.DrainedAsync(Events, Long);
        Assert.Equal(Events, graph.Receiver.At("/all").Count());

        var replay = await graph.CountAsync("SELECT rule_webhook_replay($1, p_from_sequence => 501, p_to_sequence => 1500)", webhook.Id);
        Assert.Equal((1000, 1000, 1000, 0), await DoneAsync(graph, replay));
        await DeliveredAsync(graph);

        var again = graph.Receiver.At("/all").Skip(Events).ToArray();
        Assert.Equal(Ids(500, 1000), again.Select(request => request.Id).Order());
        Assert.All(again, request => Assert.Equal($"{replay}", request.Headers["webhook-replay"]));
        Assert.True(StandardWebhookVerifier.Verify(webhook.Secret, again[0]));
        Assert.All(graph.Receiver.At("/all").Take(Events), request => Assert.DoesNotContain("webhook-replay", request.Headers.Keys));
        Assert.Equal(graph.Receiver.At("/all").First(request => request.Id == again[0].Id).Body, again[0].Body);
        Assert.Equal(Events, graph.Receiver.At("/other").Count());
        // The attempts of an event are numbered on.
        Assert.Equal(1000, await graph.CountAsync("SELECT count(*) FROM rule_webhook_call_history WHERE webhook_id = $1 AND attempt_number = 2 AND outcome = 'delivered'", webhook.Id));
        Assert.Equal(100, (await StatusAsync(graph, replay)).GetProperty("progress_pct").GetDouble());
    }

    [Fact]
    public async Task A_replay_by_time_takes_what_was_stored_in_that_time_and_a_second_one_begins_finished_calls_anew()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("all", "events.>", "/all");
        await graph.StartWorkerAsync();
        await graph.PublishManyAsync("events.load", 300, "1_");
        await graph.DrainedAsync(300);
        await graph.PublishManyAsync("events.load", 200, "2_");
        await graph.DrainedAsync(500);
        await graph.PublishManyAsync("events.load", 100, "3_");
        await graph.DrainedAsync(600);
        // The first of the second batch is in, the first of the third is not.
        var (from, to) = (await StoredAtAsync(graph, 301), await StoredAtAsync(graph, 501));

        for (var round = 1; round <= 2; round++)
        {
            var replay = await graph.CountAsync("SELECT rule_webhook_replay($1, $2, $3)", webhook.Id, from, to);
            Assert.Equal((200, 200, 200, 0), await DoneAsync(graph, replay));
            await DeliveredAsync(graph);
            var again = graph.Receiver.Requests.Skip(600 + ((round - 1) * 200)).ToArray();
            Assert.Equal(200, again.Length);
            Assert.All(again, request => Assert.StartsWith("2_", request.Id, StringComparison.Ordinal));
            Assert.All(again, request => Assert.Equal($"{replay}", request.Headers["webhook-replay"]));
        }

        Assert.Equal("1,2,3", await graph.ScalarAsync("SELECT string_agg(attempt_number::text, ',' ORDER BY attempt_number) FROM rule_webhook_call_history WHERE event_id = '2_7'"));
    }

    [Fact]
    public async Task A_replay_by_status_takes_the_events_whose_last_outcome_it_is_and_a_dry_run_counts_them_only()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("all", "events.>", "/all", maxRetries: 0);
        await graph.ExecuteAsync("""SELECT rule_webhook_configure($1, '{"breaker_failures": 0}')""", webhook.Id);
        await graph.StartWorkerAsync();
        graph.Receiver.Answer("/all", 500);
        await graph.PublishManyAsync("events.load", 60, "failed_");
        await graph.DrainedAsync(60);
        graph.Receiver.Answer("/all", 200);
        await graph.PublishManyAsync("events.load", 50, "delivered_");
        await graph.PublishManyAsync("events.load", 40, "cancelled_");
        await graph.PublishManyAsync("events.load", 30, "missing_");
        await graph.DrainedAsync(180);
        // As if the webhook had been off, and as after the time that the history is kept. Some may have gone through the queue.
        await graph.ExecuteAsync("DELETE FROM rule_webhook_calls WHERE event_id ~ '^(cancelled|missing)_'");
        await graph.ExecuteAsync("UPDATE rule_webhook_call_history SET outcome = 'cancelled' WHERE event_id LIKE 'cancelled_%'");
        await graph.ExecuteAsync("DELETE FROM rule_webhook_call_history WHERE event_id LIKE 'missing_%'");
        var before = graph.Receiver.Requests.Count;

        foreach (var (status, count) in new[] { ("failed", 60), ("delivered", 50), ("cancelled", 40), ("missing", 30) })
        {
            var dry = await graph.CountAsync("SELECT rule_webhook_replay($1, p_status => ARRAY[$2], p_dry_run => true)", webhook.Id, status);
            Assert.Equal((180, count, 0, 0), await DoneAsync(graph, dry));
        }

        var all = await graph.CountAsync("SELECT rule_webhook_replay($1, p_status => '{failed,missing}')", webhook.Id);
        Assert.Equal((180, 90, 90, 0), await DoneAsync(graph, all));
        await DeliveredAsync(graph);
        var again = graph.Receiver.Requests.Skip(before).Select(request => request.Id[..request.Id.IndexOf('_', StringComparison.Ordinal)]).CountBy(kind => kind).ToDictionary();
        Assert.Equal(new Dictionary<string, int> { ["failed"] = 60, ["missing"] = 30 }, again);
        // What had failed is delivered now.
        var failed = await graph.CountAsync("SELECT rule_webhook_replay($1, p_status => '{failed}', p_dry_run => true)", webhook.Id);
        Assert.Equal((180, 0, 0, 0), await DoneAsync(graph, failed));
    }

    [Fact]
    public async Task A_rate_is_kept_to_and_a_cancel_ends_it_within_two_seconds()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("all", "events.>", "/all");
        await graph.StartWorkerAsync();
        await graph.PublishManyAsync("events.load", Events, "1_");
        await graph.DrainedAsync(Events, Long);

        var replay = await graph.CountAsync("SELECT rule_webhook_replay($1, p_rate => 80)", webhook.Id);
        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count >= Events + 320, "four seconds' worth has come");
        Assert.True((bool)(await graph.ScalarAsync("SELECT rule_webhook_replay_cancel($1)", replay))!);
        var cancelled = DateTimeOffset.UtcNow;
        Assert.False((bool)(await graph.ScalarAsync("SELECT rule_webhook_replay_cancel($1)", replay))!);
        await DeliveredAsync(graph);
        var enqueued = (await StatusAsync(graph, replay)).GetProperty("enqueued").GetInt32();
        // A later event is the only one that may still come.
        await graph.PublishAsync("events.load", "{}", "later", ("webhook-replay", "7"));
        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Any(request => request.Id == "later"), "a later event has come");
        Assert.DoesNotContain("webhook-replay", graph.Receiver.Requests.Single(request => request.Id == "later").Headers.Keys);

        var again = graph.Receiver.Requests.Where(request => request.Headers.ContainsKey("webhook-replay")).Select(request => request.At).Order().ToArray();
        Assert.Equal(enqueued, again.Length);
        Assert.InRange(enqueued, 320, 500);
        // 80 a second, in steps of 20: any 160 take at least 1.6 s.
        Assert.True(again[319] - again[0] >= TimeSpan.FromSeconds(3), $"320 in {again[319] - again[0]}");
        Assert.True(again[^1] - cancelled < TimeSpan.FromSeconds(2), $"the last one {again[^1] - cancelled} after the cancel");
        var status = await StatusAsync(graph, replay);
        Assert.Equal("cancelled", status.GetProperty("state").GetString());
        Assert.InRange(status.GetProperty("progress_pct").GetDouble(), 15, 26);
    }

    [Fact]
    public async Task A_kill_in_the_middle_loses_nothing_and_repeats_no_more_than_was_in_flight()
    {
        const int InFlight = 128;
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("all", "events.>", "/all");
        await graph.ExecuteAsync("""SELECT rule_webhook_configure($1, '{"max_concurrency": 64}')""", webhook.Id);
        (string, string)[] settings =
        [
            ("Replays__Lease", "00:00:02"), ("Replays__Batch", "50"), ("Replays__MaxDue", "100"), ("Delivery__Lease", "00:00:03"), ("Delivery__MaxTimeout", "00:00:02"),
            ("Delivery__AckWait", "00:00:04"), ("Delivery__ProgressEvery", "00:00:01"),
        ];
        var worker = await graph.StartWorkerAsync(settings: settings);
        await graph.PublishManyAsync("events.load", Events, "1_");
        await graph.DrainedAsync(Events, Long);
        graph.Receiver.Answer("/all", (context, _) => Task.Delay(10, context.RequestAborted));

        var replay = await graph.CountAsync("SELECT rule_webhook_replay($1)", webhook.Id);
        for (var kill = 1; kill <= 2; kill++)
        {
            await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count >= Events + (kill * 600), "replayed events before a kill");
            Assert.Equal("running", (await StatusAsync(graph, replay)).GetProperty("state").GetString());
            await worker.KillAsync();
            await worker.RestartAsync();
        }

        Assert.Equal((Events, Events, Events, 0), await DoneAsync(graph, replay));
        await DeliveredAsync(graph);
        var again = graph.Receiver.Requests.Where(request => request.Headers.ContainsKey("webhook-replay")).ToArray();
        Assert.Equal(Ids(0, Events), again.Select(request => request.Id).Distinct().Order());
        Assert.InRange(again.Length - Events, 0, 2 * InFlight);
        Assert.Equal(Events, await graph.CountAsync("SELECT count(*) FROM rule_webhook_calls WHERE replay_id = $1 AND status = 'success'", replay));
    }

    [Fact]
    public async Task Two_replays_at_once_leave_alone_what_is_due_and_end_both()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("all", "events.>", "/all");
        await graph.StartWorkerAsync();
        await graph.StartWorkerAsync();
        await graph.PublishManyAsync("events.load", Events, "1_");
        await graph.DrainedAsync(Events, Long);

        await graph.ExecuteAsync("SELECT rule_webhook_replay($1) FROM generate_series(1, 2)", webhook.Id);
        var first = await DoneAsync(graph, 1);
        var second = await DoneAsync(graph, 2);
        await DeliveredAsync(graph);

        Assert.Equal((Events, Events), (first.Scanned, first.Matched));
        Assert.Equal((Events, Events), (second.Scanned, second.Matched));
        Assert.Equal(2 * Events, first.Enqueued + first.Skipped + second.Enqueued + second.Skipped);
        Assert.Equal(Events + first.Enqueued + second.Enqueued, graph.Receiver.Requests.Count);
        Assert.All(graph.Receiver.Requests.GroupBy(request => request.Id), group => Assert.InRange(group.Count(), 2, 3));
    }

    [Fact]
    public async Task A_replay_waits_while_too_many_of_its_calls_are_due_and_fails_when_its_webhook_goes()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("all", "events.>", "/all");
        await graph.StartWorkerAsync(settings: [("Replays__MaxDue", "200"), ("Replays__Batch", "100")]);
        await graph.PublishManyAsync("events.load", Events, "1_");
        await graph.DrainedAsync(Events, Long);
        using var open = new SemaphoreSlim(0);
        graph.Receiver.Answer("/all", (context, _) => open.WaitAsync(context.RequestAborted));

        var replay = await graph.CountAsync("SELECT rule_webhook_replay($1)", webhook.Id);
        await Wait.UntilAsync(async () => (await StatusAsync(graph, replay)).GetProperty("enqueued").GetInt32() > 200, "it has put into the queue what it may");
        open.Release(150);
        await Wait.UntilAsync(async () => (await StatusAsync(graph, replay)).GetProperty("enqueued").GetInt32() > 300, "it goes on as they are delivered");
        var status = await StatusAsync(graph, replay);
        Assert.InRange(status.GetProperty("waiting").GetInt32(), 200, 300);
        Assert.InRange(status.GetProperty("enqueued").GetInt32(), 301, 450);

        await graph.ExecuteAsync("SELECT rule_webhook_delete($1)", webhook.Id);
        await Wait.UntilAsync(async () => (await StatusAsync(graph, replay)).GetProperty("state").GetString() == "failed", "it has failed");
        open.Release(10_000);
        Assert.Contains("deleted", await graph.ScalarAsync("SELECT error FROM rule_webhook_replays WHERE finished_at IS NOT NULL AND leased_by IS NULL") as string, StringComparison.Ordinal);
        await Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM rule_webhook_calls WHERE due_at IS NOT NULL") == 0, "no call is left for nobody");
    }

    [Fact]
    public async Task The_worker_needs_no_more_than_its_role_and_a_replay_outlasts_an_outage_of_nats_server()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("all", "events.>", "/all");
        await graph.ExecuteAsync("CREATE ROLE least_replayer LOGIN IN ROLE rule_worker");
        var least = new Npgsql.NpgsqlConnectionStringBuilder(graph.ConnectionString) { Username = "least_replayer" };
        var worker = await graph.StartWorkerAsync(settings: [("ConnectionStrings__rules", least.ConnectionString), ("Replays__RetryAfter", "00:00:00.500"), ("Replays__ServerTimeout", "00:00:01")]);
        await graph.PublishManyAsync("events.load", 100, "1_");
        await graph.DrainedAsync(100);
        await graph.StopNatsAsync(100);

        var replay = await graph.CountAsync("SELECT rule_webhook_replay($1, p_status => '{delivered}')", webhook.Id);
        await Wait.UntilAsync(async () => (await StatusAsync(graph, replay)).GetProperty("error").ValueKind is JsonValueKind.String, "it says that it waits");
        Assert.Equal("running", (await StatusAsync(graph, replay)).GetProperty("state").GetString());
        await graph.Nats.RestartAsync();
        Assert.Equal((100, 100, 100, 0), await DoneAsync(graph, replay));
        await DeliveredAsync(graph);

        Assert.Equal(100, graph.Receiver.Requests.Count(request => request.Headers.ContainsKey("webhook-replay")));
        Assert.DoesNotContain("permission denied", worker.Output, StringComparison.Ordinal);
    }

    private static IEnumerable<string> Ids(int from, int count) => Enumerable.Range(from, count).Select(number => $"1_{number}").Order();

    private static async Task<JsonElement> StatusAsync(DeliveryGraph graph, long replay)
        => JsonDocument.Parse((string)(await graph.ScalarAsync("SELECT rule_webhook_replay_status($1)::text", replay))!).RootElement;

    private static async Task<(int Scanned, int Matched, int Enqueued, int Skipped)> DoneAsync(DeliveryGraph graph, long replay)
    {
        await Wait.UntilAsync(
            async () => (await StatusAsync(graph, replay)).GetProperty("state").GetString() is "done" or "failed" or "cancelled", $"replay {replay} has ended", Long);
        var status = await StatusAsync(graph, replay);
        Assert.True(status.GetProperty("state").GetString() == "done", status.ToString());
        return (Number("scanned"), Number("matched"), Number("enqueued"), Number("skipped"));

        int Number(string name) => status.GetProperty(name).GetInt32();
    }

    private static async Task<DateTime> StoredAtAsync(DeliveryGraph graph, ulong sequence)
    {
        var stream = await graph.JetStream.GetStreamAsync(DeliveryGraph.Stream);
        return (await stream.GetAsync(new NATS.Client.JetStream.Models.StreamMsgGetRequest { Seq = sequence })).Message.Time.UtcDateTime;
    }

    private static Task DeliveredAsync(DeliveryGraph graph)
        => Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM rule_webhook_calls WHERE due_at IS NOT NULL") == 0, "all calls are finished", Long);
}
