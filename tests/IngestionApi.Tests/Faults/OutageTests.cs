using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using NATS.Client.JetStream.Models;
using RuleEngineNats.Contracts;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.IngestionApi.Tests.Faults;

/// <summary>What becomes of documents while PostgreSQL or NATS is away, or the stream full.</summary>
[Trait("Category", "Servers")]
public sealed class OutageTests
{
    private const string Ndjson = "application/x-ndjson";

    private static readonly Dictionary<string, string?> Impatient = new()
    {
        ["Messaging__PublishBudget"] = "00:00:01.5",
        ["Messaging__AckTimeout"] = "00:00:00.5",
    };

    /// <summary>I31: 202 only when the stream has it, whenever the connection to nats-server is cut; else 503 with Retry-After.</summary>
    [Fact]
    public async Task While_the_connection_to_NATS_is_cut_again_and_again_202_means_stored_and_all_else_is_503()
    {
        await using var nats = await NatsServer.StartAsync();
        await using var proxy = TcpProxy.Before(nats);
        await using var api = await IngestionService.StartAsync(Impatient, nats, proxy.Url);
        var answers = new ConcurrentBag<(string Marker, Answer Answer)>();
        using var stop = new CancellationTokenSource();
        var sending = Enumerable.Range(0, 8).Select(sender => Task.Run(async () =>
        {
            for (var number = 0; !stop.IsCancellationRequested; number++)
            {
                var marker = $"{sender}-{number}";
                answers.Add((marker, await api.PostAsync("/ingest/message", $$"""{"marker":"{{marker}}"}""")));
            }
        })).ToArray();

        // Before and after the server has stored what is on its way: a cut either side of the acknowledgement.
        var random = new Random(31);
        for (var cut = 0; cut < 12; cut++)
        {
            var (at, seen, ofAnswers) = (random.Next(1, 20), 0, cut % 2 == 0);
            var done = new TaskCompletionSource();
            byte[]? Cut(byte[] bytes)
            {
                if (Interlocked.Increment(ref seen) < at)
                {
                    return bytes;
                }

                done.TrySetResult();
                return null;
            }

            (ofAnswers ? (Action<Func<byte[], byte[]?>>)proxy.Answer : proxy.Ask)(Cut);
            await done.Task.WaitAsync(TimeSpan.FromSeconds(30));
            proxy.AnswerUnchanged();
            proxy.Ask(static bytes => bytes);
            var before = answers.Count(answer => answer.Answer.Status == 202);
            await Wait.UntilAsync(() => answers.Count(answer => answer.Answer.Status == 202) > before + 20, "documents are accepted again");
        }

        // Longer than the patience of a request.
        proxy.Answer(static _ => null);
        await Wait.UntilAsync(() => answers.Any(answer => answer.Answer.Status == 503), "a document is not accepted");
        proxy.AnswerUnchanged();
        await stop.CancelAsync();
        await Task.WhenAll(sending);

        var stored = (await api.EnvelopesAsync()).ToLookup(envelope => envelope.MessageId.ToString());
        foreach (var (marker, answer) in answers)
        {
            if (answer.Status == 202)
            {
                Assert.Equal($$"""{"marker":"{{marker}}"}""", Encoding.UTF8.GetString(Assert.Single(stored[answer.Text("message_id")]).Body.Span));
            }
            else
            {
                Assert.Contains(answer.Text("code"), (string[])["nats_unavailable", "outcome_unknown", "stream_missing"]);
                answer.IsProblem(503, answer.Text("code"));
            }
        }

        Assert.Contains(answers, answer => answer.Answer.Status == 202);
    }

