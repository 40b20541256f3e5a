using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using RuleEngineNats.Contracts;
using RuleEngineNats.IngestionApi.Tests.Messages;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.IngestionApi.Tests.Batches;

[Collection(nameof(SharedService))]
[Trait("Category", "Servers")]
public sealed class BatchTests(SharedService shared)
{
    private const string Ndjson = "application/x-ndjson";

    private IngestionService Api => shared.Api;

    [Fact]
    public async Task Each_line_has_a_verdict_in_order_and_a_bad_one_is_alone()
    {
        var answer = (await Api.PostAsync("/ingest/batch", "{\"n\":1}\n{\"n\":2\n\n{\"n\":4}\r\n   \n{\"n\":6}", Ndjson)).Is(202);
        Assert.Equal("partial", answer.Text("status"));
        Assert.Equal((4, 3, 1, 1, 0, 2), (answer.Number("processed"), answer.Number("inserted"), answer.Number("failed"), answer.Number("rejected"), answer.Number("unavailable"), answer.Number("blank")));
        Assert.True(answer.Json["complete"]!.GetValue<bool>());
        Assert.True(answer.Number("duration_ms") >= 0);
        Assert.Equal(["Line 2: Invalid JSON: not a single JSON value at byte 6"], answer.Json["errors"]!.AsArray().Select(error => error!.GetValue<string>()));
        Assert.Equal([1, 2, 4, 6], answer.Results.Select(result => result["line"]!.GetValue<int>()));
        Assert.Equal(["accepted", "rejected", "accepted", "accepted"], answer.Results.Select(result => result["status"]!.GetValue<string>()));
        var bad = answer.Results[1];
        Assert.Equal(("invalid_json", "body"), (bad["code"]!.GetValue<string>(), bad["field"]!.GetValue<string>()));
        Assert.Null(bad["message_id"]);
        Assert.Equal($"/ingest/batch/{answer.Text("batch_id")}", answer.Header("Location"));

        var batch = Guid.Parse(answer.Text("batch_id"), CultureInfo.InvariantCulture);
        foreach (var line in (int[])[1, 4, 6])
        {
            var id = IngestMessageId.ForLine(batch, line);
            Assert.Contains(answer.Results, result => result["message_id"]?.GetValue<string>() == id.ToString());
            var stored = (await Api.EnvelopesAsync()).Single(envelope => envelope.MessageId == id);
            Assert.Equal($$"""{"n":{{line}}}""", Encoding.UTF8.GetString(stored.Body.Span));
        }
    }

    [Fact]
    public async Task An_array_is_a_batch_of_its_elements()
    {
        var answer = (await Api.PostAsync("/ingest/batch", """[{"n":1}, {bad}, {"n":3}]""")).Is(202);
        Assert.Equal(["accepted", "rejected", "accepted"], answer.Results.Select(result => result["status"]!.GetValue<string>()));
        answer = (await Api.PostAsync("/ingest/batch", "[]")).Is(202);
        Assert.Equal(("success", 0), (answer.Text("status"), answer.Number("processed")));
    }

    [Theory]
    [InlineData("""{"n":1}""")]
    [InlineData("")]
    [InlineData("x[1]")]
    public async Task What_is_no_array_is_refused_where_one_is_said_to_be(string body)
        => (await Api.PostAsync("/ingest/batch", body)).IsProblem(400, "invalid_batch", "body");

    [Fact]
    public async Task An_array_that_does_not_end_or_is_not_the_end_says_so_in_a_verdict_of_its_own()
    {
        var open = (await Api.PostAsync("/ingest/batch", """[{"n":1},{"n":2}""")).Is(202);
        Assert.Equal([null, "truncated"], open.Results.Select(result => result["code"]?.GetValue<string>()));
        var trailing = (await Api.PostAsync("/ingest/batch", """[{"n":1}] {"n":2}""")).Is(202);
        Assert.Equal([null, "trailing_data"], trailing.Results.Select(result => result["code"]?.GetValue<string>()));
    }

    [Theory]
    [InlineData("application/x-ndjson")]
    [InlineData("application/ndjson")]
    [InlineData("application/jsonl")]
    [InlineData("text/plain")]
    [InlineData("text/plain; charset=utf-8")]
    [InlineData(null)]
    public async Task Lines_are_taken_under_any_of_their_names(string? contentType)
        => Assert.Equal(2, (await Api.PostAsync("/ingest/batch", "1\n2\n", contentType)).Is(202).Number("inserted"));

