using Grpc.Net.Client;
using RuleEngineNats.Contracts.Publishing;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>I6 without a power cut: the store of nats-server is put back to an earlier copy, for every machine.</summary>
[Trait("Category", "Servers")]
public sealed class StreamLossTests
{
    // Sequences 11 to 40 are used twice, and the consumer had been past them.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task I6_a_lost_tail_is_stored_again_and_delivered_once(bool consumerGoesBackToo)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        await using var graph = await ServiceGraph.StartAsync(workers: 2, cancellationToken: limit.Token);
        var webhook = await graph.RegisterAsync("orders", cancellationToken: limit.Token);
        await PublishAsync(graph, webhook, "kept", 10, limit.Token);
        await DeliveredAsync(graph, webhook, 10);
        await VerifiedAsync(graph);
        await graph.Nats.KillAsync();
        graph.Nats.CopyStore();
        await graph.Nats.RestartAsync(limit.Token);
        await VerifiedAsync(graph);

        // Half of what is lost had been delivered, the other half is with an endpoint that takes nothing.
        await PublishAsync(graph, webhook, "delivered", 15, limit.Token);
        await DeliveredAsync(graph, webhook, 25);
        await AcknowledgedAsync(graph, 25);
        foreach (var worker in graph.Workers)
        {
            await worker.KillAsync();
        }

        await PublishAsync(graph, webhook, "waiting", 15, limit.Token);
        using var channel = GrpcChannel.ForAddress(graph.Publish.GrpcUrl);
        var publisher = new PublishService.PublishServiceClient(channel);
        Assert.Equal(41UL, await PublishByGrpcAsync("grpc"));
        await Wait.UntilAsync(async () => await graph.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE state = 'stored'", []) == 41, "the history is complete");
        await graph.Relay.KillAsync();
        await graph.Nats.KillAsync();
        graph.Nats.RestoreStore(withConsumers: consumerGoesBackToo);
        await PublishAsync(graph, webhook, "new", 5, limit.Token, stored: false);
        await graph.Nats.RestartAsync(limit.Token);

        // Faster than the reconciler: the consumer had acknowledged up to 25, and nothing about it looks wrong now.
        for (var number = 11; number <= 30; number++)
        {
            await Wait.UntilAsync(async () => await PublishByGrpcAsync($"early-{number}") == (ulong)number, "PublishService publishes again");
        }

        await graph.Relay.RestartAsync(cancellationToken: limit.Token);
        foreach (var worker in graph.Workers)
        {
            await worker.RestartAsync(cancellationToken: limit.Token);
        }

        try
        {
            await DeliveredAsync(graph, webhook, 66);
            await AcknowledgedAsync(graph, 66);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message}\n{graph.Output}", e);
        }

        var stream = await StreamContents.ReadAsync(graph.Nats.Url, cancellationToken: limit.Token);
        Assert.Equal(66, stream.Count);
        Assert.Equal(66, stream.DistinctBy(stored => stored.Id).Count());
        var history = await HistoryRow.ReadAsync(graph.Database, webhook.Id, limit.Token);
        Assert.Equal(stream.Select(stored => (stored.Id, (long?)stored.Sequence)).Order(), history.Select(row => (row.Id, row.Sequence)).Order());
        // The last that is published comes last: after it nothing that should not come can still come.
        await PublishAsync(graph, webhook, "last", 1, limit.Token);
        await DeliveredAsync(graph, webhook, 67);
        Assert.Empty(graph.Receiver.At(webhook.Path).GroupBy(request => request.Id).Where(group => group.Count() > 1).Select(group => group.Key));

        async Task<ulong> PublishByGrpcAsync(string messageId) => (await publisher.PublishAsync(
            new PublishRequest { WebhookId = webhook.Id, MessageId = messageId, Payload = Google.Protobuf.ByteString.CopyFromUtf8("{}") },
            cancellationToken: limit.Token)).Sequence;
    }

    private static Task PublishAsync(ServiceGraph graph, GraphWebhook webhook, string name, int count, CancellationToken cancellationToken, bool stored = true) => Wait.UntilAsync(
        async () =>
        {
            await graph.ScalarAsync<long>(
                "SELECT count(rule_webhook_publish_nats($1, jsonb_build_object('n', n), $2 || '-' || n)) FROM generate_series(1, $3) AS n", [webhook.Id, name, count], cancellationToken);
            return !stored || await graph.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE state = 'pending'", [], cancellationToken) == 0;
        },
        $"{name} is stored",
        cancellationToken: cancellationToken);

    private static Task DeliveredAsync(ServiceGraph graph, GraphWebhook webhook, int count) => Wait.UntilAsync(
        () => graph.Receiver.At(webhook.Path).DistinctBy(request => request.Id).Count() == count, $"{count} events are delivered");

    private static async Task AcknowledgedAsync(ServiceGraph graph, long sequence) => await StreamContents.AcknowledgedAsync(graph.Nats.Url, (ulong)sequence);

    private static Task VerifiedAsync(ServiceGraph graph) => Wait.UntilAsync(
        async () => await graph.ScalarAsync<bool>(
            "SELECT EXISTS (SELECT FROM rule_nats_reconcile_state WHERE stream_name = 'WEBHOOKS' AND server_ids @> ARRAY[$1])", [await StreamContents.ServerIdAsync(graph.Nats.Url)]),
        "the stream is verified");
}
