using System.Text;
using NATS.Client.JetStream.Models;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.IngestionWorker.Tests;

[Trait("Category", "Servers")]
public sealed class PublishTests
{
    [Fact]
    public async Task A_document_whose_entity_is_published_is_in_the_outbox_with_its_rows_and_not_without_them()
    {
        await using var ingestion = await Ingestion.StartAsync();
        var file = Path.Combine(ingestion.Entities, "order.yaml");
        var definition = await File.ReadAllTextAsync(file);
        await File.WriteAllTextAsync(file, definition.Replace("  validation: api", "  publish: {subject: events.orders.ingested}\n  validation: api", StringComparison.Ordinal));
        var first = await ingestion.StartWorkerAsync();
        await ingestion.ExecuteAsync("ALTER TABLE orders ADD CHECK (total_price <> 666)");
        await first.TerminateAsync();
        // Odd spaces, 1.50 and all: it is published as it came.
        var document = Orders.Of("O-1").Replace(":", " : ", StringComparison.Ordinal);
        var id = await ingestion.SendAsync(document);
        await ingestion.SendAsync(Orders.Of("O-2", price: 666));
        await ingestion.SendAsync(document, id: id);
        await ingestion.StartWorkerAsync();
        await ingestion.HasStatusAsync(id, "completed 0");
        await ingestion.SettledAsync();
        Assert.Equal("events.orders.ingested t pending WEBHOOKS ingestion-worker t t t", await ingestion.ScalarAsync<string>($"""
            SELECT concat_ws(' ', subject, webhook_id IS NULL, state, stream_name, triggered_by, message_id = '{id}', nats_msg_id = '0_{id}',
                             config_id = (SELECT config_id FROM rule_nats_config WHERE config_name = 'default'))
              FROM rule_nats_publish_history
            """));
        Assert.Equal(document, await ingestion.ScalarAsync<string>("SELECT convert_from(body, 'UTF8') FROM rule_nats_publish_history"));
        Assert.True(await ingestion.ScalarAsync<bool>("SELECT payload = convert_from(body, 'UTF8')::jsonb AND body_sha256 = sha256(body) FROM rule_nats_publish_history"));
        Assert.Equal(1, await ingestion.CountAsync("rule_nats_publish_history"));
    }

    [Fact]
    public async Task Rows_of_a_derived_entity_are_events_as_JSON()
    {
        await using var ingestion = await Ingestion.StartAsync();
        var file = Path.Combine(ingestion.Entities, "order_line_item.yaml");
        await File.WriteAllTextAsync(file, (await File.ReadAllTextAsync(file)).Replace("  prefix: L", "  prefix: L\n  publish: {subject: events.lines}", StringComparison.Ordinal));
        await ingestion.StartWorkerAsync();
        var id = await ingestion.SendAsync(Orders.Of("O-1", lines: 3, price: 10));
        await ingestion.HasStatusAsync(id, "completed 0");
        Assert.Equal(3, await ingestion.CountAsync("rule_nats_publish_history", "subject = 'events.lines'"));
        Assert.Equal(
            """{"order_key":"O-1","line_number":2,"part_key":"P2","supplier_key":null,"quantity":4,"extended_price":3.33,"discount":0.05,"tax":null,"return_flag":null,"line_status":null,"ship_date":"2026-02-03","commit_date":null,"receipt_date":null,"ship_instruct":null,"ship_mode":null,"comment":null}""",
            await ingestion.ScalarAsync<string>($"SELECT convert_from(body, 'UTF8') FROM rule_nats_publish_history WHERE message_id = '{id}_order_line_items_2'"));
    }

    [Fact]
    public async Task The_relay_publishes_what_the_worker_committed()
    {
        await using var ingestion = await Ingestion.StartAsync();
        var file = Path.Combine(ingestion.Entities, "order.yaml");
        await File.WriteAllTextAsync(file, (await File.ReadAllTextAsync(file)).Replace("  validation: api", "  publish: {subject: events.orders.ingested}\n  validation: api", StringComparison.Ordinal));
        await ingestion.JetStream.CreateStreamAsync(new StreamConfig("WEBHOOKS", ["webhooks.>", "events.>"]));
        await ingestion.StartWorkerAsync();
        await using var relay = await ServiceProcess.StartAsync("CdcRelay", new Dictionary<string, string?>
        {
            ["ConnectionStrings__rules"] = ingestion.ConnectionString,
            ["ConnectionStrings__nats"] = ingestion.Nats.Url,
            ["Relay__SlotName"] = $"ingestion_{Environment.ProcessId}",
        });
        var id = await ingestion.SendAsync(Orders.Of("O-1"));
        await Wait.UntilAsync(async () => await ingestion.CountAsync("rule_nats_publish_history", "state = 'stored'") == 1, "it is stored");
        var message = (await ingestion.MessagesAsync("WEBHOOKS")).Single();
        Assert.Equal($"events.orders.ingested 0_{id}", $"{message.Subject} {message.Headers["Nats-Msg-Id"]}");
        Assert.Equal(Orders.Of("O-1"), Encoding.UTF8.GetString(message.Body));
    }
}
