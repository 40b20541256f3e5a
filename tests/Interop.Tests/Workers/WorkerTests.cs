using RuleEngineNats.Contracts;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Interop.Tests.Workers;

/// <summary>What the example workers of all languages have to do alike.</summary>
[Trait("Category", "Servers")]
public sealed class WorkerTests(WorkerGraph shared) : IClassFixture<WorkerGraph>
{
    private static readonly (string, string) ShortAckWait = ("ACK_WAIT_MS", "2000");

    private ServiceGraph Graph => shared.Graph;

    [Theory, Worker("node"), Worker("python"), Worker("go")]
    public async Task Two_workers_of_a_group_share_the_events_deliver_each_once_and_report_it(string language)
    {
        const int Events = 200;
        var (webhook, group) = await RegisterAsync(language, "shared");
        Graph.Receiver.Script(webhook.Path, "delay:20ms,200");
        await using var first = await shared.StartAsync(language, $"{group}-1", group, webhook.Subject, [webhook]);
        await using var second = await shared.StartAsync(language, $"{group}-2", group, webhook.Subject, [webhook]);

        await shared.PublishAsync(webhook, Events);
        await Graph.Receiver.WaitForAsync(receiver => receiver.At(webhook.Path).DistinctBy(request => request.Id).Count() == Events, $"{Events} deliveries");
        await shared.SettledAsync(group);
        await StopAsync(first);
        await StopAsync(second);

        var requests = Graph.Receiver.At(webhook.Path).ToArray();
        Assert.Equal(Events, requests.Length);
        Assert.All(requests, request => Assert.Equal(
            SignatureVerdict.Verified, StandardWebhookVerifier.Check([webhook.Secret], request.Headers, request.Body, TimeProvider.System.GetUtcNow())));
        var stats = await Graph.ScalarAsync<string>(
            """
            SELECT concat_ws(' ', string_agg(consumer_name, ' ' ORDER BY consumer_name), sum(messages_delivered), sum(messages_acknowledged),
                             sum(messages_redelivered), CASE WHEN min(messages_delivered) > 0 AND min(avg_processing_time_ms) >= 20 THEN 'both worked' END,
                             CASE WHEN NOT bool_or(active) THEN 'and stopped' END)
              FROM rule_nats_consumer_stats WHERE stream_name = 'WEBHOOKS' AND queue_group = $1 AND ack_policy = 'explicit' AND max_deliver = -1
            """,
            [group]);
        Assert.Equal($"{group}-1 {group}-2 {Events} {Events} 0 both worked and stopped", stats);
    }

    [Theory, Worker("node"), Worker("python"), Worker("go")]
    public async Task A_worker_that_is_killed_loses_nothing(string language)
    {
        const int Events = 150;
        const int InWork = 10;
        var (webhook, group) = await RegisterAsync(language, "killed");
        Graph.Receiver.Script(webhook.Path, "delay:50ms,200");
        await using var first = await shared.StartAsync(language, $"{group}-1", group, webhook.Subject, [webhook], ShortAckWait);
        await using var second = await shared.StartAsync(language, $"{group}-2", group, webhook.Subject, [webhook], ShortAckWait);

        await shared.PublishAsync(webhook, Events);
        await Graph.Receiver.WaitForAsync(receiver => receiver.At(webhook.Path).Count() >= Events / 5, "load before the kill");
        await first.KillAsync();
        await Graph.Receiver.WaitForAsync(receiver => receiver.At(webhook.Path).DistinctBy(request => request.Id).Count() == Events, $"{Events} deliveries");
        await shared.SettledAsync(group);

        Assert.InRange(Graph.Receiver.At(webhook.Path).Count() - Events, 0, InWork);
        await StopAsync(second);
    }

    [Theory, Worker("node"), Worker("python"), Worker("go")]
    public async Task A_stop_finishes_what_is_in_work_and_work_longer_than_the_ack_wait_goes_to_nobody_else(string language)
    {
        var (webhook, group) = await RegisterAsync(language, "stopped");
        Graph.Receiver.Script(webhook.Path, "delay:4s,200");
        await using var worker = await shared.StartAsync(language, $"{group}-1", group, webhook.Subject, [webhook], ShortAckWait);
        await using var other = await shared.StartAsync(language, $"{group}-2", group, webhook.Subject, [webhook], ShortAckWait);

        await shared.PublishAsync(webhook, 5);
        await Graph.Receiver.WaitForAsync(receiver => receiver.At(webhook.Path).Count() == 5, "five are in work");
        await StopAsync(worker);
        await shared.SettledAsync(group);

        Assert.Equal(5, Graph.Receiver.At(webhook.Path).Count());
        await StopAsync(other);
    }