    [Theory]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("text/plain; charset=utf-16")]
    [InlineData("application/x-ndjson; charset=latin1")]
    [InlineData("text/csv")]
    public async Task Another_media_type_is_refused(string contentType)
        => (await Api.PostAsync("/ingest/batch", "1\n", contentType)).IsProblem(415, "unsupported_media_type", "Content-Type");

    [Fact]
    public async Task An_empty_batch_is_refused_and_one_of_blank_lines_is_counted()
    {
        (await Api.PostAsync("/ingest/batch", "", Ndjson)).IsProblem(400, "empty_body", "body");
        var blank = (await Api.PostAsync("/ingest/batch", "\n\n  \n", Ndjson)).Is(202);
        Assert.Equal((0, 3, "success"), (blank.Number("processed"), blank.Number("blank"), blank.Text("status")));
    }

    [Fact]
    public async Task Number_86_a_line_that_is_too_long_is_refused_alone()
    {
        var exact = "\"" + new string('x', (256 * 1024) - 2) + "\"";
        var answer = (await Api.PostAsync("/ingest/batch", $"1\n{exact}\n\"{exact}\"\n2\n", Ndjson)).Is(202);
        Assert.Equal([null, null, "too_large", null], answer.Results.Select(result => result["code"]?.GetValue<string>()));
        Assert.StartsWith("Line 3: larger than 262144 bytes", answer.Json["errors"]![0]!.GetValue<string>(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Number_89_a_last_line_that_is_cut_off_says_so()
    {
        Assert.Equal("truncated", (await Api.PostAsync("/ingest/batch", "1\n{\"a\":", Ndjson)).Is(202).Results[1]["code"]!.GetValue<string>());
        Assert.Equal(2, (await Api.PostAsync("/ingest/batch", "1\n{\"a\":1}", Ndjson)).Is(202).Number("inserted"));
    }

    [Theory]
    [InlineData(0)]
    [InlineData((byte)'\n')]
    [InlineData((byte)'[')]
    public async Task Number_70_a_gzip_bomb_is_stopped_at_the_decompressed_limit(byte filler)
    {
        var bytes = new byte[300 * 1024 * 1024];
        Array.Fill(bytes, filler);
        (await Api.PostAsync("/ingest/batch", HostileDocumentTests.Gzip(bytes), Ndjson, ("Content-Encoding", "gzip"))).IsProblem(413, "too_large", "body");
    }

    [Fact]
    public async Task A_compressed_batch_is_taken()
        => Assert.Equal(3, (await Api.PostAsync("/ingest/batch", HostileDocumentTests.Gzip("1\n2\n3\n"u8.ToArray()), Ndjson, ("Content-Encoding", "gzip"))).Is(202).Number("inserted"));

    [Fact]
    public async Task Verdicts_come_while_the_batch_is_still_being_sent_for_who_asks_for_lines()
    {
        using var raw = await RawHttp.ConnectAsync(Api);
        await raw.WriteAsync($"POST /ingest/batch HTTP/1.1\r\nHost: x\r\nContent-Type: {Ndjson}\r\nAccept: {Ndjson}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n1\n\r\n");
        await Wait.UntilAsync(() => raw.HasAnswer, "the first verdict");
        await raw.WriteAsync("4\r\n2\nx\n\r\n0\r\n\r\n");
        var answer = (await raw.AnswerAsync()).Is(202);
        Assert.Equal(Ndjson, answer.MediaType);
        Assert.Equal(["accepted", "accepted", "rejected", "partial"], answer.Lines.Select(line => line["status"]!.GetValue<string>()));
        Assert.Equal((3, 2), (answer.Lines[^1]["processed"]!.GetValue<int>(), answer.Lines[^1]["inserted"]!.GetValue<int>()));
        Assert.NotNull(answer.Lines[^1]["batch_id"]);
    }

    [Fact]
    public async Task A_batch_of_refused_lines_alone_was_judged_for_what_it_is()
    {
        foreach (var accept in (string[])["application/json", Ndjson])
        {
            var answer = (await Api.PostAsync("/ingest/batch", "x\ny\n", Ndjson, ("Accept", accept))).Is(202);
            Assert.Equal("failed", (accept == Ndjson ? answer.Lines[^1] : answer.Json)["status"]!.GetValue<string>());
        }
    }

    [Fact]
    public async Task The_first_hundred_errors_are_told_in_the_older_form_and_all_in_the_newer()
    {
        var answer = (await Api.PostAsync("/ingest/batch", string.Concat(Enumerable.Repeat("x\n", 150)), Ndjson)).Is(202);
        Assert.Equal((100, 150), (answer.Json["errors"]!.AsArray().Count, answer.Results.Length));
    }

    [Fact]
    public async Task A_repeat_of_a_batch_with_its_key_has_the_same_verdicts_and_stores_nothing_again()
    {
        const string Body = "{\"k\":1}\nx\n{\"k\":3}\n";
        var key = ("Idempotency-Key", Guid.NewGuid().ToString());
        var first = (await Api.PostAsync("/ingest/batch", Body, Ndjson, key)).Is(202);
        var second = (await Api.PostAsync("/ingest/batch", Body, Ndjson, key)).Is(202);
        Assert.Equal(first.Text("batch_id"), second.Text("batch_id"));
        Assert.Equal(first.Results.Select(Plain), second.Results.Select(Plain));
        Assert.Equal([false, true, false], second.Results.Select(result => result["replayed"] is null));
        Assert.Equal([null, null, null], first.Results.Select(result => result["replayed"]));
        Assert.Equal(2, (await Api.EnvelopesAsync()).Count(envelope => first.Results.Any(result => result["message_id"]?.GetValue<string>() == envelope.MessageId.ToString())));

        var changed = (await Api.PostAsync("/ingest/batch", "{\"k\":1}\n{\"k\":2}\n{\"k\":33}\n", Ndjson, key)).Is(202);
        Assert.Equal([null, null, "idempotency_key_reused"], changed.Results.Select(result => result["code"]?.GetValue<string>()));

        static string Plain(JsonNode result) => string.Join(' ', result.AsObject().Where(member => member.Key != "replayed").Select(member => $"{member.Key}={member.Value}"));
    }

    [Fact]
    public async Task Path_header_and_field_name_the_entity_of_lines()
    {
        var answer = (await Api.PostAsync("/ingest/batch/Order", "{\"n\":1}\n{\"entity_type\":\"Product\"}\n{\"entity_type\":\"Order\"}\n", Ndjson, ("X-Source", "file"))).Is(202);
        Assert.Equal([null, "entity_contradicts", null], answer.Results.Select(result => result["code"]?.GetValue<string>()));
        var id = answer.Results[0]["message_id"]!.GetValue<string>();
        Assert.Single(await Api.EnvelopesAsync(), envelope => envelope.MessageId.ToString() == id && envelope is { EntityType: "Order", Source: "file" });
    }

    [Fact]
    public async Task A_batch_has_a_row_a_moment_after_its_answer()
    {
        var answer = (await Api.PostAsync("/ingest/batch", "1\nx\n\n2\n", Ndjson)).Is(202);
        var batch = Guid.Parse(answer.Text("batch_id"), CultureInfo.InvariantCulture);
        await Wait.UntilAsync(
            async () => await Api.ScalarAsync<string>("SELECT format('%s %s %s %s %s', lines, accepted, rejected, unavailable, complete) FROM ingest_batches WHERE batch_id = $1", batch) == "4 2 1 0 t",
            "the row is written");
    }

    [Fact]
    public async Task A_connection_that_ends_in_the_middle_leaves_what_was_read_accepted()
    {
        var key = Guid.NewGuid().ToString();
        var batch = IngestMessageId.ForKey("", key);
        using (var raw = await RawHttp.ConnectAsync(Api))
        {
            await raw.WriteAsync($"POST /ingest/batch HTTP/1.1\r\nHost: x\r\nContent-Type: {Ndjson}\r\nIdempotency-Key: {key}\r\nContent-Length: 1000\r\n\r\n1\n2\n{{\"half\":");
            await Wait.UntilAsync(async () => (await Api.EnvelopesAsync()).Any(envelope => envelope.MessageId == IngestMessageId.ForLine(batch, 2)), "the second line is stored");
            raw.Cut();
        }

        await Wait.UntilAsync(
            async () => await Api.ScalarAsync<string>("SELECT format('%s %s %s', lines, accepted, complete) FROM ingest_batches WHERE batch_id = $1", batch) == "3 2 f", "the row says that it is not complete");
        var whole = (await Api.PostAsync("/ingest/batch", "1\n2\n3\n", Ndjson, ("Idempotency-Key", key))).Is(202);
        Assert.Equal(3, whole.Number("inserted"));
        await Wait.UntilAsync(
            async () => await Api.ScalarAsync<string>("SELECT format('%s %s %s', lines, accepted, complete) FROM ingest_batches WHERE batch_id = $1", batch) == "3 3 t", "the row says that it is complete");
    }
}
