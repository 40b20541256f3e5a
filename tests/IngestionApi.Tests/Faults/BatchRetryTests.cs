using System.Globalization;
using System.Text;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.IngestionApi.Tests.Faults;

/// <summary>I32: 10,000 lines of which 1 % are bad, the connection cut at a random byte, and the whole body sent again with the same key.</summary>
[Trait("Category", "Servers")]
public sealed class BatchRetryTests
{
    private const string Ndjson = "application/x-ndjson";
    private const int Lines = 10_000;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task After_a_cut_at_any_byte_a_retry_has_one_verdict_a_line_and_each_good_line_is_stored_once(int seed)
    {
        await using var api = await IngestionService.StartAsync();
        var random = new Random(seed);
        string[] lines = [.. Enumerable.Range(1, Lines).Select(line => random.Next(100) == 0 ? $$"""{"line":{{line}}""" : $$"""{"line":{{line}},"text":"{{new string('x', random.Next(100))}}"}""")];
        var body = Encoding.UTF8.GetBytes(string.Join('\n', lines) + '\n');
        var key = Guid.NewGuid().ToString();
        var cut = random.Next(1, body.Length);
        using (var raw = await RawHttp.ConnectAsync(api))
        {
            await raw.WriteAsync($"POST /ingest/batch HTTP/1.1\r\nHost: x\r\nContent-Type: {Ndjson}\r\nIdempotency-Key: {key}\r\nContent-Length: {body.Length}\r\n\r\n");
            await raw.WriteAsync(body.AsMemory(0, cut));
            raw.Cut();
        }

        var first = await SendAsync(api, body, key);
        Check(lines, first);
        var second = await SendAsync(api, body, key);
        Check(lines, second);
        Assert.Equal(first.Lines.SkipLast(1).Select(Verdict), second.Lines.SkipLast(1).Select(Verdict));
        Assert.All(second.Lines.SkipLast(1), line => Assert.Equal(line["status"]!.GetValue<string>() == "accepted", line["replayed"] is not null));

        var batch = Guid.Parse(first.Lines[^1]["batch_id"]!.GetValue<string>(), CultureInfo.InvariantCulture);
        var stored = (await api.EnvelopesAsync()).ToDictionary(envelope => envelope.MessageId, envelope => Encoding.UTF8.GetString(envelope.Body.Span));
        var good = lines.Select((line, index) => (Id: IngestMessageId.ForLine(batch, index + 1), Line: line)).Where(line => line.Line[^1] == '}').ToDictionary(line => line.Id, line => line.Line);
        Assert.Equal(good.Count, stored.Count);
        Assert.All(good, line => Assert.Equal(line.Value, stored[line.Key]));
    }

    private static async Task<Answer> SendAsync(IngestionService api, byte[] body, string key)
        => (await api.PostAsync("/ingest/batch", body, Ndjson, ("Idempotency-Key", key), ("Accept", Ndjson))).Is(202);

    private static void Check(string[] lines, Answer answer)
    {
        Assert.Equal(Lines + 1, answer.Lines.Length);
        for (var index = 0; index < Lines; index++)
        {
            Assert.Equal(index + 1, answer.Lines[index]["line"]!.GetValue<int>());
            Assert.Equal(lines[index][^1] == '}' ? "accepted" : "rejected", answer.Lines[index]["status"]!.GetValue<string>());
        }
    }

    private static string Verdict(System.Text.Json.Nodes.JsonNode line) => $"{line["line"]} {line["status"]} {line["message_id"]} {line["code"]}";
}