    [Theory, Worker("node"), Worker("python"), Worker("go")]
    public async Task A_failure_comes_again_after_a_growing_pause_until_it_is_given_up(string language)
    {
        var (webhook, group) = await RegisterAsync(language, "failing");
        var prefix = webhook.Subject;
        var used = await Graph.RegisterAsync($"{group}-used", $"{prefix}.used", "nats", CancellationToken.None);
        var gone = await Graph.RegisterAsync($"{group}-gone", $"{prefix}.gone", "nats", CancellationToken.None);
        var moved = await Graph.RegisterAsync($"{group}-moved", $"{prefix}.moved", "nats", CancellationToken.None);
        GraphWebhook[] webhooks = [webhook, used, gone, moved];
        Graph.Receiver.Script(webhook.Path, "500,503,200");
        Graph.Receiver.Script(used.Path, "500");
        Graph.Receiver.Script(gone.Path, "410");
        Graph.Receiver.Script(moved.Path, $"302:{Graph.Receiver.Url("/elsewhere")}");
        await using var worker = await shared.StartAsync(
            language, $"{group}-1", group, $"{prefix[..prefix.LastIndexOf('.')]}.>", webhooks, ("RETRY_DELAY_MS", "300"), ("MAX_ATTEMPTS", "3"));

        foreach (var one in webhooks)
        {
            await shared.PublishAsync(one);
        }

        await Graph.Receiver.WaitForAsync(
            receiver => webhooks.All(one => receiver.At(one.Path).Count() >= (one == gone ? 1 : 3)), "all attempts");
        // Nothing is left that could come again.
        await shared.SettledAsync(group);

        Assert.Equal([3, 3, 1, 3], webhooks.Select(one => Graph.Receiver.At(one.Path).Count()));
        Assert.Empty(Graph.Receiver.At("/elsewhere"));
        var times = Graph.Receiver.At(webhook.Path).Select(request => request.At).ToArray();
        Assert.InRange((times[1] - times[0]).TotalMilliseconds, 230, 5000);
        Assert.InRange((times[2] - times[1]).TotalMilliseconds, 470, 5000);
        Assert.Single(Graph.Receiver.At(webhook.Path).DistinctBy(request => request.Id));
        await WorkerGraph.SaysAsync(worker, "given up: the receiver answered 500");
        await WorkerGraph.SaysAsync(worker, "given up: the receiver answered 410 Gone");
        await WorkerGraph.SaysAsync(worker, "given up: the receiver answered 302");
        await StopAsync(worker);
    }

    [Theory, Worker("node"), Worker("python"), Worker("go")]
    public async Task An_event_chooses_neither_address_nor_headers_nor_the_webhook_of_another(string language)
    {
        var (webhook, group) = await RegisterAsync(language, "trusting");
        var other = await Graph.RegisterAsync($"{group}-other");
        var disabled = await Graph.RegisterAsync($"{group}-disabled", $"{webhook.Subject}.disabled", "nats", CancellationToken.None);
        await Graph.ScalarAsync<string>("UPDATE rule_webhooks SET enabled = false WHERE webhook_id = $1 RETURNING webhook_name", [disabled.Id]);
        var evil = Graph.Receiver.Url("/evil");
        await using var worker = await shared.StartAsync(language, $"{group}-1", group, $"webhooks.{group}.>", [webhook, other, disabled]);

        await shared.PublishRawAsync(webhook.Subject, $"{group}-no-id");
        await shared.PublishRawAsync(webhook.Subject, $"{group}-bad-id", (EventHeaders.WebhookId, "1; DROP TABLE rule_webhooks"));
        await shared.PublishRawAsync(webhook.Subject, $"{group}-unknown", (EventHeaders.WebhookId, "2147483647"));
        await shared.PublishRawAsync(webhook.Subject, $"{group}-others", (EventHeaders.WebhookId, $"{other.Id}"));
        await shared.PublishRawAsync(disabled.Subject, $"{group}-disabled", (EventHeaders.WebhookId, $"{disabled.Id}"));
        await shared.PublishRawAsync(webhook.Subject, $"{group}-object", (EventHeaders.WebhookId, $"{webhook.Id}"), (EventHeaders.BodyObject, $"RULE_PAYLOADS/{new string('0', 64)}"));
        await shared.PublishAsync(webhook, 1, $$"""{"webhook_url":"{{evil}}","url":"{{evil}}","headers":{"X-Injected":"1"},"data":[1]}""");
        await Graph.Receiver.WaitForAsync(receiver => receiver.At(webhook.Path).Any(), "the event that may be delivered");
        await shared.SettledAsync(group);

        var request = Assert.Single(Graph.Receiver.At(webhook.Path));
        Assert.Contains("webhook_url", System.Text.Encoding.UTF8.GetString(request.Body), StringComparison.Ordinal);
        Assert.False(request.Headers.ContainsKey("X-Injected"));
        Assert.Empty(Graph.Receiver.At("/evil"));
        Assert.Empty(Graph.Receiver.At(other.Path));
        await WorkerGraph.SaysAsync(worker, "given up: the event has no rule-webhook-id");
        await WorkerGraph.SaysAsync(worker, "given up: webhook 2147483647 does not exist");
        await WorkerGraph.SaysAsync(worker, $"given up: webhook {other.Id} does not take {webhook.Subject}");
        await WorkerGraph.SaysAsync(worker, $"given up: webhook {disabled.Id} is disabled");
        await WorkerGraph.SaysAsync(worker, "given up: the body was too large for a message and lies in the Object Store");
        Assert.DoesNotContain(Graph.Receiver.Url("/"), worker.Output, StringComparison.Ordinal);
        Assert.DoesNotContain(webhook.Secret, worker.Output, StringComparison.Ordinal);
        await StopAsync(worker);
    }

