using System.Buffers;
using System.Text;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.IngestionWorker.Tests;

[Trait("Category", "Servers")]
public sealed class DeadLetterTests
{
    [Fact]
    public async Task Of_a_thousand_documents_only_the_poison_becomes_dead_letters_with_reason_and_original_bytes()
    {
        await using var ingestion = await Ingestion.StartAsync();
        // The tables are there before the documents, and one of them is stricter than its entity.
        var first = await ingestion.StartWorkerAsync();
        await ingestion.ExecuteAsync("ALTER TABLE orders ADD CONSTRAINT not_a_beast CHECK (total_price <> 666)");
        await first.TerminateAsync();

        await ingestion.SendManyAsync(Orders.Many(450, "A"));
        var beast = await ingestion.SendAsync(Orders.Of("beast", price: 666));
        var (broken, brokenBytes) = await SendAsync("""{"order_key":""");
        var (wrong, _) = await SendAsync("""{"order_key":"W","customer_key":7,"order_status":"O","total_price":1,"order_date":"2026-02-30","line_items":[]}""", "Order");
        var (strange, _) = await SendAsync("""{"name":"nobody knows"}""");
        await ingestion.SendManyAsync(Orders.Many(450, "B"));
        var unreadable = await ingestion.SendRawAsync(Encoding.UTF8.GetBytes("no envelope"), "messages.ingest.Order");
        await ingestion.SendManyAsync(Orders.Many(95, "C"));

        var worker = await ingestion.StartWorkerAsync();
        await ingestion.SettledAsync();
        Assert.Equal("995 1990 995", await ingestion.ScalarAsync<string>(
            "SELECT concat_ws(' ', (SELECT count(*) FROM orders), (SELECT count(*) FROM order_line_items), (SELECT count(*) FROM message_status WHERE status = 'completed'))"));
        await ingestion.HasStatusAsync(beast, "dlq constraint 0");
        await ingestion.HasStatusAsync(broken, "dlq invalid_json 0");
        await ingestion.HasStatusAsync(wrong, "dlq invalid_document 0");
        await ingestion.HasStatusAsync(strange, "dlq no_entity 0");
        Assert.Equal(5, await ingestion.ScalarAsync<decimal>("SELECT sum(dlq) FROM ingest_totals"));

        var letters = await ingestion.DeadLettersAsync();
        Assert.Equal(5, letters.Count);
        var letter = letters.Single(one => one.Headers["rule-dlq-message-id"] == $"{broken}");
        Assert.Equal("messages.dlq.unknown invalid_json 1", $"{letter.Subject} {letter.Headers["rule-dlq-code"]} {letter.Headers["rule-dlq-attempts"]}");
        Assert.Equal(brokenBytes, letter.Body);
        letter = letters.Single(one => one.Headers["rule-dlq-code"] == "invalid_envelope");
        Assert.Equal($"messages.dlq.unknown no envelope {unreadable}", $"{letter.Subject} {Encoding.UTF8.GetString(letter.Body)} {letter.Headers["rule-dlq-sequence"]}");
        Assert.True(IngestMessageId.IsIssued(Guid.Parse(letter.Headers["rule-dlq-message-id"]!)));
        letter = letters.Single(one => one.Headers["rule-dlq-code"] == "constraint");
        Assert.Equal("messages.dlq.Order", letter.Subject);
        Assert.Contains("not_a_beast", letter.Headers["rule-dlq-reason"].ToString(), StringComparison.Ordinal);
        letter = letters.Single(one => one.Headers["rule-dlq-code"] == "invalid_document");
        Assert.Contains("customer_key", letter.Headers["rule-dlq-reason"].ToString(), StringComparison.Ordinal);
        Assert.Contains("order_date", letter.Headers["rule-dlq-reason"].ToString(), StringComparison.Ordinal);
        foreach (var one in letters)
        {
            Assert.Equal(one.Sequence, await ingestion.ScalarAsync<long>($"SELECT dlq_sequence FROM message_status WHERE message_id = '{one.Headers["rule-dlq-message-id"]}'"));
        }

        Assert.Equal(200, (await worker.HealthAsync()).Status);

        async Task<(Guid Id, byte[] Bytes)> SendAsync(string document, string? entity = null)
        {
            var envelope = new IngestEnvelope(IngestMessageId.New(TimeProvider.System.GetUtcNow()), Encoding.UTF8.GetBytes(document), entity, TimeProvider.System.GetUtcNow());
            var message = new ArrayBufferWriter<byte>();
            envelope.WriteTo(message);
            await ingestion.SendAsync(envelope);
            return (envelope.MessageId, message.WrittenMemory.ToArray());
        }
    }

