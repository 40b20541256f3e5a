using System.Buffers;
using System.Globalization;
using System.Text;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.IngestionApi.Tests.DeadLetters;

/// <summary>Dead letters as the worker leaves them: a message in MESSAGESDLQ and a row.</summary>
[Trait("Category", "Servers")]
public sealed class DeadLetterTests : IAsyncLifetime
{
    private static readonly DateTimeOffset Received = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    private IngestionService Api { get; set; } = null!;

    public async Task InitializeAsync() => Api = await IngestionService.StartAsync();

    public async Task DisposeAsync() => await Api.DisposeAsync();

    [Fact]
    public async Task One_is_shown_with_its_reason_and_its_document_as_it_was_sent()
    {
        var id = await BuryAsync("""{"order_id":  9007199254740993, "total":1.50}""", source: "till");
        var answer = (await Api.GetAsync($"/ingest/dead-letters/{id}")).Is(200);
        Assert.Contains("""{"order_id":  9007199254740993, "total":1.50}""", answer.Body, StringComparison.Ordinal);
        Assert.Equal((id.ToString(), "Order", "invalid_document", "till"), (answer.Text("message_id"), answer.Text("entity_type"), answer.Text("error_code"), answer.Text("source")));
        Assert.Equal("""{"code":"invalid_document","message":"total: must be 100 % positive, ü","attempts":"3","sequence":"17"}""", answer.Json["reason"]!.ToJsonString(new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }));
        Assert.Null(answer.Json["text"]);
    }

    [Fact]
    public async Task What_is_no_JSON_is_shown_as_text_and_what_is_no_text_in_Base64()
    {
        Assert.Equal("no {json", (await Api.GetAsync($"/ingest/dead-letters/{await BuryAsync("no {json")}")).Is(200).Text("text"));
        var poison = await BuryAsync([0xFF, 0x00]);
        Assert.Equal("/wA=", (await Api.GetAsync($"/ingest/dead-letters/{poison}")).Is(200).Text("base64"));
    }

    [Fact]
    public async Task Without_a_document_it_has_expired()
    {
        var id = await BuryAsync("{}");
        await Api.JetStream.PurgeStreamAsync(StreamNames.MessagesDeadLetter, new StreamPurgeRequest());
        (await Api.GetAsync($"/ingest/dead-letters/{id}")).IsProblem(410, "expired", "message_id");
        (await Api.PostAsync($"/ingest/dead-letters/{id}/resubmit", "")).IsProblem(410, "expired", "message_id");

        // Another message has its place in a stream that was made anew.
        await Api.JetStream.DeleteStreamAsync(StreamNames.MessagesDeadLetter);
        await Api.JetStream.CreateStreamAsync(new StreamConfig(StreamNames.MessagesDeadLetter, ["messages.dlq.>"]));
        await BuryAsync("""{"of":"another"}""");
        (await Api.GetAsync($"/ingest/dead-letters/{id}")).IsProblem(410, "expired", "message_id");

        // Who has the document can still send it.
        var sent = (await Api.PostAsync($"/ingest/dead-letters/{id}/resubmit", """{"kept":true}""")).Is(202).Text("message_id");
        Assert.Single(await Api.EnvelopesAsync(), envelope => envelope.MessageId.ToString() == sent && envelope.EntityType == "Order");
    }

    [Fact]
    public async Task One_that_is_none_is_not_found()
    {
        (await Api.GetAsync($"/ingest/dead-letters/{Guid.NewGuid()}")).IsProblem(404, "dead_letter_not_found", "message_id");
        (await Api.GetAsync("/ingest/dead-letters/x")).IsProblem(400, "invalid_uuid", "message_id");
        var completed = IngestMessageId.New(Received);
        await Api.ExecuteAsync("INSERT INTO message_status (message_id, received_at, status) VALUES ($1, now(), 'completed')", completed);
        (await Api.GetAsync($"/ingest/dead-letters/{completed}")).IsProblem(404, "dead_letter_not_found", "message_id");
        (await Api.PostAsync($"/ingest/dead-letters/{completed}/resubmit", "{}")).IsProblem(404, "dead_letter_not_found", "message_id");
    }

    [Fact]
    public async Task One_is_sent_again_as_it_was_under_a_new_id_once()
    {
        var id = await BuryAsync("""{"order_id":1}""", source: "till");
        var first = (await Api.PostAsync($"/ingest/dead-letters/{id}/resubmit", "", contentType: null)).Is(202);
        Assert.Equal((id.ToString(), "accepted"), (first.Text("resubmitted_from"), first.Text("status")));
        Assert.NotEqual(id.ToString(), first.Text("message_id"));
        var repeat = (await Api.PostAsync($"/ingest/dead-letters/{id}/resubmit", "", contentType: null)).Is(202);
        Assert.Equal(first.Text("message_id"), repeat.Text("message_id"));

        var sent = Assert.Single(await Api.EnvelopesAsync());
        Assert.Equal((first.Text("message_id"), "Order", "till", """{"order_id":1}"""), (sent.MessageId.ToString(), sent.EntityType, sent.Source, Encoding.UTF8.GetString(sent.Body.Span)));
        var status = (await Api.GetAsync($"/ingest/status/{id}")).Is(200);
        Assert.Equal(("dlq", first.Text("message_id")), (status.Text("status"), status.Text("resubmitted_as")));
        Assert.Equal("accepted", (await Api.GetAsync($"/ingest/status/{first.Text("message_id")}")).Is(200).Text("status"));
    }

    [Fact]
    public async Task A_corrected_document_is_sent_instead_and_another_one_after_that_is_refused()
    {
        var id = await BuryAsync("no json");
        (await Api.PostAsync($"/ingest/dead-letters/{id}/resubmit", "")).IsProblem(400, "invalid_json", "body");
        (await Api.PostAsync($"/ingest/dead-letters/{id}/resubmit", "{oops")).IsProblem(400, "invalid_json", "body");
        (await Api.PostAsync($"/ingest/dead-letters/{id}/resubmit?entity=a.b", "{}")).IsProblem(422, "unknown_entity", "entity");
        var sent = (await Api.PostAsync($"/ingest/dead-letters/{id}/resubmit?entity=Invoice", """{"order_id":2}""")).Is(202).Text("message_id");
        Assert.Single(await Api.EnvelopesAsync(), envelope => envelope.MessageId.ToString() == sent && envelope.EntityType == "Invoice");
        var again = (await Api.PostAsync($"/ingest/dead-letters/{id}/resubmit", """{"order_id":3}""")).IsProblem(409, "already_resubmitted", "message_id");
        Assert.Contains(sent, again.Text("detail"), StringComparison.Ordinal);
        Assert.Single(await Api.EnvelopesAsync());
    }

    [Fact]
    public async Task Of_many_who_send_one_again_at_once_one_is_heard()
    {
        var id = await BuryAsync("""{"order_id":1}""");
        var answers = await Task.WhenAll(Enumerable.Range(0, 10).Select(number => Api.PostAsync($"/ingest/dead-letters/{id}/resubmit", $$"""{"order_id":{{number}}}""")));
        Assert.Single(answers, answer => answer.Status == 202);
        Assert.Equal(9, answers.Count(answer => answer.Status == 409));
        Assert.Single(await Api.EnvelopesAsync());
    }

    [Fact]
    public async Task Lists_show_those_that_a_filter_selects()
    {
        for (var number = 0; number < 5; number++)
        {
            await BuryAsync("{}", code: number < 2 ? "constraint" : "invalid_document", received: Received.AddMinutes(number));
        }

        var page = (await Api.GetAsync("/ingest/dead-letters?limit=3")).Is(200);
        Assert.Equal(3, page.Json["items"]!.AsArray().Count);
        Assert.Null(page.Json["items"]![0]!["document"]);
        page = (await Api.GetAsync($"/ingest/dead-letters?limit=3&cursor={page.Text("next_cursor")}")).Is(200);
        Assert.Equal((2, null), (page.Json["items"]!.AsArray().Count, page.Json["next_cursor"]));
        Assert.Equal(2, (await Api.GetAsync("/ingest/dead-letters?code=constraint")).Json["items"]!.AsArray().Count);
        Assert.Equal(4, (await Api.GetAsync("/ingest/dead-letters?since=2026-01-02T03:05:05Z")).Json["items"]!.AsArray().Count);
        Assert.Single((await Api.GetAsync("/ingest/dead-letters?until=2026-01-02T03:05:05Z")).Json["items"]!.AsArray());
        Assert.Empty((await Api.GetAsync("/ingest/dead-letters?entity=Nobody")).Json["items"]!.AsArray());
        (await Api.GetAsync("/ingest/dead-letters?limit=0&since=x")).IsProblem(400, "validation_failed", "since");
    }

    [Fact]
    public async Task All_that_a_filter_selects_are_sent_again_portion_by_portion_and_none_twice()
    {
        for (var number = 0; number < 7; number++)
        {
            await BuryAsync($$"""{"order_id":{{number}}}""", code: "constraint", received: Received.AddMinutes(number));
        }

        var other = await BuryAsync("""{"order_id":8}""", code: "invalid_document");
        var broken = await BuryAsync("no json", code: "constraint", received: Received.AddMinutes(-1));
        var expired = await BuryAsync("{}", code: "constraint", received: Received.AddMinutes(-2));
        await Api.ExecuteAsync("UPDATE message_status SET dlq_sequence = 9999 WHERE message_id = $1", expired);

        var first = (await Api.PostAsync("/ingest/dead-letters/redrive", """{"code":"constraint","limit":5}""")).Is(200);
        Assert.Equal((3, 1, 1, 4), (first.Number("resubmitted"), first.Number("failed"), first.Number("expired"), first.Number("remaining")));
        var second = (await Api.PostAsync("/ingest/dead-letters/redrive", $$"""{"code":"constraint","cursor":"{{first.Text("next_cursor")}}"}""")).Is(200);
        Assert.Equal((4, 0, 0, 0, null), (second.Number("resubmitted"), second.Number("failed"), second.Number("expired"), second.Number("remaining"), second.Json["next_cursor"]));
        Assert.Equal(7, (await Api.EnvelopesAsync()).Count);
        Assert.Equal(3, await Api.ScalarAsync<long>("SELECT count(*) FROM message_status WHERE status = 'dlq' AND resubmitted_as IS NULL AND message_id IN ($1, $2, $3)", other, broken, expired));
        (await Api.PostAsync("/ingest/dead-letters/redrive", """{"limit":0,"what":1}""")).IsProblem(400, "validation_failed", "what");
        Assert.Equal(1, (await Api.PostAsync("/ingest/dead-letters/redrive", "", contentType: null)).Is(200).Number("resubmitted"));
    }

    private Task<Guid> BuryAsync(string document, string? source = null, string code = "invalid_document", DateTimeOffset? received = null)
    {
        var id = IngestMessageId.New(Received);
        var envelope = new ArrayBufferWriter<byte>();
        new IngestEnvelope(id, Encoding.UTF8.GetBytes(document), "Order", Received, Source: source).WriteTo(envelope);
        return BuryAsync(envelope.WrittenMemory.ToArray(), id, source, code, received);
    }

    private async Task<Guid> BuryAsync(byte[] message, Guid? given = null, string? source = null, string code = "invalid_document", DateTimeOffset? received = null)
    {
        var id = given ?? IngestMessageId.New(Received);
        var headers = new NatsHeaders
        {
            ["Nats-Msg-Id"] = $"{id}-dlq",
            [EventHeaders.DeadLetterCode] = code,
            [EventHeaders.DeadLetterReason] = "total: must be 100 %25 positive, %C3%BC",
            [EventHeaders.DeadLetterAttempts] = "3",
            [EventHeaders.DeadLetterSequence] = "17",
            [EventHeaders.DeadLetterMessageId] = id.ToString("D", CultureInfo.InvariantCulture),
        };
        var ack = await Api.JetStream.PublishAsync("messages.dlq.Order", message, headers: headers);
        ack.EnsureSuccess();
        await Api.ExecuteAsync("""
            INSERT INTO message_status (message_id, received_at, processed_at, retry_count, status, entity_type, source, error_code, error_message, stream_sequence, dlq_sequence)
            VALUES ($1, $2, now(), 2, 'dlq', 'Order', nullif($3, ''), $4, 'total: must be positive', 17, $5)
            """, id, (received ?? Received).UtcDateTime, source ?? "", code, (long)ack.Seq);
        return id;
    }
}
