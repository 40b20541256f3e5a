using System.Text.Json;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>Changes of a table reach a webhook without a trigger or a publish: captured into a stream, they are events like any other.</summary>
[Trait("Category", "Servers")]
[Collection(SharedGraphCollection.Name)]
public sealed class RowChangeTests(SharedGraph shared)
{
    private ServiceGraph Graph => shared.Graph;

    [Fact]
    public async Task A_webhook_that_asks_for_a_tables_changes_gets_each_once_and_signed()
    {
        const string Slot = "row_changes";
        await Graph.ScalarAsync<int>("SELECT rule_nats_stream_create('postgres_replication', ARRAY['postgres.>'])", []);
        var webhook = await Graph.RegisterAsync("row-changes", "nats");
        await Graph.ScalarAsync<int>("UPDATE rule_webhooks SET subject_filter = 'postgres.public.customer_orders.*' WHERE webhook_id = $1 RETURNING webhook_id", [webhook.Id]);
        await ExecuteAsync("CREATE TABLE customer_orders (id bigint PRIMARY KEY, state text); CREATE PUBLICATION row_changes FOR TABLE customer_orders");
        await using var tool = ChildProcess.Start("dotnet",
        [
            Repository.Service("PgoutputStream", "pgoutput-stream"), "-c", Graph.ConnectionString, "-s", Slot, "-p", "row_changes", "--create-slot", "--nats-server", Graph.Nats.Url,
        ]);
        try
        {
            await Wait.UntilAsync(() => tool.Output.Contains($"capturing from slot {Slot}", StringComparison.Ordinal) || (tool.HasExited ? throw new InvalidOperationException(tool.Output) : false), "it captures");

            await ExecuteAsync("INSERT INTO customer_orders VALUES (1, 'new'), (2, 'new'); UPDATE customer_orders SET state = 'paid' WHERE id = 1; DELETE FROM customer_orders WHERE id = 2");
            await Graph.Receiver.WaitForAsync(receiver => receiver.At(webhook.Path).Count(IsRow) >= 4, "four changes");

            var requests = Graph.Receiver.At(webhook.Path).ToArray();
            Assert.All(requests, request => Assert.True(StandardWebhookVerifier.Verify(webhook.Secret, request)));
            Assert.Equal(["Delete", "Insert", "Insert", "Update"], requests.Where(IsRow).Select(Type).Order());
            Assert.Equal(requests.Length, requests.DistinctBy(request => request.Id).Count());
        }
        finally
        {
            Assert.Equal(0, await tool.TerminateAsync());
            await ExecuteAsync($"SELECT pg_drop_replication_slot('{Slot}')");
        }
    }

    private static bool IsRow(ReceivedRequest request) => Type(request) is not "Relation";

    private static string? Type(ReceivedRequest request) => JsonDocument.Parse(request.Body).RootElement.EnumerateObject().First().Name;

    private async Task ExecuteAsync(string sql)
    {
        await using var command = Graph.Database.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
