using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Graph;

[Trait("Category", "Servers")]
public sealed class StreamDeliveryTests
{
    [Fact]
    public async Task An_event_reaches_every_endpoint_that_asked_byte_for_byte_and_signed()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var literal = await graph.RegisterAsync("literal", "events.order.created", "/literal");
        var star = await graph.RegisterAsync("star", "events.*.created", "/star");
        var rest = await graph.RegisterAsync("rest", "events.>", "/rest");
        await graph.RegisterAsync("other", "events.order.paid", "/other");
        await graph.RegisterAsync("queue-only", null, "/queue-only");
        await graph.StartWorkerAsync();
        byte[] body = [.. """{"b": 1,"a":9007199254740993,  "c":"ü"}"""u8];

        await graph.PublishAsync("events.order.created", body, "7_order-1", ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("ce-type", "order.created"));
        await graph.SettledAsync(1);

        Assert.Equal(["/literal", "/rest", "/star"], graph.Receiver.Requests.Select(request => request.Path).Order());
        foreach (var (path, webhook) in new[] { ("/literal", literal), ("/star", star), ("/rest", rest) })
        {
            var request = Assert.Single(graph.Receiver.At(path));
            Assert.Equal(body, request.Body);
            Assert.True(StandardWebhookVerifier.Verify(webhook.Secret, request));
            Assert.Equal("7_order-1", request.Id);
            Assert.Equal("order.created", request.Headers["ce-type"]);
            Assert.Contains("0af7651916cd43dd8448eb211c80319c", request.Headers["traceparent"], StringComparison.Ordinal);
            Assert.DoesNotContain(request.Headers.Keys, name => name.StartsWith("nats-", StringComparison.OrdinalIgnoreCase));
        }

