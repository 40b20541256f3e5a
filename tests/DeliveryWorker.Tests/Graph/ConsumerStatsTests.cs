using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Graph;

[Trait("Category", "Servers")]
public sealed class ConsumerStatsTests
{
    [Fact]
    public async Task Each_worker_reports_what_it_did_and_a_stop_and_a_death_can_be_told_apart()
    {
        const int Events = 200;
        await using var graph = await DeliveryGraph.StartAsync();
        await graph.RegisterAsync("all", "events.>", "/all");
        graph.Receiver.Answer("/all", (context, _) => Task.Delay(20, context.RequestAborted));
        var stopped = await graph.StartWorkerAsync();
        var killed = await graph.StartWorkerAsync();
        await graph.PublishManyAsync("events.x", Events, "1_");
        await graph.SettledAsync(Events);
        await Wait.UntilAsync(
            async () => await graph.CountAsync("SELECT coalesce(sum(messages_acknowledged), 0) FROM rule_nats_consumer_stats") == Events, "the rows say that all are acknowledged");

        Assert.Equal("2|200|0|0|2|t", await graph.ScalarAsync("""
            SELECT concat_ws('|', count(*), sum(messages_delivered), sum(messages_redelivered), sum(messages_pending), count(DISTINCT consumer_name),
                             bool_and(active AND stream_name = 'WEBHOOKS' AND queue_group = 'delivery-worker' AND ack_policy = 'explicit' AND max_deliver = -1
                                      AND avg_processing_time_ms BETWEEN 15 AND 10000 AND last_active_at > now() - interval '1 minute'))
              FROM rule_nats_consumer_stats
            """));

        Assert.Equal(0, await stopped.TerminateAsync());
        await killed.KillAsync();
        Assert.Equal("1|1", await graph.ScalarAsync("SELECT concat_ws('|', count(*) FILTER (WHERE active), count(*) FILTER (WHERE NOT active)) FROM rule_nats_consumer_stats"));
        Assert.Equal(Events, await graph.CountAsync("SELECT sum(messages_acknowledged) FROM rule_nats_consumer_stats"));
    }

    [Fact]
    public async Task An_idle_worker_shows_that_it_lives_and_a_message_that_came_before_counts_as_redelivered()
    {
        await using var graph = await DeliveryGraph.StartAsync();
        await graph.RegisterAsync("all", "events.>", "/all");
        // Taken by somebody who is never heard of again.
        var consumer = await graph.JetStream.CreateConsumerAsync(DeliveryGraph.Stream, Consumers.SharedConsumer.Definition("delivery-worker", TimeSpan.FromSeconds(2)));
        await graph.PublishAsync("events.x", "{}", "1_a");
        await consumer.NextAsync<byte[]>();
        await graph.StartWorkerAsync(settings: [("Delivery__AckWait", "00:00:02"), ("Delivery__ProgressEvery", "00:00:01")]);
        await Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM rule_nats_consumer_stats WHERE messages_redelivered = 1 AND messages_acknowledged = 1") == 1, "it is counted");

        var before = await graph.ScalarAsync("SELECT last_active_at FROM rule_nats_consumer_stats");
        await Wait.UntilAsync(async () => await graph.CountAsync("SELECT count(*) FROM rule_nats_consumer_stats WHERE last_active_at > $1", before!) == 1, "an idle worker reports again");
        Assert.Equal(1, await graph.CountAsync("SELECT messages_acknowledged FROM rule_nats_consumer_stats WHERE avg_processing_time_ms IS NOT NULL"));
    }
}
