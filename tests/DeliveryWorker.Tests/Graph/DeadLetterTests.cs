using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Graph;

[Trait("Category", "Servers")]
public sealed class DeadLetterTests
{
    [Fact]
    public async Task I25_giving_up_is_counted_explained_and_undone_with_the_same_id_and_a_new_timestamp()
    {
        const int Events = 300;
        const int Attempts = 3;
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("failing", "events.>", "/failing");
        // 500, and not 503, which asks for a longer pause.
        graph.Receiver.Answer("/failing", 500);
        await graph.ExecuteAsync("""SELECT rule_webhook_configure($1, '{"retry_schedule": [0, 0], "breaker_failures": 0}')""", webhook.Id);
        await graph.StartWorkerAsync(settings: ("Delivery__RetriesPerSecond", "10000"));

        await graph.PublishManyAsync("events.load", Events, "1_");
        await graph.DrainedAsync(Events, TimeSpan.FromSeconds(120));

        Assert.Equal(Events * Attempts, graph.Receiver.Requests.Count);
        Assert.Equal(Events, await graph.CountAsync(
            "SELECT count(*) FROM rule_webhook_dead_letters WHERE attempts = $1 AND response_status = 500 AND error_message = 'Max retries exceeded: HTTP 500' AND subject = 'events.load' AND completed_at IS NOT NULL",
            Attempts));
        Assert.Equal(Events, await graph.CountAsync("SELECT count(*) FROM rule_webhook_dead_letters"));
        Assert.Equal(Events, await graph.CountAsync("SELECT count(*) FROM rule_nats_publish_history WHERE subject = 'events.webhooks.dead_lettered'"));
        Assert.Equal("1,2,3", await graph.ScalarAsync("SELECT string_agg(attempt_number::text, ',' ORDER BY attempt_number) FROM rule_webhook_call_history WHERE event_id = '1_7'"));

        graph.Receiver.Answer("/failing", 200);
        // Timestamps are in seconds: one has to pass between the last attempt and the next.
        var last = graph.Receiver.Requests.Max(request => Timestamp(request));
        await Wait.UntilAsync(() => DateTimeOffset.UtcNow.ToUnixTimeSeconds() > last, "a second has passed");
        Assert.Equal(Events, await graph.CountAsync("""SELECT rule_webhook_redrive_all($1, '{"response_status": 500, "error": "Max retries", "subject": "events.*"}')""", webhook.Id));
        await graph.DrainedAsync(Events, TimeSpan.FromSeconds(120));

        var again = graph.Receiver.Requests.Skip(Events * Attempts).ToArray();
        Assert.Equal(Enumerable.Range(0, Events).Select(number => $"1_{number}").Order(), again.Select(request => request.Id).Order());
        Assert.All(again, request => Assert.True(Timestamp(request) > last && StandardWebhookVerifier.Verify(webhook.Secret, request)));
        Assert.Equal(0, await graph.CountAsync("SELECT count(*) FROM rule_webhook_dead_letters"));
        Assert.Equal("1,2,3,4", await graph.ScalarAsync("SELECT string_agg(attempt_number::text, ',' ORDER BY attempt_number) FROM rule_webhook_call_history WHERE event_id = '1_7'"));
    }

    [Fact]
    public async Task A_redriven_call_that_fails_again_has_all_its_retries_and_ends_as_a_dead_letter()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("failing", "events.>", "/failing");
        graph.Receiver.Answer("/failing", 500);
        await graph.ExecuteAsync("""SELECT rule_webhook_configure($1, '{"retry_schedule": [0]}')""", webhook.Id);
        await graph.StartWorkerAsync();
        await graph.PublishAsync("events.x", "{}", "1_x");
        await graph.DrainedAsync(1);
        var call = await graph.CountAsync("SELECT call_id FROM rule_webhook_dead_letters WHERE attempts = 2");

        Assert.True((bool)(await graph.ScalarAsync("SELECT rule_webhook_redrive($1)", call))!);
        await Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM rule_webhook_dead_letters WHERE attempts = 4") == 1, "it is given up again");

        Assert.True((bool)(await graph.ScalarAsync("SELECT rule_webhook_discard($1)", call))!);
        Assert.Equal(4, await graph.CountAsync("SELECT count(DISTINCT attempt_number) FROM rule_webhook_call_history WHERE event_id = '1_x'"));
        Assert.Equal(0, await graph.CountAsync("SELECT count(*) FROM rule_webhook_calls"));
    }

    private static long Timestamp(ReceivedRequest request) => long.Parse(request.Headers["webhook-timestamp"], System.Globalization.CultureInfo.InvariantCulture);
}