        Assert.Equal(3, await graph.CountAsync(
            "SELECT count(*) FROM rule_webhook_call_history WHERE event_id = '7_order-1' AND outcome = 'delivered' AND response_status = 200 AND call_id IS NULL AND stream = 'WEBHOOKS' AND stream_sequence = 1 AND attempt_number = 1"));
        Assert.Equal(3, await graph.CountAsync("SELECT count(*) FROM rule_webhook_call_history"));
        Assert.Equal(0, await graph.CountAsync("SELECT count(*) FROM rule_webhook_calls"));
    }

    [Fact]
    public async Task The_shared_consumer_is_made_as_designed_and_a_different_one_is_reported()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var worker = await graph.StartWorkerAsync();

        var config = (await graph.ConsumerAsync()).Config;
        Assert.Equal((-1L, 256L, TimeSpan.FromSeconds(60)), (config.MaxDeliver, config.MaxAckPending, config.AckWait));
        Assert.True(config.Backoff is null or { Count: 0 });

        var second = await graph.StartWorkerAsync(settings: ("Delivery__AckWait", "00:00:50"));

        Assert.Equal(200, (await second.HealthAsync()).Status);
        Assert.Contains("ack_wait: 00:01:00 instead of 00:00:50", (await second.HealthAsync()).Body, StringComparison.Ordinal);
        Assert.DoesNotContain("differs", (await worker.HealthAsync()).Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_nobody_asked_for_or_that_is_no_json_is_handled_as_any_other()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        await graph.RegisterAsync("all", "events.>", "/all");
        await graph.StartWorkerAsync();

        await graph.PublishAsync("webhooks.nobody", "{}", "1_a");
        await graph.PublishAsync("events.array", "[1,2,3]", "1_b");
        await graph.PublishAsync("events.bytes", [0xff, 0x00, 0x01], "1_c");
        await graph.PublishAsync("events.empty", [], "1_d");
        await graph.PublishAsync("events.anonymous", "{}"u8.ToArray(), null);
        await graph.SettledAsync(5);

        Assert.Equal(4, graph.Receiver.Requests.Count);
        Assert.Equal([0xff, 0x00, 0x01], graph.Receiver.Requests.Single(request => request.Id == "1_c").Body);
        Assert.Empty(graph.Receiver.Requests.Single(request => request.Id == "1_d").Body);
        Assert.Single(graph.Receiver.Requests, request => request.Id.StartsWith("evt_", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_redelivery_repeats_no_endpoint_whose_outcome_is_recorded()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var done = await graph.RegisterAsync("done", "events.>", "/done");
        await graph.RegisterAsync("open", "events.>", "/open");
        await graph.PublishAsync("events.x", "{}", "1_x");
        // Another worker took the message, recorded one of the two outcomes and gave it back.
        var consumer = await graph.JetStream.CreateConsumerAsync(DeliveryGraph.Stream, Consumers.SharedConsumer.Definition("delivery-worker", TimeSpan.FromSeconds(60)));
        var taken = await consumer.NextAsync<byte[]>();
        Assert.NotNull(taken);
        await taken.NakAsync();
        await graph.ExecuteAsync("INSERT INTO rule_webhook_call_history (event_id, webhook_id, outcome, response_status) VALUES ('1_x', $1, 'delivered', 200)", done.Id);

        await graph.StartWorkerAsync();
        await graph.SettledAsync(1);

        Assert.Equal(["/open"], graph.Receiver.Requests.Select(request => request.Path));
    }

    [Fact]
    public async Task A_failed_first_attempt_is_retried_from_postgresql_until_it_succeeds()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("flaky", "events.>", "/flaky", retryDelayMs: 300);
        graph.Receiver.Answer("/flaky", 500, 503, 200);
        await graph.StartWorkerAsync(settings: ("Delivery__ThrottledDelay", "00:00:00"));
        byte[] body = [.. """{"z":1, "a" : 2}"""u8];

        await graph.PublishAsync("events.x", body, "1_x", ("ce-type", "t"), ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        await graph.Receiver.WaitForAsync(receiver => receiver.Requests.Count >= 3, "three attempts");
        await Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM rule_webhook_calls WHERE status = 'success'") == 1, "the call has succeeded");
        await graph.SettledAsync(1);

        var requests = graph.Receiver.Requests.ToArray();
        Assert.Equal(3, requests.Length);
        Assert.All(requests, request =>
        {
            Assert.Equal("1_x", request.Id);
            Assert.Equal(body, request.Body);
            Assert.Equal("t", request.Headers["ce-type"]);
            Assert.True(StandardWebhookVerifier.Verify(webhook.Secret, request));
            Assert.Contains("0af7651916cd43dd8448eb211c80319c", request.Headers["traceparent"], StringComparison.Ordinal);
        });
        // Rule A3: 300 ms, then 600 ms, each a fifth sooner or later.
        Assert.True(requests[1].At - requests[0].At >= TimeSpan.FromMilliseconds(240));
        Assert.True(requests[2].At - requests[1].At >= TimeSpan.FromMilliseconds(480));
        Assert.Equal("1:failed:500,2:failed:503,3:delivered:200", await graph.ScalarAsync(
            "SELECT string_agg(attempt_number || ':' || outcome || ':' || response_status, ',' ORDER BY attempt_number) FROM rule_webhook_call_history WHERE call_id = (SELECT call_id FROM rule_webhook_calls)"));
        Assert.Equal("3|2||200", await graph.ScalarAsync(
            "SELECT concat_ws('|', attempts, retry_count, coalesce(error_message, ''), response_status) FROM rule_webhook_calls WHERE completed_at IS NOT NULL AND leased_by IS NULL AND payload = '{\"a\":2,\"z\":1}'"));
    }

    [Fact]
    public async Task Retries_that_are_used_up_or_off_end_as_failed_with_the_reason()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var usedUp = await graph.RegisterAsync("used-up", "events.a", "/used-up", maxRetries: 1, retryDelayMs: 50);
        var off = await graph.RegisterAsync("off", "events.b", "/off");
        await graph.ExecuteAsync("UPDATE rule_webhooks SET retry_enabled = false WHERE webhook_id = $1", off.Id);
        graph.Receiver.Answer("/used-up", 500);
        graph.Receiver.Answer("/off", 404);
        await graph.StartWorkerAsync();

        await graph.PublishAsync("events.a", "{}", "1_a");
        await graph.PublishAsync("events.b", "{}", "1_b");
        await graph.SettledAsync(2);
        await Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM rule_webhook_calls WHERE status = 'failed'") == 2, "both calls have failed");

        Assert.Equal("Max retries exceeded: HTTP 500", await graph.ScalarAsync("SELECT error_message FROM rule_webhook_calls WHERE webhook_id = $1", usedUp.Id));
        Assert.Equal("Retries are disabled: HTTP 404", await graph.ScalarAsync("SELECT error_message FROM rule_webhook_calls WHERE webhook_id = $1", off.Id));
        Assert.Equal(2, graph.Receiver.At("/used-up").Count());
        Assert.Single(graph.Receiver.At("/off"));
        Assert.Equal(3, await graph.CountAsync("SELECT count(*) FROM rule_webhook_call_history WHERE call_id IS NOT NULL AND outcome = 'failed'"));
    }

    [Fact]
    public async Task A_blocked_address_and_a_forged_header_are_recorded_and_never_tried()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        await graph.RegisterAsync("internal", "events.>", url: $"http://localhost:{graph.Receiver.Port}/internal");
        await graph.RegisterAsync("public", "events.>", "/public");
        var forged = await graph.RegisterAsync("forged", "events.>", url: "http://forged.example/");
        // SQL refuses such a row; the worker does not trust that it always has.
        await graph.ExecuteAsync("ALTER TABLE rule_webhooks DISABLE TRIGGER rule_webhooks_check");
        await graph.ExecuteAsync("""UPDATE rule_webhooks SET headers = '{"X-A":"a\r\nX-Injected: 1"}' WHERE webhook_id = $1""", forged.Id);
        await graph.StartWorkerAsync(settings: ("Delivery__Egress__AllowLoopback", "false"));

        await graph.PublishAsync("events.x", "{}", "1_x");
        await graph.SettledAsync(1);

        Assert.Equal(2, await graph.CountAsync("SELECT count(*) FROM rule_webhook_call_history WHERE outcome = 'blocked'"));
        Assert.Equal("address_blocked: address is loopback", await graph.ScalarAsync("SELECT error_message FROM rule_webhook_calls JOIN rule_webhooks USING (webhook_id) WHERE webhook_name = 'internal' AND status = 'failed'"));
        Assert.Equal("address_blocked: url_not_allowed: address is loopback", await graph.ScalarAsync("SELECT error_message FROM rule_webhook_calls JOIN rule_webhooks USING (webhook_id) WHERE webhook_name = 'public' AND status = 'failed'"));
        Assert.StartsWith("request_refused", (string)(await graph.ScalarAsync("SELECT error_message FROM rule_webhook_calls WHERE webhook_id = $1 AND status = 'failed'", forged.Id))!, StringComparison.Ordinal);
        Assert.Empty(graph.Receiver.Requests);
    }

    [Fact]
    public async Task Readiness_names_what_is_missing_and_comes_with_it()
    {
        await using var graph = await DeliveryGraph.StartAsync(withStream: false);
        await graph.RegisterAsync("all", "events.>", "/all");
        var worker = await graph.StartWorkerAsync(waitUntilReady: false);
        await Wait.UntilAsync(async () => (await worker.HealthAsync()) is { Status: 503, Body: var body } && body.Contains("WEBHOOKS", StringComparison.Ordinal)
            && !body.Contains("configuration", StringComparison.Ordinal), "the missing stream is named");

        await graph.CreateStreamAsync();
        await worker.ReadyAsync();
        await graph.PublishAsync("events.x", "{}", "1_x");
        await graph.SettledAsync(1);

        Assert.Single(graph.Receiver.Requests);
    }

    [Fact]
    public async Task A_disabled_endpoint_gets_nothing_and_an_enabled_one_the_next()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var first = await graph.RegisterAsync("first", "events.>", "/first");
        var second = await graph.RegisterAsync("second", "events.>", "/second");
        await graph.ExecuteAsync("UPDATE rule_webhooks SET enabled = false WHERE webhook_id = $1", second.Id);
        await graph.StartWorkerAsync();
        await graph.PublishAsync("events.x", "{}", "1_before");
        await graph.SettledAsync(1);

        await graph.ExecuteAsync("UPDATE rule_webhooks SET enabled = webhook_id <> $1", first.Id);
        var number = 0;
        await Wait.UntilAsync(
            async () =>
            {
                await graph.PublishAsync("events.x", "{}", $"1_{++number}");
                await graph.SettledAsync(1 + number);
                return graph.Receiver.At("/second").Any();
            },
            "the second endpoint is on");

        Assert.DoesNotContain(graph.Receiver.At("/second"), request => request.Id == "1_before");
        Assert.DoesNotContain(graph.Receiver.At("/first"), request => request.Id == $"1_{number}");
    }

    [Fact]
    public async Task An_event_of_the_transaction_that_registered_its_webhook_is_not_missed()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        await graph.StartWorkerAsync();
        // No notification comes, and the next look would be in 30 s: as if the event had overtaken the change.
        await graph.ExecuteAsync("ALTER TABLE rule_webhooks DISABLE TRIGGER rule_config_changed");
        await graph.ExecuteAsync("ALTER TABLE rule_webhook_secrets DISABLE TRIGGER rule_config_changed");
        var webhook = await graph.RegisterAsync("new", "webhooks.new", "/new");

        await graph.PublishAsync("webhooks.new", "{}", "1_x", ("rule-webhook-id", $"{webhook.Id}"));
        await graph.PublishAsync("webhooks.other", "{}", "9_y", ("rule-webhook-id", "999"));
        await graph.SettledAsync(2);

        Assert.True(StandardWebhookVerifier.Verify(webhook.Secret, Assert.Single(graph.Receiver.At("/new"))));
    }

    [Fact]
    public async Task A_consumer_that_is_deleted_is_made_again_and_repeats_nothing()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        await graph.RegisterAsync("all", "events.>", "/all");
        var worker = await graph.StartWorkerAsync();
        await graph.PublishManyAsync("events.x", 50, "1_");
        await graph.SettledAsync(50);

        await graph.JetStream.DeleteConsumerAsync(DeliveryGraph.Stream, "delivery-worker");
        await Wait.UntilAsync(async () => (await graph.ConsumerAsync()).Config.MaxAckPending == 256, "the consumer is there again");
        await worker.ReadyAsync();
        await graph.PublishAsync("events.x", "{}", "1_last");
        await graph.SettledAsync(51);

        Assert.Equal(51, graph.Receiver.Requests.Count);
        Assert.Equal(51, graph.Receiver.Requests.DistinctBy(request => request.Id).Count());
    }
}
