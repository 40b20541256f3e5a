using System.Text.Json;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>What the system says of its webhooks reaches the webhooks that asked for it, as any event does.</summary>
[Trait("Category", "Servers")]
[Collection(SharedGraphCollection.Name)]
public sealed class OperationalEventTests(SharedGraph shared)
{
    private ServiceGraph Graph => shared.Graph;

    [Fact]
    public async Task A_webhook_that_is_gone_is_told_to_the_webhook_that_watches()
    {
        var watcher = await Graph.RegisterAsync("watcher", "nats");
        var gone = await Graph.RegisterAsync("gone", "nats");
        await Graph.ScalarAsync<int>("UPDATE rule_webhooks SET subject_filter = 'events.webhooks.>' WHERE webhook_id = $1 RETURNING webhook_id", [watcher.Id]);
        Graph.Receiver.Answer(gone.Path, 410);

        await Graph.ScalarAsync<bool>("""SELECT (rule_webhook_call_unified($1, '{"order": 1}') ->> 'success')::boolean""", [gone.Id]);
        await Graph.Receiver.WaitForAsync(receiver => receiver.At(watcher.Path).Count() >= 2, "two operational events");

        var requests = Graph.Receiver.At(watcher.Path).ToArray();
        Assert.All(requests, request => Assert.True(StandardWebhookVerifier.Verify(watcher.Secret, request)));
        var events = requests.Select(request => JsonDocument.Parse(request.Body).RootElement).ToArray();
        Assert.Equal(["webhooks.dead_lettered", "webhooks.disabled"], events.Select(one => one.GetProperty("type").GetString()).Order());
        Assert.All(events, one => Assert.Equal(gone.Id, one.GetProperty("data").GetProperty("webhook_id").GetInt32()));
    }
}
