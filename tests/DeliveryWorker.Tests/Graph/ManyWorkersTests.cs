using Npgsql;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Graph;

/// <summary>Twenty processes starting at once would be the load of every test beside them: it runs when the others are done.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AloneCollection
{
    public const string Name = "alone";
}

[Trait("Category", "Servers")]
[Collection(AloneCollection.Name)]
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
        NpgsqlConnection.ClearAllPools(); // The test's own would be missing to the workers.

        // Sixty connections are wanted and forty are there.
        var workers = await Task.WhenAll(Enumerable.Range(0, Processes).Select(_ => graph.StartWorkerAsync(waitUntilReady: false, settings:
        [
            ("ConnectionStrings__rules", graph.ConnectionString + ";Maximum Pool Size=3"), ("Delivery__Concurrency", "5"), ("Delivery__QueueConcurrency", "5"),
            ("Logging__LogLevel__Default", "Warning"),
        ])));
        await Wait.UntilAsync(() => workers.Count(worker => worker.Output.Contains("53300", StringComparison.Ordinal)) > Processes / 4, "some of them are refused a connection");
        await Wait.UntilAsync(async () => (await graph.ConsumerAsync()).NumWaiting >= Processes / 2, "half of them pull from the one durable", TimeSpan.FromMinutes(2));
        await graph.PublishManyAsync("events.x", Events, "1_");
        await graph.SettledAsync(Events, TimeSpan.FromMinutes(6));
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
