using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.IngestionWorker.Tests;

[Trait("Category", "Servers")]
public sealed class RetryTests
{
    private const string Payment = """
        entity:
          name: Payment
          source_type: root
          fields:
            - {name: payment_key, type: String, args: [40]}
            - {name: order_key, type: String, args: [40]}
          persistence:
            database:
              conformant_table: payments
              conformant_id_column: id
              unicity_fields: [payment_key]
              foreign_keys:
                - {name: order_key, references: orders.order_key, parent_entity: Order}
            primary_key: {name: id, type: Integer, autogenerate: true}
        """;

    [Fact]
    public async Task A_document_without_its_parent_is_tried_again_and_given_up_after_all_attempts()
    {
        await using var ingestion = await Ingestion.StartAsync();
        await File.WriteAllTextAsync(Path.Combine(ingestion.Entities, "payment.yaml"), Payment);
        await ingestion.StartWorkerAsync(settings: [("Ingestion__Worker__RetryDelay", "00:00:00.400"), ("Ingestion__Worker__MaxAttempts", "4")]);
        var early = await ingestion.SendAsync("""{"payment_key":"1","order_key":"late"}""");
        var orphan = await ingestion.SendAsync("""{"payment_key":"2","order_key":"never"}""");
        await ingestion.HasStatusAsync(early, "failed constraint 1");
        Assert.Contains("order_key", await ingestion.ScalarAsync<string>($"SELECT error_message FROM message_status WHERE message_id = '{early}'"), StringComparison.Ordinal);
        await ingestion.SendAsync(Orders.Of("late"));
        await Wait.UntilAsync(async () => (await ingestion.StatusAsync(early))!.StartsWith("completed", StringComparison.Ordinal), "its parent came");
        await ingestion.HasStatusAsync(orphan, "dlq constraint 3");
        await ingestion.SettledAsync();
        Assert.Equal("1", await ingestion.ScalarAsync<string>("SELECT string_agg(payment_key, ' ') FROM payments"));
        Assert.Equal("4", (await ingestion.DeadLettersAsync()).Single().Headers["rule-dlq-attempts"]);
    }

    [Fact]
    public async Task A_parent_in_the_same_batch_is_there_in_time_even_when_poison_splits_the_batch()
    {
        await using var ingestion = await Ingestion.StartAsync();
        await File.WriteAllTextAsync(Path.Combine(ingestion.Entities, "payment.yaml"), Payment);
        var first = await ingestion.StartWorkerAsync();
        await ingestion.ExecuteAsync("ALTER TABLE orders ADD CHECK (total_price <> 666)");
        await first.TerminateAsync();
        var payment = await ingestion.SendAsync("""{"payment_key":"1","order_key":"last"}""");
        await ingestion.SendManyAsync(Orders.Many(100));
        await ingestion.SendAsync(Orders.Of("poison", price: 666));
        await ingestion.SendAsync(Orders.Of("last"));
        await ingestion.StartWorkerAsync();
        await ingestion.HasStatusAsync(payment, "completed 0");
        await ingestion.SettledAsync();
        Assert.Equal(101, await ingestion.CountAsync("orders"));
    }

    [Fact]
    public async Task What_comes_later_wins_within_a_batch_and_across_batches_and_never_what_is_older()
    {
        await using var ingestion = await Ingestion.StartAsync();
        await ingestion.SendAsync(Orders.Of("O-1", lines: 3, price: 1));
        await ingestion.SendAsync(Orders.Of("O-1", lines: 1, price: 2));
        await ingestion.StartWorkerAsync();
        await ingestion.SettledAsync();
        Assert.Equal("2.00 2.00,0.33,0.33", await PricesAsync());
        await ingestion.HasStatusAsync(await ingestion.SendAsync(Orders.Of("O-1", lines: 2, price: 4)), "completed 0");
        Assert.Equal("4.00 2.00,2.00,0.33", await PricesAsync());
        // As if a later document had been stored already.
        await ingestion.ExecuteAsync("UPDATE orders SET ingested_at = now() + interval '1 hour', total_price = 77");
        await ingestion.HasStatusAsync(await ingestion.SendAsync(Orders.Of("O-1", lines: 2, price: 6)), "completed 0");
        Assert.Equal("77.00 3.00,3.00,0.33", await PricesAsync());

        Task<string> PricesAsync() => ingestion.ScalarAsync<string>(
            "SELECT total_price || ' ' || (SELECT string_agg(extended_price::text, ',' ORDER BY line_number) FROM order_line_items) FROM orders");
    }

    [Fact]
    public async Task A_table_that_was_dropped_is_made_again_and_a_column_that_is_missing_is_waited_for()
    {
        await using var ingestion = await Ingestion.StartAsync();
        var worker = await ingestion.StartWorkerAsync();
        await ingestion.HasStatusAsync(await ingestion.SendAsync(Orders.Of("O-1")), "completed 0");
        await ingestion.ExecuteAsync("DROP TABLE order_line_items");
        await ingestion.HasStatusAsync(await ingestion.SendAsync(Orders.Of("O-2")), "completed 0");
        Assert.Equal(2, await ingestion.CountAsync("order_line_items"));

        await ingestion.ExecuteAsync("ALTER TABLE orders DROP COLUMN clerk");
        var waiting = await ingestion.SendAsync(Orders.Of("O-3"));
        await Wait.UntilAsync(async () => await worker.HealthAsync() is (503, var body) && body.Contains("clerk", StringComparison.Ordinal), "it says what is missing");
        Assert.Null(await ingestion.StatusAsync(waiting));
        await ingestion.ExecuteAsync("ALTER TABLE orders ADD COLUMN clerk varchar(40)");
        await ingestion.HasStatusAsync(waiting, "completed 0");
        await Wait.UntilAsync(async () => await worker.HealthAsync() is (200, var body) && !body.Contains("clerk", StringComparison.Ordinal), "all is well");
        Assert.Empty(await ingestion.DeadLettersAsync());
    }
}
