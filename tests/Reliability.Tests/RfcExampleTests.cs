using System.Text;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>RFC-0007, Example 1, by psql against the running graph.</summary>
[Trait("Category", "Servers")]
[Collection(SharedGraphCollection.Name)]
public sealed class RfcExampleTests(SharedGraph shared)
{
    private const string Path = "/services/XXX";

    [Fact]
    public async Task Example_1_runs_as_written_and_its_event_arrives()
    {
        Assert.True(shared.Example.ExitCode == 0, shared.Example.Output);
        Assert.Contains("Stream WEBHOOKS exists", shared.Example.Output, StringComparison.Ordinal);

        await shared.Graph.Receiver.WaitForAsync(received => received.At(Path).Any(), "the event of the example");
        var request = Assert.Single(shared.Graph.Receiver.At(Path));
        Assert.Equal("POST", request.Method);
        Assert.Equal("application/json", request.Headers["Content-Type"]);
        Assert.Equal("""{"text": "Alert: System error detected!"}""", Encoding.UTF8.GetString(request.Body));
        var secret = await shared.Graph.ScalarAsync<string>("SELECT rule_webhook_secret_get(1, 'signing')", []);
        Assert.True(StandardWebhookVerifier.Verify(secret, request));

        var row = Assert.Single(await HistoryRow.ReadAsync(shared.Graph.Database, 1, CancellationToken.None));
        await Wait.UntilAsync(
            async () => (await HistoryRow.ReadAsync(shared.Graph.Database, 1, CancellationToken.None)).All(item => item.State == "stored"),
            "the history says stored");
        Assert.Equal(row.Id, request.Id);
    }
}
