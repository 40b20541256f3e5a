using System.Diagnostics;
using RuleEngineNats.TestKit;
using Xunit;
using Xunit.Abstractions;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>kill -9, several times in the middle of 5,000 SQL publishes, of each process between COMMIT and the endpoint.</summary>
[Trait("Category", "Servers")]
public sealed class KillTests(ITestOutputHelper output)
{
    private const int Kills = 4;
    private const int EventsPerKill = PublishLoad.Events / (Kills + 1);

    [Fact]
    public Task I1_I2_I3_hold_while_the_relay_is_killed() => RunAsync(
        workers: 1,
        (graph, _, _) => graph.Relay.KillAsync(),
        (graph, _) => graph.Relay.RestartAsync());

    [Fact]
    public Task I1_I2_I3_hold_while_nats_server_is_killed() => RunAsync(
        workers: 1,
        (graph, _, _) => graph.Nats.KillAsync(),
        (graph, _) => graph.Nats.RestartAsync());

    [Fact]
    public Task I1_I2_I3_I19_hold_while_workers_are_killed() => RunAsync(
        workers: 2,
        async (graph, webhook, kill) =>
        {
            // The endpoint holds its answers for a moment, so that both workers have requests out whose outcome nobody has recorded.
            var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var holding = 0;
            graph.Receiver.Answer(webhook.Path, (_, _) =>
            {
                Interlocked.Increment(ref holding);
                return held.Task;
            });
            await Wait.UntilAsync(() => Volatile.Read(ref holding) >= 2, "the endpoint has requests in hand");
            await graph.Workers[kill % 2].KillAsync();
            graph.Receiver.Answer(webhook.Path, 200);
            held.SetResult();
        },
        (graph, kill) => graph.Workers[kill % 2].RestartAsync());

    [Fact]
    public async Task Mode_both_delivers_through_the_queue_while_nats_server_is_down_and_not_again_when_it_is_up()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(4));
        await using var graph = await ServiceGraph.StartAsync(cancellationToken: limit.Token);
        var webhook = await graph.RegisterAsync("both", "both", limit.Token);
        await graph.ScalarAsync<int>("UPDATE rule_webhooks SET queue_grace = '1 second' WHERE webhook_id = $1 RETURNING 1", [webhook.Id], limit.Token);
        await graph.Nats.KillAsync();
        Assert.True(await graph.ScalarAsync<bool>("SELECT (rule_webhook_call_unified($1, '{}', 'first') ->> 'success')::boolean", [webhook.Id], limit.Token));
        await graph.Receiver.WaitForAsync(received => received.At(webhook.Path).Any(), "the queue delivers");
        Assert.Equal("pending", await graph.ScalarAsync<string>("SELECT rule_nats_publish_status('first') ->> 'state'", [], limit.Token));
        await graph.Nats.RestartAsync(limit.Token);
        Assert.Equal("stored", await graph.ScalarAsync<string>(
            "SELECT rule_nats_publish_wait((rule_nats_publish_status('first') ->> 'publish_id')::bigint, '1 minute') ->> 'state'", [], limit.Token));

        // One that the stream brings is there, and the first one is still alone.
        await graph.ScalarAsync<string>("SELECT rule_webhook_publish_nats($1, '{}', 'last') ->> 'state'", [webhook.Id], limit.Token);
        await graph.Receiver.WaitForAsync(received => received.At(webhook.Path).Any(request => request.Id == $"{webhook.Id}_last"), "the stream delivers");
        Assert.Equal([$"{webhook.Id}_first", $"{webhook.Id}_last"], graph.Receiver.At(webhook.Path).Select(request => request.Id));
    }

    private async Task RunAsync(int workers, Func<ServiceGraph, GraphWebhook, int, Task> killAsync, Func<ServiceGraph, int, Task> restartAsync)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(4));
        await using var graph = await ServiceGraph.StartAsync(workers, cancellationToken: limit.Token);
        var webhook = await graph.RegisterAsync("orders", cancellationToken: limit.Token);
        var load = new PublishLoad(graph.Database, webhook);
        var running = load.RunAsync(limit.Token);
        for (var kill = 0; kill < Kills; kill++)
        {
            // The load is at its full pace when the process is killed and for a while after it.
            load.MayReach(load.Count + EventsPerKill);
            await CommittedAsync(load.Count + (EventsPerKill / 2));
            await killAsync(graph, webhook, kill);
            await CommittedAsync(load.Count + 200);
            await restartAsync(graph, kill);
        }

        load.MayStop();
        await running;
        var caughtUp = Stopwatch.StartNew();
        var evidence = await Evidence.CollectAsync(graph, webhook, load, limit.Token);
        output.WriteLine($"{Kills} kills: {evidence.Summary}; caught up in {caughtUp.Elapsed.TotalSeconds:0.0} s");

        evidence.I1_no_committed_event_is_lost();
        evidence.I2_nothing_is_published_that_was_rolled_back();
        evidence.I3_every_event_is_stored_once();
        evidence.History_agrees_with_the_stream();
        evidence.I45_the_counts_agree();
        evidence.Only_what_was_in_flight_is_sent_again(Kills);

        async Task CommittedAsync(int count)
        {
            await Wait.UntilAsync(() => load.Count >= count || running.IsCompleted, $"{count} events are committed");
            if (running.IsCompleted)
            {
                await running;
            }
        }
    }
}
