using System.Diagnostics;
using System.Globalization;
using System.Text;
using RuleEngineNats.TestKit;
using Xunit;
using Xunit.Abstractions;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>RFC-0007's examples and its load block, by psql against the running graph.</summary>
[Trait("Category", "Servers")]
[Collection(ExampleGraphCollection.Name)]
public sealed class RfcExampleTests(ExampleGraph examples, ITestOutputHelper output)
{
    private const string Path = "/services/XXX";
    private const int Load = 10_000;

    private static readonly string[] Subjects = ["webhooks.slack", "events.order.created", "webhooks.critical"];

    [Fact]
    public async Task The_five_examples_run_as_written_and_each_event_arrives_once()
    {
        Assert.All(examples.Rfc, example => Assert.True(example.ExitCode == 0, example.Output));
        Assert.Contains("Stream WEBHOOKS exists", examples.Rfc[0].Output, StringComparison.Ordinal);
        Assert.Contains("slack_alerts", examples.Rfc[4].Output, StringComparison.Ordinal);
        Assert.Contains("\"time_range_hours\" : 168", examples.Rfc[4].Output, StringComparison.Ordinal);

        // One of Example 1, one of Example 2, a hundred of Example 3, one of Example 4 on two paths.
        var receiver = examples.Graph.Receiver;
        await Wait.UntilAsync(() => StoredAsync(Subjects, 103), "the history says stored");
        Assert.Equal(103, receiver.At(Path).Count());
        Assert.Equal(103, receiver.At(Path).DistinctBy(request => request.Id).Count());
        Assert.Equal(103, receiver.At(Path).Select(Body).Distinct().Count());

        var request = Assert.Single(receiver.At(Path), request => Body(request) == """{"text": "Alert: System error detected!"}""");
        Assert.Equal("POST", request.Method);
        Assert.Equal("application/json", request.Headers["Content-Type"]);
        var secret = await examples.Graph.ScalarAsync<string>("SELECT rule_webhook_secret_get(1, 'signing')", []);
        Assert.True(StandardWebhookVerifier.Verify(secret, request));
    }

    [Fact]
    public async Task The_load_block_runs_as_written_and_all_of_it_is_stored_and_delivered()
    {
        await examples.Graph.ScalarAsync<object>(
            "SELECT rule_webhook_enable_nats(1, 'webhooks.load', 'nats'), rule_webhook_update(1, p_url => $1)", [examples.Graph.Receiver.Url("/load")]);
        var clock = Stopwatch.StartNew();
        var run = await examples.RunAsync("rfc-0007-load.sql");
        Assert.True(run.ExitCode == 0, run.Output);
        Assert.Contains("Published 10,000 messages in", run.Output, StringComparison.Ordinal);
        await Wait.UntilAsync(() => StoredAsync(["webhooks.load"], Load), "all are stored", TimeSpan.FromMinutes(3));
        output.WriteLine(run.Output);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"all stored after {clock.Elapsed.TotalSeconds:0.00} s: {Load / clock.Elapsed.TotalSeconds:0}/s"));

        Assert.Equal((long)Load, await examples.Graph.ScalarAsync<long>(
            "SELECT count(DISTINCT (stream_name, sequence_number)) FROM rule_nats_publish_history WHERE subject = 'webhooks.load'", []));
        await examples.Graph.Receiver.WaitForAsync(
            received => received.At("/load").DistinctBy(request => request.Id).Count() == Load, "all are delivered", TimeSpan.FromMinutes(3));
        Assert.Equal(Load, examples.Graph.Receiver.At("/load").Count());
    }

    private async Task<bool> StoredAsync(string[] subjects, int count) => await examples.Graph.ScalarAsync<long>(
        "SELECT count(*) FROM rule_nats_publish_history WHERE webhook_id = 1 AND subject = ANY ($1) AND state = 'stored'", [subjects]) == count;

    private static string Body(ReceivedRequest request) => Encoding.UTF8.GetString(request.Body);
}
