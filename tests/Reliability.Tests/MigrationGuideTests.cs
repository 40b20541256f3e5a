using System.Text.RegularExpressions;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>docs/migrating-from-polling.md: its statements, in its order, on a webhook that is in use all the time.</summary>
[Trait("Category", "Servers")]
public sealed partial class MigrationGuideTests
{
    [Fact]
    public async Task A_webhook_in_use_goes_from_the_queue_to_NATS_and_back_and_each_event_arrives_once()
    {
        await using var graph = await ServiceGraph.StartAsync();
        var webhook = await graph.ScalarAsync<int>("SELECT rule_webhook_register('orders', $1)", [graph.Receiver.Url("/orders")]);
        string[] blocks = [.. SqlBlock().Matches(await File.ReadAllTextAsync(Repository.Path("docs", "migrating-from-polling.md"))).Select(match => match.Groups[1].Value)];

        // The poller of the first block would take calls and never send them.
        await RunAsync(graph, blocks[0]);
        using var stop = new CancellationTokenSource();
        var load = PublishAsync(graph, webhook, stop.Token);
        List<string> modes = [];
        foreach (var block in blocks[1..])
        {
            await RunAsync(graph, block);
            await SomeMoreAsync(graph);
            modes.Add(await graph.ScalarAsync<string>("SELECT publish_mode || CASE WHEN nats_enabled THEN '' ELSE ', NATS off' END FROM rule_webhooks", []));
        }

        await stop.CancelAsync();
        var published = await load;
        Assert.Equal(["queue, NATS off", "both", "nats", "both", "queue", "queue, NATS off"], modes.Where((mode, i) => i == 0 || mode != modes[i - 1]));

        // And the one event of the guide itself.
        await graph.Receiver.WaitForAsync(receiver => receiver.At("/orders").Count() >= published + 1, $"{published + 1} events");
        Assert.Equal(published + 1, graph.Receiver.At("/orders").DistinctBy(request => request.Id).Count());
        Assert.Equal(published + 1, graph.Receiver.At("/orders").Count());
    }

    private static async Task<int> PublishAsync(ServiceGraph graph, int webhook, CancellationToken stop)
    {
        var published = 0;
        for (; !stop.IsCancellationRequested; published++)
        {
            await graph.ScalarAsync<string>("SELECT rule_webhook_call_unified($1, '{}')::text", [webhook], CancellationToken.None);
        }

        return published;
    }

    // Each mode is in use for a while before the next block.
    private static async Task SomeMoreAsync(ServiceGraph graph)
    {
        const string Accepted = "SELECT (SELECT count(*) FROM rule_webhook_calls) + (SELECT count(*) FROM rule_nats_publish_history)";
        var before = await graph.ScalarAsync<long>(Accepted, []);
        await Wait.UntilAsync(async () => await graph.ScalarAsync<long>(Accepted, []) > before + 20, "some more events");
    }

    // What is "still" so is waited for, as the guide says.
    private static async Task RunAsync(ServiceGraph graph, string block)
    {
        await using var command = graph.Database.CreateCommand(block);
        if (block.Contains(" AS still_", StringComparison.Ordinal))
        {
            await Wait.UntilAsync(async () => await command.ExecuteScalarAsync() is 0L, block);
        }
        else
        {
            await command.ExecuteNonQueryAsync();
        }
    }

    [GeneratedRegex("^```sql\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex SqlBlock();
}
