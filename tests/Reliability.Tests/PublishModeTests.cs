using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>rule_webhook_call_unified in its three modes: each event is at its endpoint exactly once.</summary>
[Trait("Category", "Servers")]
[Collection(SharedGraphCollection.Name)]
public sealed class PublishModeTests(SharedGraph shared)
{
    private const int Events = 20;

    private ServiceGraph Graph => shared.Graph;

    [Theory]
    [InlineData("queue")]
    [InlineData("nats")]
    [InlineData("both")]
    public async Task Every_event_arrives_exactly_once_and_signed(string mode)
    {
        var webhook = await Graph.RegisterAsync($"mode-{mode}", mode);

        for (var number = 0; number < Events; number++)
        {
            Assert.True(await CallAsync(webhook, number));
        }

        await Graph.Receiver.WaitForAsync(received => received.At(webhook.Path).Count() >= Events, $"{Events} events of mode {mode}");
        await FinishedAsync(webhook, mode == "nats" ? 0 : Events);
        await NothingMoreComesAsync(webhook, Events);
        Assert.All(Graph.Receiver.At(webhook.Path), request => Assert.True(StandardWebhookVerifier.Verify(webhook.Secret, request)));
        Assert.Equal(Events + 1, Graph.Receiver.At(webhook.Path).Select(request => request.Id).Distinct().Count());
    }

    [Fact]
    public async Task Both_delivers_through_the_queue_while_the_relay_hangs_and_not_again_when_it_goes_on()
    {
        var webhook = await Graph.RegisterAsync("mode-both-late", "both");
        Graph.Relay.Pause();
        try
        {
            await CallAsync(webhook, 0);
            // The grace time of the queue's path, shortened.
            await Graph.ScalarAsync<long>("""
                WITH due AS (UPDATE rule_webhook_calls SET scheduled_at = now() WHERE webhook_id = $1 RETURNING call_id) SELECT call_id FROM due
                """, [webhook.Id]);
            await Graph.Receiver.WaitForAsync(received => received.At(webhook.Path).Any(), "the queue delivers");
        }
        finally
        {
            Graph.Relay.Resume();
        }

        await FinishedAsync(webhook, 1);
        await Wait.UntilAsync(
            () => Graph.ScalarAsync<bool>("SELECT bool_and(state = 'stored') FROM rule_nats_publish_history WHERE webhook_id = $1", [webhook.Id]),
            "the relay has stored the event");
        await NothingMoreComesAsync(webhook, 1);
    }

    [Theory]
    [InlineData("queue")]
    [InlineData("nats")]
    public async Task Headers_rule_and_trace_begun_in_SQL_arrive_with_every_attempt(string mode)
    {
        const string Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        var webhook = await Graph.RegisterAsync($"context-{mode}", mode);
        // The second attempt is the queue's in both modes.
        Graph.Receiver.Answer(webhook.Path, 500, 200);
        await Graph.ScalarAsync<bool>("""
            SELECT (rule_webhook_call_unified($1, '{}', 'm-1', '{"X-Tenant": "it''s", "ce-subject": "order/17"}', 'big orders', 42, $2) ->> 'success')::boolean
            """, [webhook.Id, Trace]);
        await Graph.Receiver.WaitForAsync(received => received.At(webhook.Path).Count() == 2, "the event arrives, and again");
        Assert.All(Graph.Receiver.At(webhook.Path), request =>
        {
            Assert.Equal(
                ("it's", "order/17", "42"),
                (request.Headers["X-Tenant"], request.Headers["ce-subject"], request.Headers["ce-ruleexecutionid"]));
            Assert.Equal(Trace.Split('-')[1], request.Headers["traceparent"].Split('-')[1]);
        });
        await FinishedAsync(webhook, 1);
        Assert.Equal("failed,delivered", await Graph.ScalarAsync<string>("""
            SELECT string_agg(a ->> 'outcome', ',') FROM rule_webhook_calls c, json_array_elements(rule_webhook_call_status(c.call_id) -> 'attempts') a WHERE c.webhook_id = $1
            """, [webhook.Id]));
    }

    [Fact]
    public async Task Both_delivers_through_the_stream_when_the_queue_has_lost_its_call()
    {
        var webhook = await Graph.RegisterAsync("mode-both-gone", "both");
        Graph.Relay.Pause();
        try
        {
            await CallAsync(webhook, 0);
            Assert.Equal(1L, await Graph.ScalarAsync<long>("WITH gone AS (DELETE FROM rule_webhook_calls WHERE webhook_id = $1 RETURNING 1) SELECT count(*) FROM gone", [webhook.Id]));
        }
        finally
        {
            Graph.Relay.Resume();
        }

        await Graph.Receiver.WaitForAsync(received => received.At(webhook.Path).Any(), "the stream delivers");
        await NothingMoreComesAsync(webhook, 1);
    }

    private Task<bool> CallAsync(GraphWebhook webhook, int number)
        => Graph.ScalarAsync<bool>("SELECT (rule_webhook_call_unified($1, jsonb_build_object('number', $2::int)) ->> 'success')::boolean", [webhook.Id, number]);

    private Task FinishedAsync(GraphWebhook webhook, int calls) => Wait.UntilAsync(
        () => Graph.ScalarAsync<bool>("""
            SELECT count(*) FILTER (WHERE status = 'success') = $2 AND count(*) = $2 FROM rule_webhook_calls WHERE webhook_id = $1
            """, [webhook.Id, (long)calls]),
        $"{calls} calls are finished");

    // A later event on the same subject is there, and what came before it is still the only one.
    private async Task NothingMoreComesAsync(GraphWebhook webhook, int events)
    {
        await Graph.ScalarAsync<string>("SELECT rule_webhook_publish_nats($1, '{\"last\": true}', 'last') ->> 'state'", [webhook.Id]);
        await Graph.Receiver.WaitForAsync(received => received.At(webhook.Path).Any(request => request.Id.EndsWith("_last", StringComparison.Ordinal)), "the last event");
        Assert.Equal(events + 1, Graph.Receiver.At(webhook.Path).Count());
    }
}
