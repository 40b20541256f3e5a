using System.Collections.Concurrent;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Graph;

[Trait("Category", "Servers")]
public sealed class OrderTests
{
    [Fact]
    public async Task Events_of_one_key_come_one_after_the_other_over_two_workers_and_a_kill()
    {
        const int Keys = 20;
        const int EventsOfEach = 15;
        await using var graph = await DeliveryGraph.StartAsync();
        await graph.RegisterAsync("ordered", "events.>", "/ordered", settings: """{"ordering": "key", "order_by": "$.key", "max_concurrency": 16}""");
        var busy = new ConcurrentDictionary<string, int>();
        var overlaps = 0;
        graph.Receiver.Answer("/ordered", async (context, _) =>
        {
            var key = context.Request.Headers["ce-key"].ToString();
            if (busy.AddOrUpdate(key, 1, static (_, before) => before + 1) > 1)
            {
                Interlocked.Increment(ref overlaps);
            }

            await Task.Delay(5);
            busy.AddOrUpdate(key, 0, static (_, before) => before - 1);
        });
        var settings = new[] { ("Delivery__Lease", "00:00:03"), ("Delivery__MaxTimeout", "00:00:02"), ("Delivery__AckWait", "00:00:03"), ("Delivery__ProgressEvery", "00:00:01") };
        var killed = await graph.StartWorkerAsync(settings: settings);
        await graph.StartWorkerAsync(settings: settings);

        for (var number = 0; number < EventsOfEach; number++)
        {
            await Task.WhenAll(Enumerable.Range(0, Keys).Select(key => graph.PublishAsync("events.x", $$"""{"key":"k{{key}}"}""", $"1_{key}_{number}", ("ce-key", $"k{key}"))));
            if (number == EventsOfEach / 2)
            {
                await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count > Keys, "some are delivered");
                await killed.KillAsync();
            }
        }

        await graph.DrainedAsync(Keys * EventsOfEach, TimeSpan.FromSeconds(90));

        foreach (var key in graph.Receiver.Requests.GroupBy(request => request.Headers["ce-key"]))
        {
            // A kill repeats what was under way, and nothing else: each number is that of before or the next.
            var numbers = key.Select(request => int.Parse(request.Id.Split('_')[2], System.Globalization.CultureInfo.InvariantCulture)).ToArray();
            Assert.Equal(0, numbers[0]);
            Assert.Equal(EventsOfEach - 1, numbers[^1]);
            Assert.All(numbers.Zip(numbers.Skip(1)), pair => Assert.InRange(pair.Second - pair.First, 0, 1));
        }

        Assert.Equal(0, overlaps);
        Assert.Equal(Keys, graph.Receiver.Requests.Select(request => request.Headers["ce-key"]).Distinct().Count());
    }

    [Theory]
    [InlineData("block", "a1,a1,a1,b2")]
    [InlineData("skip", "a1,a2,a3,b2")]
    [InlineData("park", "a1,a2,a3,b2")]
    public async Task What_a_failure_does_to_the_later_ones_is_the_webhooks_choice(string policy, string reached)
    {
        await using var graph = await DeliveryGraph.StartAsync();
        await graph.RegisterAsync("ordered", "events.>", "/ordered",
            settings: $$"""{"ordering": "key", "order_by": "$.key", "order_on_failure": "{{policy}}", "retry_schedule": [0, 0], "breaker_failures": 0}""");
        graph.Receiver.Answer("/ordered", (context, _) =>
        {
            context.Response.StatusCode = context.Request.Headers["webhook-id"] == "1_a1" ? 500 : 200;
            return Task.CompletedTask;
        });
        await graph.StartWorkerAsync();

        foreach (var name in new[] { "a1", "a2", "b1", "a3", "b2" })
        {
            await graph.PublishAsync("events.x", $$"""{"key":"{{name[0]}}"}""", "1_" + name);
        }

        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Any(request => request.Id == "1_b2"), "the other key goes on");
        foreach (var name in reached.Split(','))
        {
            await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count(request => request.Id == "1_" + name) >= reached.Split(',').Count(other => other == name), name + " is reached");
        }

        await Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM rule_webhook_calls WHERE event_id = '1_a1' AND status = 'failed'") == 1, "the first is given up");
        Assert.Equal(policy == "park" ? 1 : 3, graph.Receiver.Requests.Count(request => request.Id == "1_a1"));
        if (policy == "block")
        {
            Assert.DoesNotContain(graph.Receiver.Requests, request => request.Id is "1_a2" or "1_a3");
            await graph.ExecuteAsync("DELETE FROM rule_webhook_calls WHERE event_id = '1_a1'");
            await graph.DrainedAsync(5);
        }

        Assert.Equal(["1_a2", "1_a3"], graph.Receiver.Requests.Select(request => request.Id).Where(id => id is "1_a2" or "1_a3"));
    }

    [Fact]
    public async Task Queued_calls_come_in_the_order_of_their_queueing_whichever_transaction_ends_first()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("queued", null, "/queued", settings: """{"ordering": "webhook"}""");
        await graph.StartWorkerAsync();
        await using var open = await graph.Database.OpenConnectionAsync();
        await using var transaction = await open.BeginTransactionAsync();
        await using (var first = new Npgsql.NpgsqlCommand("SELECT rule_webhook_enqueue($1, '{\"n\": 0}')", open))
        {
            first.Parameters.Add(new() { Value = webhook.Id });
            await first.ExecuteNonQueryAsync();
        }

        var other = await graph.RegisterAsync("other", null, "/other");
        await graph.ExecuteAsync("SELECT rule_webhook_enqueue($1, jsonb_build_object('n', n)) FROM generate_series(1, 20) n", webhook.Id);
        await graph.ExecuteAsync("SELECT rule_webhook_enqueue($1, '{}')", other.Id);
        await graph.Receiver.WaitForAsync(receiver => receiver.At("/other").Any(), "calls of others go on");
        Assert.Empty(graph.Receiver.At("/queued"));
        await transaction.CommitAsync();

        await graph.Receiver.WaitForAsync(receiver => receiver.At("/queued").Count() == 21, "all of them");
        Assert.Equal(Enumerable.Range(0, 21).Select(number => $$"""{"n": {{number}}}"""), graph.Receiver.At("/queued").Select(request => System.Text.Encoding.UTF8.GetString(request.Body)));
    }
}
