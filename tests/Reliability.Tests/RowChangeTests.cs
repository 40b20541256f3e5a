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
        // Slots belong to the server, which the graphs of this process share.
        await ExecuteAsync("""SELECT rule_cdc_configure(p_settings => '{"slot_name": "row_changes"}')""");
        var webhook = await Graph.RegisterAsync("row-changes", "nats");
        await Graph.ScalarAsync<int>("UPDATE rule_webhooks SET subject_filter = 'postgres.public.customer_orders.*' WHERE webhook_id = $1 RETURNING webhook_id", [webhook.Id]);
        await ExecuteAsync("CREATE TABLE customer_orders (id bigint PRIMARY KEY, state text); SELECT rule_cdc_table_add('customer_orders')");
        await Wait.UntilAsync(() => Graph.ScalarAsync<bool>("SELECT state = 'capturing' FROM cdc_status", []), "it captures");
        try
        {
            await ExecuteAsync("INSERT INTO customer_orders VALUES (1, 'new'), (2, 'new'); UPDATE customer_orders SET state = 'paid' WHERE id = 1; DELETE FROM customer_orders WHERE id = 2");
            await Graph.Receiver.WaitForAsync(receiver => receiver.At(webhook.Path).Count(IsRow) >= 4, "four changes");

            var requests = Graph.Receiver.At(webhook.Path).ToArray();
            Assert.All(requests, request => Assert.True(StandardWebhookVerifier.Verify(webhook.Secret, request)));
            Assert.Equal(["Delete", "Insert", "Insert", "Update"], requests.Where(IsRow).Select(Type).Order());
            Assert.Equal(requests.Length, requests.DistinctBy(request => request.Id).Count());
        }
        finally
        {
            await ExecuteAsync("SELECT rule_cdc_drop('default')");
            await Wait.UntilAsync(() => Graph.ScalarAsync<bool>("SELECT NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'row_changes')", []), "the slot is gone");
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
