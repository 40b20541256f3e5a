using Xunit;

namespace RuleEngineNats.IngestionWorker.Tests;

[Trait("Category", "Servers")]
public sealed class StoreTests
{
    [Fact]
    public async Task A_document_becomes_rows_of_all_its_tables_and_a_status()
    {
        await using var ingestion = await Ingestion.StartAsync();
        await ingestion.StartWorkerAsync();
        var id = await ingestion.SendAsync(Orders.Of("O-1", lines: 3, price: 1234.56m));
        await ingestion.HasStatusAsync(id, "completed 0");
        await ingestion.SettledAsync();
        Assert.Equal("O-1 C1 O 1234.56 2026-01-02", await ingestion.ScalarAsync<string>("SELECT concat_ws(' ', order_key, customer_key, order_status, total_price, order_date) FROM orders"));
        Assert.Equal("O-1 1 P1 2 411.52 0.0500 2026-02-03", await ingestion.ScalarAsync<string>(
            "SELECT concat_ws(' ', order_key, line_number, part_key, quantity, extended_price, discount, ship_date) FROM order_line_items WHERE line_number = 1"));
        Assert.Equal(3, await ingestion.CountAsync("order_line_items"));
        Assert.Equal("Order tests 1 t t t", await ingestion.ScalarAsync<string>(
            "SELECT concat_ws(' ', entity_type, source, stream_sequence, processed_at >= received_at, length(body_sha256) = 32, error_message IS NULL AND dlq_sequence IS NULL) FROM message_status"));
        Assert.Equal("Order 1 0 4", await ingestion.ScalarAsync<string>("SELECT concat_ws(' ', entity_type, sum(completed), sum(dlq), sum(entity_rows)) FROM ingest_totals GROUP BY entity_type"));
    }

    [Fact]
    public async Task A_document_that_comes_again_is_stored_once()
    {
        await using var ingestion = await Ingestion.StartAsync();
        var id = await ingestion.SendAsync(Orders.Of("O-1"));
        await ingestion.SendAsync(Orders.Of("O-1"), id: id);
        await ingestion.StartWorkerAsync();
        await ingestion.HasStatusAsync(id, "completed 0");
        await ingestion.SettledAsync();
        await ingestion.SendAsync(Orders.Of("O-1"), id: id);
        await ingestion.HasStatusAsync(await ingestion.SendAsync(Orders.Of("O-2")), "completed 0");
        await ingestion.SettledAsync();
        Assert.Equal("2 4 2", await ingestion.ScalarAsync<string>("SELECT concat_ws(' ', (SELECT count(*) FROM orders), (SELECT count(*) FROM order_line_items), (SELECT sum(completed) FROM ingest_totals))"));
        Assert.Empty(await ingestion.DeadLettersAsync());
    }
}
