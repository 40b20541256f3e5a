using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>A NATS configuration is changed in SQL while events are published and delivered through it.</summary>
[Trait("Category", "Servers")]
[Collection(SharedGraphCollection.Name)]
public sealed class ConfigurationMoveTests(SharedGraph shared)
{
    private const int Publishers = 4;
    private const int MostInHand = 64;
    private const string Stream = "MOVING";
    private const string Path = "/moving";

    private ServiceGraph Graph => shared.Graph;

    [Fact]
    public async Task A_configuration_moves_to_another_server_under_load_and_loses_nothing()
    {
        await using var a = await NatsServer.StartAsync();
        await using var b = await NatsServer.StartAsync();
        await MoveAsync(a);
        await Graph.ScalarAsync<int>("SELECT rule_nats_stream_create($1, ARRAY['moving.>'], 'moving')", [Stream]);
        var webhook = await Graph.ScalarAsync<int>("SELECT rule_webhook_register('moving', $1)", [Graph.Receiver.Url(Path)]);
        await Graph.ScalarAsync<bool>("SELECT rule_webhook_enable_nats($1, 'moving.orders', 'nats', 'moving')", [webhook]);
        await Wait.UntilAsync(async () => await CurrentAsync(a), "all services are connected with the first server");

        using var stop = new CancellationTokenSource();
        var loads = Enumerable.Range(0, Publishers).Select(_ => PublishAsync(webhook, stop.Token)).ToArray();
        await Wait.UntilAsync(async () => await StoredAsync(webhook) > 200, "events are stored by the first server");
        await MoveAsync(b);
        await Wait.UntilAsync(async () => await CurrentAsync(b), "all services are connected with the second server", TimeSpan.FromSeconds(2));
        var before = await StoredAsync(webhook);
        await Wait.UntilAsync(async () => await StoredAsync(webhook) > before + 200, "events are stored by the second server");
        await stop.CancelAsync();
        var published = (await Task.WhenAll(loads)).Sum();
        await Wait.UntilAsync(async () => await StoredAsync(webhook) == published, "every event is stored");

        // What is pending for a server that is away goes to the one the configuration is moved to.
        await b.KillAsync();
        for (var number = 0; number < 20; number++)
        {
            await PublishAsync(webhook);
        }

        await Wait.UntilAsync(async () => await Graph.ScalarAsync<long>("SELECT count(*) FROM rule_nats_service_reports WHERE config_name = 'moving' AND NOT connected", []) >= 3, "the services say that the server is gone");
        await MoveAsync(a);
        published += 20;
        await Wait.UntilAsync(async () => await StoredAsync(webhook) == published, "what was pending is stored");
        await b.RestartAsync();

        // What the first server had may be undelivered, so the second gets it too: the reconciler finds it missing there. Neither has anything twice.
        var first = (await StreamContents.ReadAsync(a.Url, stream: Stream)).Select(stored => stored.Id).ToArray();
        var second = (await StreamContents.ReadAsync(b.Url, stream: Stream)).Select(stored => stored.Id).ToArray();
        Assert.Equal(first.Length, first.Distinct().Count());
        Assert.Equal(second.Length, second.Distinct().Count());
        Assert.Equal(published, first.Union(second).Count());
        Assert.Equal(0, await Graph.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE webhook_id = $1 AND state = 'refused'", [webhook]));

        // Those that the worker had not taken from the second server before it went are there still; what was on its way comes again after AckWait, a minute.
        await MoveAsync(b);
        await Graph.Receiver.WaitForAsync(
            receiver => receiver.At(Path).Select(request => request.Id).Distinct().Count() == published, "every event is delivered", TimeSpan.FromSeconds(90));
        // What the worker had in hand from one server while the other brought it may have been sent twice, with the same id.
        Assert.InRange(Graph.Receiver.At(Path).Count(), published, published + MostInHand);
    }

    private Task<bool> MoveAsync(NatsServer server) => Graph.ScalarAsync<bool>("SELECT rule_nats_configure('moving', $1)", [server.Url]);

    private Task<bool> CurrentAsync(NatsServer server) => Graph.ScalarAsync<bool>(
        "SELECT count(*) = 4 AND bool_and((s ->> 'connected')::boolean AND (s ->> 'current')::boolean AND s ->> 'nats_url' = $1) FROM jsonb_array_elements(rule_nats_service_states('moving')) s",
        [server.Url]);

    private Task<long> StoredAsync(int webhook)
        => Graph.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE webhook_id = $1 AND state = 'stored'", [webhook]);

    private async Task<int> PublishAsync(int webhook, CancellationToken stop)
    {
        var published = 0;
        for (; !stop.IsCancellationRequested; published++)
        {
            await PublishAsync(webhook);
        }

        return published;
    }

    private Task<string> PublishAsync(int webhook)
        => Graph.ScalarAsync<string>("""SELECT rule_webhook_publish_nats($1, '{"n": 1}')::text""", [webhook]);
}
