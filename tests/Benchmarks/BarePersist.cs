using System.Text.Json;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using Npgsql;
using NpgsqlTypes;

namespace RuleEngineNats.Benchmarks;

/// <summary>
/// What storing documents is with the drivers alone: fetch, parse, COPY into the two tables in one transaction, acknowledge. No status, no check of a document, no upsert: one
/// that comes again, or is none, ends it.
/// </summary>
internal sealed class BarePersist(INatsJSContext jetStream, NpgsqlDataSource database)
{
    private const int BatchSize = 1000;

    /// <summary>Stores so many documents from a stream that has them.</summary>
    public async Task RunAsync(string stream, int count)
    {
        var consumer = await jetStream.CreateOrUpdateConsumerAsync(stream, new ConsumerConfig("bare") { DurableName = "bare", MaxAckPending = 10_000, AckPolicy = ConsumerConfigAckPolicy.Explicit });
        await using var connection = await database.OpenConnectionAsync();
        for (var stored = 0; stored < count;)
        {
            List<INatsJSMsg<byte[]>> messages = [];
            List<JsonDocument> documents = [];
            await foreach (var message in consumer.FetchAsync<byte[]>(new NatsJSFetchOpts { MaxMsgs = Math.Min(BatchSize, count - stored) }))
            {
                messages.Add(message);
                using var envelope = JsonDocument.Parse(message.Data);
                documents.Add(JsonDocument.Parse(envelope.RootElement.GetProperty("body").GetString()!));
            }

            await StoreAsync(connection, documents);
            for (var index = 0; index < messages.Count; index++)
            {
                await messages[index].AckAsync(new AckOpts { DoubleAck = index == messages.Count - 1 });
            }

            documents.ForEach(document => document.Dispose());
            stored += messages.Count;
        }
    }

    private static async Task StoreAsync(NpgsqlConnection connection, List<JsonDocument> documents)
    {
        await using var transaction = await connection.BeginTransactionAsync();
        await using (var copy = await connection.BeginBinaryImportAsync("""
            COPY bare_orders (order_key, customer_key, order_status, total_price, order_date, order_priority, clerk, ship_priority, comment, ingested_at) FROM STDIN (FORMAT binary)
            """))
        {
            foreach (var document in documents)
            {
                var order = document.RootElement;
                await copy.StartRowAsync();
                await TextAsync(copy, order, "order_key");
                await TextAsync(copy, order, "customer_key");
                await TextAsync(copy, order, "order_status");
                await copy.WriteAsync(order.GetProperty("total_price").GetDecimal(), NpgsqlDbType.Numeric);
                await DateAsync(copy, order, "order_date");
                await TextAsync(copy, order, "order_priority");
                await TextAsync(copy, order, "clerk");
                await copy.WriteAsync(order.GetProperty("ship_priority").GetInt64(), NpgsqlDbType.Bigint);
                await TextAsync(copy, order, "comment");
                await copy.WriteAsync(TimeProvider.System.GetUtcNow(), NpgsqlDbType.TimestampTz);
            }

            await copy.CompleteAsync();
        }

        await CopyItemsAsync(connection, documents);
        await transaction.CommitAsync();
    }

    private static async Task CopyItemsAsync(NpgsqlConnection connection, List<JsonDocument> documents)
    {
        await using var copy = await connection.BeginBinaryImportAsync("""
            COPY bare_order_line_items (order_key, line_number, part_key, supplier_key, quantity, extended_price, discount, tax, return_flag, line_status, ship_date, commit_date,
                receipt_date, ship_instruct, ship_mode, comment, ingested_at) FROM STDIN (FORMAT binary)
            """);
        foreach (var document in documents)
        {
            foreach (var item in document.RootElement.GetProperty("line_items").EnumerateArray())
            {
                await copy.StartRowAsync();
                await TextAsync(copy, document.RootElement, "order_key");
                await copy.WriteAsync(item.GetProperty("line_number").GetInt64(), NpgsqlDbType.Bigint);
                await TextAsync(copy, item, "part_key");
                await TextAsync(copy, item, "supplier_key");
                await copy.WriteAsync(item.GetProperty("quantity").GetInt64(), NpgsqlDbType.Bigint);
                await copy.WriteAsync(item.GetProperty("extended_price").GetDecimal(), NpgsqlDbType.Numeric);
                await copy.WriteAsync(item.GetProperty("discount").GetDecimal(), NpgsqlDbType.Numeric);
                await copy.WriteAsync(item.GetProperty("tax").GetDecimal(), NpgsqlDbType.Numeric);
                await TextAsync(copy, item, "return_flag");
                await TextAsync(copy, item, "line_status");
                await DateAsync(copy, item, "ship_date");
                await DateAsync(copy, item, "commit_date");
                await DateAsync(copy, item, "receipt_date");
                await TextAsync(copy, item, "ship_instruct");
                await TextAsync(copy, item, "ship_mode");
                await TextAsync(copy, item, "comment");
                await copy.WriteAsync(TimeProvider.System.GetUtcNow(), NpgsqlDbType.TimestampTz);
            }
        }

        await copy.CompleteAsync();
    }

    private static Task TextAsync(NpgsqlBinaryImporter copy, JsonElement from, string property)
        => copy.WriteAsync(from.GetProperty(property).GetString()!, NpgsqlDbType.Text);

    private static Task DateAsync(NpgsqlBinaryImporter copy, JsonElement from, string property)
        => copy.WriteAsync(DateOnly.ParseExact(from.GetProperty(property).GetString()!, "yyyy-MM-dd"), NpgsqlDbType.Date);
}
