using System.Globalization;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.IngestionApi.Tests.Status;

/// <summary>What the API says of documents and batches; the worker is played by the test, which writes what the worker writes.</summary>
[Trait("Category", "Servers")]
public sealed class StatusTests : IAsyncLifetime
{
    private static readonly DateTimeOffset Received = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    private IngestionService Api { get; set; } = null!;

    public async Task InitializeAsync() => Api = await IngestionService.StartAsync();

    public async Task DisposeAsync() => await Api.DisposeAsync();

    [Fact]
    public async Task An_id_that_was_returned_is_accepted_before_a_worker_has_recorded_anything_and_what_is_recorded_after_that()
    {
        var id = (await Api.PostAsync("/ingest/message", "{}")).Is(202).Text("message_id");
        var answer = (await Api.GetAsync($"/ingest/status/{id}")).Is(200);
        Assert.Equal(
            ["message_id", "entity_type", "status", "received_at", "processed_at", "retry_count", "error_code", "error_message", "source", "resubmitted_as"],
            answer.Json.AsObject().Select(member => member.Key));
        Assert.Equal((id, "accepted", 0), (answer.Text("message_id"), answer.Text("status"), answer.Number("retry_count")));
        Assert.Null(answer.Json["processed_at"]);
        Assert.InRange(DateTimeOffset.Parse(answer.Text("received_at"), CultureInfo.InvariantCulture), TimeProvider.System.GetUtcNow().AddMinutes(-1), TimeProvider.System.GetUtcNow());

        await RecordAsync(Guid.Parse(id, CultureInfo.InvariantCulture), "failed", Received, error: "constraint");
        answer = (await Api.GetAsync($"/ingest/status/{id}")).Is(200);
        Assert.Equal(("failed", "constraint", "Order", 2), (answer.Text("status"), answer.Text("error_code"), answer.Text("entity_type"), answer.Number("retry_count")));
        await Api.ExecuteAsync("UPDATE message_status SET status = 'completed', error_code = NULL, error_message = NULL, processed_at = now()");
        answer = (await Api.GetAsync($"/ingest/status/{id}")).Is(200);
        Assert.Equal(("completed", null), (answer.Text("status"), answer.Json["error_code"]));
        Assert.NotNull(answer.Json["processed_at"]);
    }

    [Fact]
    public async Task Every_issued_id_is_known_at_once_also_of_a_key_and_of_a_line()
    {
        var key = (await Api.PostAsync("/ingest/message", "{}", headers: ("Idempotency-Key", "k"))).Is(202).Text("message_id");
        var line = (await Api.PostAsync("/ingest/batch", "1\n", "application/x-ndjson")).Is(202).Results[0]["message_id"]!.GetValue<string>();
        foreach (var id in (string[])[key, line])
        {
            var answer = (await Api.GetAsync($"/ingest/status/{id}")).Is(200);
            Assert.Equal(("accepted", null), (answer.Text("status"), answer.Json["received_at"]));
        }
    }

    [Fact]
    public async Task An_id_that_nobody_was_given_is_not_found()
    {
        var answer = (await Api.GetAsync("/ingest/status/550e8400-e29b-41d4-a716-446655440000")).IsProblem(404, "message_not_found", "message_id");
        Assert.Equal("Validation error: Message not found", answer.Text("error"));
        (await Api.GetAsync($"/ingest/status/{Guid.CreateVersion7()}")).IsProblem(404, "message_not_found", "message_id");
        (await Api.GetAsync("/ingest/status/ffffffff-ffff-7fff-bfff-ffffffffffff")).IsProblem(404, "message_not_found", "message_id");
        (await Api.GetAsync($"/ingest/batch/{Guid.NewGuid()}")).IsProblem(404, "batch_not_found", "batch_id");
    }