    [Fact]
    public async Task Without_entities_every_document_is_a_dead_letter_and_the_worker_is_ready_and_says_so()
    {
        await using var ingestion = await Ingestion.StartAsync(withEntities: false);
        var worker = await ingestion.StartWorkerAsync(settings: ("Ingestion__Entities__Folder", ""));
        var id = await ingestion.SendAsync("""{"order_id": "123", "total": 100.50}""");
        await ingestion.HasStatusAsync(id, "dlq no_entity 0");
        var named = await ingestion.SendAsync("""{"order_id": "123"}""", "Orders.*.all");
        await ingestion.HasStatusAsync(named, "dlq no_entity 0");
        Assert.All(await ingestion.DeadLettersAsync(), letter => Assert.Equal("messages.dlq.unknown", letter.Subject));
        var (status, body) = await worker.HealthAsync();
        Assert.Equal(200, status);
        Assert.Contains("no entity is defined", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_document_under_the_same_id_gets_an_id_of_its_own_and_leaves_the_first_alone()
    {
        await using var ingestion = await Ingestion.StartAsync();
        var id = await ingestion.SendAsync(Orders.Of("first"));
        await ingestion.SendAsync(Orders.Of("beside it"), id: id);
        await ingestion.StartWorkerAsync();
        await ingestion.HasStatusAsync(id, "completed 0");
        await ingestion.SettledAsync();
        await ingestion.SendAsync(Orders.Of("later"), id: id);
        await ingestion.SendAsync("no order", id: id);
        await Wait.UntilAsync(async () => (await ingestion.DeadLettersAsync()).Count == 3, "three dead letters");
        await ingestion.SettledAsync();
        await ingestion.HasStatusAsync(id, "completed 0");
        Assert.Equal("first", await ingestion.ScalarAsync<string>("SELECT string_agg(order_key, ' ') FROM orders"));
        Assert.Equal(3, await ingestion.CountAsync("message_status", "status = 'dlq' AND error_code = 'idempotency_key_reused'"));
    }

    [Fact]
    public async Task A_full_stream_of_dead_letters_is_waited_for_and_nothing_is_acknowledged_meanwhile()
    {
        await using var ingestion = await Ingestion.StartAsync(streams: new IngestStreamOptions { DeadLetterMaxBytes = 1024 * 1024 });
        var filler = new byte[100_000];
        while ((await ingestion.JetStream.PublishAsync("messages.dlq.filler", filler)).Error is null)
        {
        }

        await ingestion.JetStream.PublishAsync("messages.dlq.filler", new byte[20_000]);
        while ((await ingestion.JetStream.PublishAsync("messages.dlq.filler", new byte[200])).Error is null)
        {
        }

        var worker = await ingestion.StartWorkerAsync();
        var poison = await ingestion.SendAsync("no order");
        await worker.SaysAsync("dead letters wait: MESSAGESDLQ");
        var (status, body) = await worker.HealthAsync();
        Assert.Equal(503, status);
        Assert.Contains("MESSAGESDLQ", body, StringComparison.Ordinal);
        Assert.Null(await ingestion.StatusAsync(poison));
        Assert.Equal(1, (await ingestion.ConsumerAsync()).NumAckPending);
        // The others go on.
        await ingestion.HasStatusAsync(await ingestion.SendAsync(Orders.Of("beside it")), "completed 0");

        await (await ingestion.JetStream.GetStreamAsync("MESSAGESDLQ")).PurgeAsync(new StreamPurgeRequest());
        await ingestion.HasStatusAsync(poison, "dlq invalid_json 0");
        await ingestion.SettledAsync();
        Assert.Single(await ingestion.DeadLettersAsync());
    }

    [Fact]
    public async Task Documents_that_were_delivered_often_are_each_stored_alone()
    {
        await using var ingestion = await Ingestion.StartAsync();
        await ingestion.SendManyAsync(Orders.Many(5, "often"));
        var consumer = await ConsumerAsync(ingestion);
        for (var delivery = 1; delivery <= 3; delivery++)
        {
            List<INatsJSMsg<byte[]>> all = [];
            await foreach (var message in consumer.FetchAsync<byte[]>(new NatsJSFetchOpts { MaxMsgs = 5 }))
            {
                all.Add(message);
            }

            foreach (var message in all)
            {
                await message.NakAsync(new AckOpts { DoubleAck = true });
            }
        }

        await ingestion.SendManyAsync(Orders.Many(20, "new"));
        await ingestion.StartWorkerAsync(settings: ("Ingestion__Worker__MaxDeliveries", "4"));
        await ingestion.SettledAsync();
        Assert.Equal(20, await ingestion.CountAsync("message_status", "status = 'completed' AND retry_count = 0"));
        Assert.Equal("5 5", await ingestion.ScalarAsync<string>("SELECT count(*) || ' ' || count(DISTINCT xmin::text) FROM message_status WHERE status = 'completed' AND retry_count = 3"));
    }

    // As a worker would make it, but for ack_wait and max_ack_pending.
    private static async Task<INatsJSConsumer> ConsumerAsync(Ingestion ingestion)
        => await ingestion.JetStream.CreateOrUpdateConsumerAsync("MESSAGES", new ConsumerConfig("ingestion-worker")
        {
            DurableName = "ingestion-worker",
            FilterSubject = "messages.ingest.>",
            AckPolicy = ConsumerConfigAckPolicy.Explicit,
            MaxDeliver = -1,
        });

    [Fact]
    public async Task A_document_that_was_delivered_too_often_is_given_up_unread()
    {
        await using var ingestion = await Ingestion.StartAsync();
        var killer = await ingestion.SendAsync(Orders.Of("killer"));
        var other = await ingestion.SendAsync(Orders.Of("other"));
        var consumer = await ConsumerAsync(ingestion);
        for (var delivery = 1; delivery <= 4; delivery++)
        {
            var message = await consumer.NextAsync<byte[]>();
            Assert.Equal(1UL, message!.Metadata!.Value.Sequence.Stream);
            await message.NakAsync(new AckOpts { DoubleAck = true });
        }

        var worker = await ingestion.StartWorkerAsync(settings: ("Ingestion__Worker__MaxDeliveries", "4"));
        await ingestion.HasStatusAsync(killer, "dlq attempts 4");
        await ingestion.HasStatusAsync(other, "completed 0");
        Assert.Contains("consumer differs", (await worker.HealthAsync()).Body, StringComparison.Ordinal);
    }
}
