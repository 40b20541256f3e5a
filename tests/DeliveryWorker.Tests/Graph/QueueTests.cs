using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Graph;

[Trait("Category", "Servers")]
public sealed class QueueTests
{
    [Fact]
    public async Task A_queued_call_is_delivered_signed_and_ends_as_success()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("queue", null, "/queue");
        graph.Receiver.Answer("/queue", async (context, _) =>
        {
            context.Response.StatusCode = 202;
            context.Response.ContentType = "text/plain";
            await context.Response.Body.WriteAsync("taken"u8.ToArray(), context.RequestAborted);
        });
        await graph.StartWorkerAsync();

        await graph.ExecuteAsync("SELECT rule_webhook_enqueue($1, '{\"b\":1,\"a\":2}')", webhook.Id);
        await Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM rule_webhook_calls WHERE status = 'success'") == 1, "the call has succeeded");

        var request = Assert.Single(graph.Receiver.Requests);
        Assert.True(StandardWebhookVerifier.Verify(webhook.Secret, request));
        Assert.Equal(await graph.ScalarAsync("SELECT payload::text FROM rule_webhook_calls"), System.Text.Encoding.UTF8.GetString(request.Body));
        Assert.Equal(await graph.ScalarAsync("SELECT event_id FROM rule_webhook_calls"), request.Id);
        Assert.Equal("202|taken|text/plain|1", await graph.ScalarAsync(
            "SELECT concat_ws('|', response_status, response_body, response_headers->>'content-type', attempts) FROM rule_webhook_calls WHERE completed_at IS NOT NULL AND execution_time_ms >= 0 AND error_message IS NULL"));
        Assert.Equal(1, await graph.CountAsync("SELECT count(*) FROM rule_webhook_call_history h JOIN rule_webhook_calls c USING (call_id) WHERE h.outcome = 'delivered' AND h.event_id = c.event_id"));
    }

    [Fact]
    public async Task A_call_for_later_waits_and_one_left_by_a_dead_worker_is_taken_over()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("queue", null, "/queue");
        await graph.ExecuteAsync("SELECT rule_webhook_enqueue($1, '{\"n\":\"later\"}', NULL, now() + interval '1 hour')", webhook.Id);
        await graph.ExecuteAsync("SELECT rule_webhook_enqueue($1, '{\"n\":\"left\"}')", webhook.Id);
        await graph.ExecuteAsync("SELECT count(*) FROM rule_webhook_claim('dead worker', 1, interval '1 second')");
        await graph.StartWorkerAsync();

        await Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM rule_webhook_calls WHERE status = 'success'") == 1, "the left call has succeeded");

        var request = Assert.Single(graph.Receiver.Requests);
        Assert.Contains("left", System.Text.Encoding.UTF8.GetString(request.Body), StringComparison.Ordinal);
        Assert.Equal("1:unknown,2:delivered", await graph.ScalarAsync("SELECT string_agg(attempt_number || ':' || outcome, ',' ORDER BY attempt_number) FROM rule_webhook_call_history"));
        Assert.Equal("pending", await graph.ScalarAsync("SELECT status FROM rule_webhook_calls WHERE payload->>'n' = 'later'"));
    }

    [Fact]
    public async Task Calls_of_an_endpoint_that_is_off_wait_until_it_is_on()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var off = await graph.RegisterAsync("off", null, "/off");
        var on = await graph.RegisterAsync("on", null, "/on");
        await graph.ExecuteAsync("SELECT rule_webhook_enqueue($1, '{}')", off.Id);
        await graph.ExecuteAsync("UPDATE rule_webhooks SET enabled = false WHERE webhook_id = $1", off.Id);
        await graph.StartWorkerAsync();
        await graph.ExecuteAsync("SELECT rule_webhook_enqueue($1, '{}')", on.Id);
        await graph.Receiver.WaitForAsync(receiver => receiver.At("/on").Any(), "the endpoint that is on has its call");
        Assert.Empty(graph.Receiver.At("/off"));

        await graph.ExecuteAsync("UPDATE rule_webhooks SET enabled = true");
        await graph.Receiver.WaitForAsync(receiver => receiver.At("/off").Any(), "the endpoint that was off has its call");
    }

    [Fact]
    public async Task One_event_on_both_paths_is_delivered_once_whichever_comes_first()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("both", "webhooks.both", "/both");
        await graph.RegisterAsync("listener", "webhooks.>", "/listener");
        await graph.ExecuteAsync("UPDATE rule_webhooks SET publish_mode = 'both' WHERE webhook_id = $1", webhook.Id);
        await graph.StartWorkerAsync();
        // "due" is taken by the queue at once, "later" is left to the stream.
        foreach (var (name, delay) in new[] { ("due", "0 seconds"), ("later", "1 hour") })
        {
            await graph.ExecuteAsync(
                "INSERT INTO rule_webhook_calls (webhook_id, payload, event_id, scheduled_at) VALUES ($1, '{}', $2, now() + $3::interval)", webhook.Id, "1_" + name, delay);
        }

        await graph.Receiver.WaitForAsync(receiver => receiver.At("/both").Any(request => request.Id == "1_due"), "the queue has delivered");
        foreach (var name in new[] { "1_due", "1_later" })
        {
            var callId = await graph.CountAsync("SELECT call_id FROM rule_webhook_calls WHERE event_id = $1", name);
            await graph.PublishAsync("webhooks.both", "{}", name, ("rule-call-id", $"{callId}"), ("rule-webhook-id", $"{webhook.Id}"));
        }

        await graph.SettledAsync(2);

        Assert.Equal(["1_due", "1_later"], graph.Receiver.At("/both").Select(request => request.Id).Order());
        Assert.Equal(["1_due", "1_later"], graph.Receiver.At("/listener").Select(request => request.Id).Order());
        Assert.Equal(2, await graph.CountAsync("SELECT count(*) FROM rule_webhook_calls WHERE status = 'success' AND attempts = 1"));
        Assert.Equal(4, await graph.CountAsync("SELECT count(*) FROM rule_webhook_call_history WHERE outcome = 'delivered'"));
    }

    [Fact]
    public async Task A_call_of_both_paths_that_fails_on_the_stream_is_retried_by_the_queue()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("both", "webhooks.both", "/both", retryDelayMs: 100);
        graph.Receiver.Answer("/both", 500, 200);
        await graph.StartWorkerAsync();
        await graph.ExecuteAsync("INSERT INTO rule_webhook_calls (webhook_id, payload, event_id, scheduled_at) VALUES ($1, '{}', '1_x', now() + interval '1 hour')", webhook.Id);
        var callId = await graph.CountAsync("SELECT call_id FROM rule_webhook_calls");

        await graph.PublishAsync("webhooks.both", "{}", "1_x", ("rule-call-id", $"{callId}"), ("rule-webhook-id", $"{webhook.Id}"));
        await Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM rule_webhook_calls WHERE status = 'success' AND attempts = 2 AND retry_count = 1") == 1, "the call has succeeded");

        Assert.Equal(["1_x", "1_x"], graph.Receiver.Requests.Select(request => request.Id));
    }

    [Fact]
    public async Task The_worker_needs_no_more_than_the_rights_of_its_role()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("all", "events.>", "/all", retryDelayMs: 50);
        graph.Receiver.Answer("/all", 500, 200);
        await graph.ExecuteAsync("CREATE ROLE least_worker LOGIN IN ROLE rule_worker");
        var least = new Npgsql.NpgsqlConnectionStringBuilder(graph.ConnectionString) { Username = "least_worker" };
        var worker = await graph.StartWorkerAsync(settings: ("ConnectionStrings__rules", least.ConnectionString));
        await graph.ExecuteAsync("INSERT INTO rule_webhook_calls (webhook_id, payload, event_id, scheduled_at) VALUES ($1, '{}', '1_both', now() + interval '1 hour')", webhook.Id);
        var callId = await graph.CountAsync("SELECT call_id FROM rule_webhook_calls");

        await graph.PublishAsync("events.x", "{}", "1_fails_first");
        await graph.PublishAsync("events.x", "{}", "1_both", ("rule-call-id", $"{callId}"));
        await graph.ExecuteAsync("SELECT rule_webhook_enqueue($1, '{}')", webhook.Id);
        await Wait.UntilAsync(
            async () => await graph.CountAsync("SELECT count(DISTINCT event_id) FROM rule_webhook_call_history WHERE outcome = 'delivered'") == 3, "all three are delivered");
        await graph.SettledAsync(2);

        Assert.DoesNotContain("permission denied", worker.Output, StringComparison.Ordinal);
    }
}