    [Theory]
    [InlineData("x")]
    [InlineData("550e8400e29b41d4a716446655440000")]
    [InlineData("{550e8400-e29b-41d4-a716-446655440000}")]
    [InlineData("550e8400-e29b-41d4-a716-44665544000g")]
    [InlineData("'; DROP TABLE message_status; --")]
    public async Task What_is_no_uuid_is_refused(string id)
    {
        var answer = (await Api.GetAsync($"/ingest/status/{Uri.EscapeDataString(id)}")).IsProblem(400, "invalid_uuid", "message_id");
        Assert.Equal("Validation error: Invalid UUID format", answer.Text("error"));
        (await Api.GetAsync($"/ingest/batch/{Uri.EscapeDataString(id)}")).IsProblem(400, "invalid_uuid", "batch_id");
    }

    [Fact]
    public async Task An_id_without_a_record_is_accepted_while_the_worker_has_anything_left_and_expired_after_that()
    {
        // No worker has been here.
        var lost = IngestMessageId.New(TimeProvider.System.GetUtcNow());
        Assert.Equal("accepted", (await Api.GetAsync($"/ingest/status/{lost}")).Is(200).Text("status"));

        var (worker, _) = await PlayWorkerAsync();
        (await Api.GetAsync($"/ingest/status/{lost}")).IsProblem(404, "message_not_found", "message_id");

        var id = (await Api.PostAsync("/ingest/message", "{}")).Is(202).Text("message_id");
        Assert.Equal("accepted", (await Api.GetAsync($"/ingest/status/{lost}")).Is(200).Text("status"));
        var message = await worker.NextAsync<byte[]>();
        Assert.Equal("accepted", (await Api.GetAsync($"/ingest/status/{id}")).Is(200).Text("status"));
        await RecordAsync(Guid.Parse(id, CultureInfo.InvariantCulture), "completed", Received);
        await message!.AckAsync(new AckOpts { DoubleAck = true });
        (await Api.GetAsync($"/ingest/status/{lost}")).IsProblem(404, "message_not_found", "message_id");
        Assert.Equal("completed", (await Api.GetAsync($"/ingest/status/{id}")).Is(200).Text("status"));
    }

    [Fact]
    public async Task An_id_from_before_the_streams_age_has_expired_and_its_record_has_not()
    {
        var old = IngestMessageId.New(TimeProvider.System.GetUtcNow().AddDays(-2));
        (await Api.GetAsync($"/ingest/status/{old}")).IsProblem(404, "message_not_found", "message_id");
        await RecordAsync(old, "dlq", Received);
        Assert.Equal("dlq", (await Api.GetAsync($"/ingest/status/{old}")).Is(200).Text("status"));
    }

    [Fact]
    public async Task Lists_go_by_time_of_acceptance_page_by_page_and_miss_none()
    {
        for (var number = 0; number < 25; number++)
        {
            // Several have the same time, and so fall back on their ids.
            await RecordAsync(IngestMessageId.New(Received), number % 5 == 0 ? "dlq" : "completed", Received.AddMicroseconds(number / 4), number % 2 == 0 ? "Order" : "Product");
        }

        (await Api.PostAsync("/ingest/message", "{}")).Is(202);
        var all = await PagesAsync("/ingest/status?limit=7&since=2026-01-01T00:00:00Z", 4);
        Assert.Equal(25, all.Count);
        Assert.Equal(25, all.ToHashSet().Count);
        Assert.Equal(1, (await Api.GetAsync("/ingest/status?limit=1")).Number("pending"));
        Assert.Equal(5, (await PagesAsync("/ingest/status?status=dlq&limit=2", 3)).Count);
        Assert.Equal(13, (await PagesAsync("/ingest/status?entity=Order", 1)).Count);
        Assert.Single(await PagesAsync($"/ingest/status?since={Uri.EscapeDataString(Received.AddMicroseconds(6).ToString("O"))}", 1));
        Assert.Equal(24, (await PagesAsync($"/ingest/status?until={Uri.EscapeDataString(Received.AddMicroseconds(6).ToString("O"))}", 1)).Count);
        Assert.Empty(await PagesAsync("/ingest/status?since=2027-01-01T00:00:00Z", 1));
        Assert.Empty(await PagesAsync("/ingest/status?status=accepted", 1));

        async Task<List<string>> PagesAsync(string path, int pages)
        {
            var (found, cursor) = (new List<string>(), (string?)null);
            do
            {
                var page = (await Api.GetAsync(path + (cursor is null ? "" : (path.Contains('?', StringComparison.Ordinal) ? "&" : "?") + $"cursor={cursor}"))).Is(200);
                found.AddRange(page.Json["items"]!.AsArray().Select(item => $"{item!["received_at"]} {item["message_id"]}"));
                cursor = page.Json["next_cursor"]?.GetValue<string>();
                pages--;
            }
            while (cursor is not null);
            Assert.Equal(0, pages);
            return found;
        }
    }