    [Fact]
    public async Task Without_NATS_a_document_and_a_batch_are_503_soon_and_accepted_soon_after_it_is_back()
    {
        await using var api = await IngestionService.StartAsync(Impatient);
        await api.Nats.KillAsync();
        var answer = await api.PostAsync("/ingest/message", "{}");
        answer.IsProblem(503, answer.Text("code"));
        Assert.StartsWith("Internal error: NATS publish failed: ", answer.Text("error"), StringComparison.Ordinal);
        foreach (var accept in (string[])["application/json", Ndjson])
        {
            var clock = System.Diagnostics.Stopwatch.StartNew();
            var batch = (await api.PostAsync("/ingest/batch", string.Concat(Enumerable.Repeat("1\n", 2000)) + "x\n", Ndjson, ("Accept", accept))).Is(503);
            Assert.InRange(batch.RetryAfter ?? 0, 1, 60);
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(20), "each line waits for itself");
            var summary = accept == Ndjson ? batch.Lines[^1] : batch.Json;
            Assert.Equal(("failed", 2000, 1, 0), (summary["status"]!.GetValue<string>(), summary["unavailable"]!.GetValue<int>(), summary["rejected"]!.GetValue<int>(), summary["inserted"]!.GetValue<int>()));
        }

        (await api.GetAsync("/health")).Is(200);
        (await api.GetAsync("/ready")).IsProblem(503, "not_ready");
        await api.Nats.RestartAsync();
        await Wait.UntilAsync(async () => (await api.PostAsync("/ingest/message", "{}")).Status == 202, "documents are accepted again", TimeSpan.FromSeconds(15));
        await Wait.UntilAsync(async () => (await api.GetAsync("/ready")).Status == 200, "it is ready again", TimeSpan.FromSeconds(15));
    }

    [Fact]
    public async Task Without_PostgreSQL_documents_are_accepted_and_questions_are_503()
    {
        await using var postgres = await PostgresServer.StartPrivateAsync();
        await using var api = await IngestionService.StartAsync(database: await postgres.CreateDatabaseAsync());
        var key = ("Idempotency-Key", "k");
        var id = (await api.PostAsync("/ingest/message", "{}", headers: key)).Is(202).Text("message_id");
        await postgres.KillAsync();

        (await api.PostAsync("/ingest/message", "{}")).Is(202);
        Assert.Equal(id, (await api.PostAsync("/ingest/message", "{}", headers: key)).Is(202).Text("message_id"));
        (await api.PostAsync("/ingest/message", "1", headers: key)).IsProblem(409, "idempotency_key_reused", "Idempotency-Key");
        var batch = (await api.PostAsync("/ingest/batch", "1\n2\n", Ndjson, ("Idempotency-Key", "b"))).Is(202).Text("batch_id");
        foreach (var path in (string[])[$"/ingest/status/{id}", "/ingest/status", "/ingest/dead-letters", $"/ingest/dead-letters/{id}", "/stats"])
        {
            (await api.GetAsync(path)).IsProblem(503, "database_unavailable");
        }

        (await api.PostAsync($"/ingest/dead-letters/{id}/resubmit", "{}")).IsProblem(503, "database_unavailable");
        Assert.Equal("unreachable", (await api.GetAsync("/health")).Is(200).Text("database"));
        (await api.GetAsync("/ready")).Is(200);
        Assert.Equal(200, (await api.Process.HealthAsync()).Status);

        await postgres.RestartAsync();
        await Wait.UntilAsync(
            async () => await api.ScalarAsync<long>("SELECT count(*) FROM ingest_batches WHERE batch_id = $1", Guid.Parse(batch, CultureInfo.InvariantCulture)) == 1, "the batch's row is written");
        await Wait.UntilAsync(async () => (await api.GetAsync($"/ingest/status/{id}")).Status == 200, "questions are answered again");
    }

    [Fact]
    public async Task A_stream_that_is_nearly_full_sheds_and_says_when_to_come_again_and_takes_documents_when_there_is_room()
    {
        await using var api = await IngestionService.StartAsync(new() { ["Ingestion__Streams__MaxBytes"] = $"{4 * 1024 * 1024}" });
        var line = "\"" + new string('x', 50_000) + "\"\n";
        Answer answer;
        do
        {
            answer = await api.PostAsync("/ingest/batch", string.Concat(Enumerable.Repeat(line, 10)), Ndjson);
        }
        while (answer.Status == 202);
        Assert.Equal(503, answer.Status);

        await Wait.UntilAsync(async () => (await api.PostAsync("/ingest/batch", "1\n", Ndjson)) is { Status: 503, MediaType: "application/problem+json" }, "the stream is seen to be full");
        var refused = (await api.PostAsync("/ingest/message", "{}")).IsProblem(503, "stream_full");
        Assert.InRange(refused.RetryAfter ?? 0, 1, 60);
        (await api.PostAsync("/ingest/batch", "1\n", Ndjson)).IsProblem(503, "stream_full");
        await api.JetStream.PurgeStreamAsync(StreamNames.Messages, new StreamPurgeRequest());
        await Wait.UntilAsync(async () => (await api.PostAsync("/ingest/message", "{}")).Status == 202, "documents are taken again", TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task A_key_is_known_by_PostgreSQL_when_the_stream_has_forgotten_it()
    {
        await using var api = await IngestionService.StartAsync(new() { ["Ingestion__Streams__DuplicateWindow"] = "00:00:01" });
        var key = ("Idempotency-Key", "late");
        var id = Guid.Parse((await api.PostAsync("/ingest/message", """{"n":1}""", headers: key)).Is(202).Text("message_id"), CultureInfo.InvariantCulture);
        var batch = Guid.Parse((await api.PostAsync("/ingest/batch", "1\n2\n3\n", Ndjson, key)).Is(202).Text("batch_id"), CultureInfo.InvariantCulture);
        await RecordAsync(api, id, """{"n":1}""");
        await RecordAsync(api, IngestMessageId.ForLine(batch, 1), "1");
        await RecordAsync(api, IngestMessageId.ForLine(batch, 2), "2");
        var before = (await api.StoredAsync()).Count;
        await ForgottenAsync(api);

        var again = (await api.PostAsync("/ingest/message", """{"n":1}""", headers: key)).Is(202);
        Assert.Equal((id.ToString(), "true"), (again.Text("message_id"), again.Header("Idempotency-Replayed")));
        (await api.PostAsync("/ingest/message", """{"n":2}""", headers: key)).IsProblem(409, "idempotency_key_reused", "Idempotency-Key");
        var lines = (await api.PostAsync("/ingest/batch", "1\n7\n3\n4\n", Ndjson, key)).Is(202).Results;
        Assert.Equal(["accepted", "idempotency_key_reused", "accepted", "accepted"], lines.Select(line => line["code"]?.GetValue<string>() ?? line["status"]!.GetValue<string>()));
        Assert.Equal([true, false, false, false], lines.Select(line => line["replayed"] is not null));

        // Stored anew: the line that nobody has recorded and the one that is new, besides what ForgottenAsync sent.
        Assert.Equal(2, (await api.StoredAsync()).Skip(before).Count(message => message.MessageId == IngestMessageId.ForLine(batch, 3).ToString() || message.MessageId == IngestMessageId.ForLine(batch, 4).ToString()));
    }

    // The window is over when an id of it is stored a second time.
    private static async Task ForgottenAsync(IngestionService api)
    {
        var key = ("Idempotency-Key", "window");
        var first = (await api.PostAsync("/ingest/message", "0", headers: key)).Is(202).Text("message_id");
        await Wait.UntilAsync(
            async () =>
            {
                (await api.PostAsync("/ingest/message", "0", headers: key)).Is(202);
                return (await api.EnvelopesAsync()).Count(envelope => envelope.MessageId.ToString() == first) > 1;
            },
            "the stream forgets its ids");
    }

    private static Task RecordAsync(IngestionService api, Guid id, string body) => api.ExecuteAsync(
        "INSERT INTO message_status (message_id, received_at, processed_at, status, body_sha256) VALUES ($1, now(), now(), 'completed', sha256($2))", id, Encoding.UTF8.GetBytes(body));
}
