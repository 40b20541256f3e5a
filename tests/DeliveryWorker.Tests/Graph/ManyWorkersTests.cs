using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Graph;

[Trait("Category", "Servers")]
public sealed class ManyWorkersTests
{
    private const int Processes = 20;
    private const int Events = 20_000;

    [Fact]
    public async Task A_hundred_concurrent_workers_share_one_durable_and_fewer_connections_than_they_want()
    {
        await using var postgres = await PostgresServer.StartPrivateAsync(["max_connections=40", "log_min_messages=fatal"]);
        await using var graph = await DeliveryGraph.StartAsync(postgres);
        await graph.RegisterAsync("all", "events.>", "/all", timeoutMs: 20_000, settings: """{"max_concurrency": 5}""");
        await graph.PublishManyAsync("events.x", Events, "1_");
        NpgsqlConnection.ClearAllPools(); // The test's own would be missing to the workers.

        // Each of them wants three connections and more: one to listen, one to record with, others for the queue.
        var workers = new List<ServiceProcess>();
        for (var number = 0; number < Processes; number++)
        {
            workers.Add(await graph.StartWorkerAsync(waitUntilReady: false, settings: [("Delivery__Concurrency", "5"), ("Delivery__QueueConcurrency", "5")]));
        }

        await graph.SettledAsync(Events, TimeSpan.FromMinutes(4));
        Assert.Contains(workers, worker => worker.Output.Contains("53300", StringComparison.Ordinal));
        await Task.WhenAll(workers.Select(worker => worker.TerminateAsync()));

        // What was left to the queue has fewer to share it with now.
        await workers[0].RestartAsync();
        await graph.DrainedAsync(Events, TimeSpan.FromMinutes(2));
        var ids = graph.Receiver.Requests.GroupBy(request => request.Id).ToDictionary(group => group.Key, group => group.Count());
        Assert.Equal(Events, ids.Count);
        Assert.Equal(Events, await graph.CountAsync("SELECT count(DISTINCT event_id) FROM rule_webhook_call_history WHERE outcome = 'delivered'"));
        Assert.Equal(Events, ids.Values.Sum());
    }
}