    [Theory]
    [InlineData("since=yesterday", "since", "wrong_type")]
    [InlineData("until=13", "until", "wrong_type")]
    [InlineData("limit=0", "limit", "out_of_range")]
    [InlineData("limit=1001", "limit", "out_of_range")]
    [InlineData("limit=x", "limit", "wrong_type")]
    [InlineData("status=done", "status", "invalid_value")]
    [InlineData("entity=", "entity", "invalid_value")]
    [InlineData("cursor=x", "cursor", "invalid_value")]
    [InlineData("cursor=eCB5", "cursor", "invalid_value")]
    public async Task A_query_that_makes_no_sense_is_refused(string query, string field, string code)
        => (await Api.GetAsync($"/ingest/status?{query}")).IsProblem(400, code, field);

    [Fact]
    public async Task A_batch_says_how_far_it_is_and_its_lines()
    {
        var answer = (await Api.PostAsync("/ingest/batch", "1\n2\nx\n\n5\n6\n", "application/x-ndjson")).Is(202);
        var batch = Guid.Parse(answer.Text("batch_id"), CultureInfo.InvariantCulture);
        var status = (await Api.GetAsync($"/ingest/batch/{batch}")).Is(200);
        Assert.Equal(("accepted", 6, 4, 1, 0), (status.Text("status"), status.Number("lines"), status.Number("accepted"), status.Number("rejected"), status.Number("unavailable")));
        Assert.Equal((4, 0, 0, true), (status.Number("pending"), status.Number("completed"), status.Number("dlq"), status.Json["complete"]!.GetValue<bool>()));

        await RecordAsync(IngestMessageId.ForLine(batch, 1), "completed", Received);
        await RecordAsync(IngestMessageId.ForLine(batch, 2), "failed", Received, error: "constraint");
        await RecordAsync(IngestMessageId.ForLine(batch, 6), "dlq", Received, error: "invalid_document");
        status = (await Api.GetAsync($"/ingest/batch/{batch}")).Is(200);
        Assert.Equal(("processing", 2, 1, 1, 1), (status.Text("status"), status.Number("pending"), status.Number("completed"), status.Number("failed"), status.Number("dlq")));
        Assert.Null(status.Json["items"]);

        status = (await Api.GetAsync($"/ingest/batch/{batch}?lines=true&limit=2")).Is(200);
        Assert.Equal([1, 2], status.Json["items"]!.AsArray().Select(item => item!["line"]!.GetValue<int>()));
        status = (await Api.GetAsync($"/ingest/batch/{batch}?lines=true&limit=2&after={status.Number("next_after")}")).Is(200);
        Assert.Equal("6 dlq invalid_document", string.Join(' ', status.Json["items"]!.AsArray().Select(item => $"{item!["line"]} {item["status"]} {item["error_code"]}")));
        Assert.Null(status.Json["next_after"]);
        Assert.Single((await Api.GetAsync($"/ingest/batch/{batch}?lines=true&status=dlq")).Json["items"]!.AsArray());

        await Api.ExecuteAsync("UPDATE message_status SET status = 'completed' WHERE status = 'failed'");
        await RecordAsync(IngestMessageId.ForLine(batch, 5), "completed", Received);
        status = (await Api.GetAsync($"/ingest/batch/{batch}")).Is(200);
        Assert.Equal(("completed_with_errors", 0, 3, 1), (status.Text("status"), status.Number("pending"), status.Number("completed"), status.Number("dlq")));
    }

