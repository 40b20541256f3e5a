using System.IO.Compression;
using System.Text;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Graph;

[Trait("Category", "Servers")]
public sealed class PayloadDeliveryTests
{
    [Fact]
    public async Task What_a_filter_keeps_back_is_acknowledged_and_leaves_no_trace()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var large = await graph.RegisterAsync("large", "events.>", "/large");
        await graph.RegisterAsync("all", "events.>", "/all");
        await ConfigureAsync(graph, large, """{"content_filter": "$.amount > 100"}""");
        await graph.StartWorkerAsync();

        await graph.PublishAsync("events.paid", """{"amount":100}""", "1_a");
        await graph.PublishAsync("events.paid", """{"amount":100.01}""", "1_b");
        await graph.PublishAsync("events.paid", "no JSON", "1_c");
        await graph.SettledAsync(3);

        Assert.Equal("1_b", Assert.Single(graph.Receiver.At("/large")).Id);
        Assert.Equal(3, graph.Receiver.At("/all").Count());
        Assert.Equal(1, await graph.CountAsync("SELECT count(*) FROM rule_webhook_call_history WHERE webhook_id = $1", large.Id));
        Assert.Equal(0, await graph.CountAsync("SELECT count(*) FROM rule_webhook_calls"));
    }

    [Fact]
    public async Task A_filter_has_no_say_in_calls_queued_for_the_webhook_by_name_and_a_change_counts_without_a_restart()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("hook", "events.>", "/hook");
        await ConfigureAsync(graph, webhook, """{"content_filter": "$.amount > 100"}""");
        await graph.StartWorkerAsync();
        await graph.ExecuteAsync("""SELECT rule_webhook_enqueue($1, '{"amount": 1}')""", webhook.Id);
        await graph.Receiver.WaitForAsync(receiver => receiver.At("/hook").Any(), "the call is sent");

        await ConfigureAsync(graph, webhook, """{"content_filter": "$.amount <= 100", "payload_template": "{{amount}}"}""");
        await Wait.UntilAsync(
            async () =>
            {
                await graph.PublishAsync("events.paid", """{"amount":2}"""u8.ToArray(), null);
                return graph.Receiver.At("/hook").Any(request => Encoding.UTF8.GetString(request.Body) == "2");
            },
            "the worker follows the change");
    }

    [Fact]
    public async Task An_event_that_cannot_fill_the_template_is_a_dead_letter_and_is_never_sent()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("hook", "events.>", "/hook");
        await ConfigureAsync(graph, webhook, """{"payload_template": {"text": "{{name}} paid {{amount}}", "raw": "{{amount}}"}}""");
        await graph.StartWorkerAsync();

        await graph.PublishAsync("events.paid", "no JSON", "1_a");
        await graph.PublishAsync("events.paid", """{"name":"ü","amount":9007199254740993}""", "1_b");
        await graph.SettledAsync(2);

        var request = Assert.Single(graph.Receiver.Requests);
        Assert.Equal("""{"raw":9007199254740993,"text":"ü paid 9007199254740993"}""", Encoding.UTF8.GetString(request.Body));
        Assert.True(StandardWebhookVerifier.Verify(webhook.Secret, request));
        Assert.Equal("failed|template: the body is no JSON|1", await graph.ScalarAsync(
            "SELECT concat_ws('|', status, error_message, attempts) FROM rule_webhook_calls WHERE event_id = '1_a' AND next_retry_at IS NULL AND body = 'no JSON'"));
    }

    [Fact]
    public async Task A_structured_and_compressed_event_verifies_once_it_is_decompressed()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        var webhook = await graph.RegisterAsync("hook", "events.>", "/hook", headers: """{"X-Own": "1"}""");
        await ConfigureAsync(graph, webhook, """{"cloudevents_mode": "structured", "content_encoding": "gzip"}""");
        await graph.StartWorkerAsync();
        var body = $$"""{"long": "{{new string('x', 5000)}}", "n":1.50}""";

        await graph.PublishAsync("events.paid", body, "1_a", ("ce-type", "order.paid"), ("ce-time", "2026-01-01T00:00:00Z"), ("x-event", "2"));
        await graph.SettledAsync(1);

        var request = Assert.Single(graph.Receiver.Requests);
        Assert.Equal(("gzip", "application/cloudevents+json", "1", "2"),
            (request.Headers["Content-Encoding"], request.Headers["Content-Type"], request.Headers["X-Own"], request.Headers["x-event"]));
        Assert.DoesNotContain(request.Headers.Keys, name => name.StartsWith("ce-", StringComparison.OrdinalIgnoreCase));
        Assert.False(StandardWebhookVerifier.Verify(webhook.Secret, request));
        await using var gzip = new GZipStream(new MemoryStream(request.Body), CompressionMode.Decompress);
        using var plain = new MemoryStream();
        await gzip.CopyToAsync(plain);
        Assert.True(StandardWebhookVerifier.Verify(webhook.Secret, request with { Body = plain.ToArray() }));
        Assert.Equal(
            $$"""{"specversion":"1.0","id":"1_a","source":"/rule-engine","type":"order.paid","time":"2026-01-01T00:00:00Z","datacontenttype":"application/json","data":{{body}}}""",
            Encoding.UTF8.GetString(plain.ToArray()));
    }

    private static Task ConfigureAsync(DeliveryGraph graph, Webhook webhook, string settings)
        => graph.ExecuteAsync("SELECT rule_webhook_configure($1, $2::jsonb)", webhook.Id, settings);
}