    [Theory, Worker("node"), Worker("python"), Worker("go")]
    public async Task Without_the_secret_of_a_signed_webhook_nothing_is_sent_and_nothing_is_given_up(string language)
    {
        var (webhook, group) = await RegisterAsync(language, "unsigned");
        await using (var worker = await shared.StartAsync(language, $"{group}-1", group, webhook.Subject, [], ("RETRY_DELAY_MS", "100"), ("MAX_ATTEMPTS", "1")))
        {
            await shared.PublishAsync(webhook);
            await WorkerGraph.SaysAsync(worker, "delivery 3: again in");
            Assert.Contains("SIGNING_SECRETS has none for it", worker.Output, StringComparison.Ordinal);
            await StopAsync(worker);
        }

        await using var told = await shared.StartAsync(language, $"{group}-1", group, webhook.Subject, [webhook]);
        await shared.SettledAsync(group);

        Assert.True(StandardWebhookVerifier.Verify(webhook.Secret, Assert.Single(Graph.Receiver.At(webhook.Path))));
    }

    [Theory, Worker("node"), Worker("python"), Worker("go")]
    public async Task Settings_that_make_no_sense_end_it_with_2_all_at_once(string language)
    {
        await using var worker = shared.Start(
            language, "a b", "delivery-worker", "two words", [], ("BATCH_SIZE", "0"), ("ACK_WAIT_MS", "soon"), ("MAX_ATTEMPTS", "-1"), ("RETRY_DELAY_MS", "1"), ("SIGNING_SECRETS", "7=whsec_!"));

        await worker.ExitedAsync();

        Assert.Equal(2, worker.ExitCode);
        Assert.All(
            (string[])
            [
                "CONSUMER_NAME: \"a b\" may have letters, digits, - and _ only, at most 64",
                "QUEUE_GROUP: \"delivery-worker\" is a durable of the product itself; take another name",
                "SUBJECT: \"two words\" is no subject; write e.g. webhooks.orders.>",
                "BATCH_SIZE: \"0\" is not a number from 1 to 100",
                "ACK_WAIT_MS: \"soon\" is not a number from 2000 to 3600000",
                "MAX_ATTEMPTS: \"-1\" is not a number from 1 to 1000",
                "RETRY_DELAY_MS: \"1\" is not a number from 100 to 300000",
                "SIGNING_SECRETS: entry 7 is not WEBHOOK_ID=whsec_ and base64",
            ],
            problem => Assert.Contains(problem, worker.Output, StringComparison.Ordinal));
    }

    [Theory, Worker("node"), Worker("python"), Worker("go")]
    public async Task A_durable_that_exists_and_differs_is_refused(string language)
    {
        var group = $"{language}-differs";
        await shared.JetStream.CreateOrUpdateConsumerAsync(
            StreamNames.Webhooks, new(group) { DurableName = group, FilterSubject = "webhooks.differs", MaxDeliver = 3, AckPolicy = NATS.Client.JetStream.Models.ConsumerConfigAckPolicy.None });

        await using var worker = shared.Start(language, $"{group}-1", group, "webhooks.other", []);
        await worker.ExitedAsync();

        Assert.Equal(1, worker.ExitCode);
        Assert.Contains(
            $"durable {group} of stream WEBHOOKS exists with ack_policy none instead of explicit, max_deliver 3 instead of -1, filter webhooks.differs instead of webhooks.other; take another QUEUE_GROUP, or delete the durable",
            worker.Output, StringComparison.Ordinal);
    }

    // What is in work takes 4 s here, and an idle loop looks up every 2 s.
    private static async Task StopAsync(ChildProcess worker) => Assert.Equal(0, await worker.TerminateAsync(TimeSpan.FromSeconds(25)));

    private async Task<(GraphWebhook Webhook, string Group)> RegisterAsync(string language, string purpose)
    {
        var group = $"{language}-{purpose}";
        return (await Graph.RegisterAsync(group), group);
    }
}