    [Fact]
    public async Task A_batch_of_lines_that_are_all_stored_is_completed()
    {
        var batch = Guid.Parse((await Api.PostAsync("/ingest/batch", "1\n2\n", "application/x-ndjson")).Is(202).Text("batch_id"), CultureInfo.InvariantCulture);
        await RecordAsync(IngestMessageId.ForLine(batch, 1), "completed", Received);
        await RecordAsync(IngestMessageId.ForLine(batch, 2), "completed", Received);
        Assert.Equal("completed", (await Api.GetAsync($"/ingest/batch/{batch}")).Is(200).Text("status"));
    }

    [Fact]
    public async Task A_batch_whose_row_was_lost_is_told_by_its_lines_and_ends()
    {
        // As after a kill between the last acknowledgement and the row.
        var batch = IngestMessageId.New(TimeProvider.System.GetUtcNow());
        await RecordAsync(IngestMessageId.ForLine(batch, 1), "completed", Received);
        await RecordAsync(IngestMessageId.ForLine(batch, 30), "completed", Received);
        var (worker, stream) = await PlayWorkerAsync();
        (await Api.PostAsync("/ingest/message", "{}")).Is(202);
        var status = (await Api.GetAsync($"/ingest/batch/{batch}")).Is(200);
        Assert.Equal(("processing", 1, 30, 2, 2, false), (status.Text("status"), status.Number("pending"), status.Number("lines"), status.Number("accepted"), status.Number("completed"), status.Json["complete"]!.GetValue<bool>()));

        // The worker gets beyond what was there at the first question, and more has come since.
        await (await worker.NextAsync<byte[]>())!.AckAsync(new AckOpts { DoubleAck = true });
        (await Api.PostAsync("/ingest/message", "{}")).Is(202);
        status = (await Api.GetAsync($"/ingest/batch/{batch}")).Is(200);
        Assert.Equal(("completed", 0), (status.Text("status"), status.Number("pending")));
        Assert.NotNull(stream);
    }

    [Fact]
    public async Task Lines_that_no_worker_came_to_in_time_have_expired()
    {
        var batch = Guid.Parse((await Api.PostAsync("/ingest/batch", "1\n2\n", "application/x-ndjson")).Is(202).Text("batch_id"), CultureInfo.InvariantCulture);
        await RecordAsync(IngestMessageId.ForLine(batch, 1), "completed", Received);
        await Api.JetStream.PurgeStreamAsync(StreamNames.Messages, new StreamPurgeRequest());
        await PlayWorkerAsync();
        var status = (await Api.GetAsync($"/ingest/batch/{batch}")).Is(200);
        Assert.Equal(("completed_with_errors", 0, 1, 1), (status.Text("status"), status.Number("pending"), status.Number("completed"), status.Number("expired")));
    }

    private async Task<(INatsJSConsumer Worker, INatsJSStream Stream)> PlayWorkerAsync()
    {
        var stream = await Api.JetStream.GetStreamAsync(StreamNames.Messages);
        return (await stream.CreateOrUpdateConsumerAsync(new ConsumerConfig(ConsumerNames.IngestionWorker) { AckPolicy = ConsumerConfigAckPolicy.Explicit, MaxAckPending = 100 }), stream);
    }

    private Task RecordAsync(Guid id, string status, DateTimeOffset received, string entity = "Order", string? error = null) => Api.ExecuteAsync("""
        INSERT INTO message_status (message_id, received_at, processed_at, retry_count, status, entity_type, error_code, error_message)
        VALUES ($1, $2, CASE WHEN $3 IN ('completed', 'dlq') THEN now() END, 2, $3, $4, nullif($5, ''), nullif($5, ''))
        """, id, received.UtcDateTime, status, entity, error ?? "");
}
