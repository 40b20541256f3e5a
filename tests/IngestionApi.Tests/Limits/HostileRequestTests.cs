using System.Text;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.IngestionApi.Tests.Limits;

/// <summary>The HTTP part of the hostile inputs, by their numbers there: what is wrong with a request and not with a document.</summary>
[Collection(nameof(SharedService))]
[Trait("Category", "Servers")]
public sealed class HostileRequestTests(SharedService shared)
{
    private const string Post = "POST /ingest/message HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";

    private IngestionService Api => shared.Api;

    [Theory]
    [InlineData("/ingest/message")]
    [InlineData("/ingest/batch")]
    public async Task Number_92_a_body_that_is_shorter_than_its_length_is_timed_out(string path)
    {
        await using var api = await IngestionService.StartAsync(new() { ["Ingestion__BodyGrace"] = "00:00:02" });
        (await RawHttp.SendAsync(api, $"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{\"a\":1}}")).IsProblem(408, "too_slow", "body");
    }

    [Fact]
    public async Task Number_97_two_lengths_are_refused_and_the_connection_ends()
    {
        var answer = await RawHttp.SendAsync(Api, Post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n");
        answer.IsProblem(400, "ambiguous_length", "Content-Length");
        Assert.Equal("close", answer.Header("Connection"));
    }

    [Theory]
    [InlineData("Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ")]
    [InlineData("Content-Length: -1\r\n\r\n")]
    [InlineData("Content-Length: 2x\r\n\r\n{}")]
    [InlineData("Transfer-Encoding: chunked, gzip\r\n\r\n")]
    public async Task Lengths_that_are_none_are_refused(string rest) => (await RawHttp.SendAsync(Api, Post + rest)).Is(400);

    [Theory]
    [InlineData("/%2e%2e%2fetc%2fpasswd")]
    [InlineData("/ingest/%2e%2e%2f%2e%2e%2fetc")]
    [InlineData("//ingest/message")]
    [InlineData("/ingest//message")]
    [InlineData("/ingest/message/a/b")]
    [InlineData("/ingest/message/..%2f..%2fx/y")]
    [InlineData("/")]
    public async Task Number_96_an_address_that_is_none_is_not_found(string path)
        => (await RawHttp.SendAsync(Api, $"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}")).IsProblem(404, "no_such_route");

    [Theory]
    [InlineData("/ingest/message/")]
    [InlineData("/ingest/status?entity=")]
    public async Task Number_96_an_address_of_9_KiB_is_too_long(string path)
        => (await RawHttp.SendAsync(Api, $"POST {path}{new string('a', 9 * 1024)} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}")).IsProblem(414, "uri_too_long", "path");

    [Fact]
    public async Task Number_96_an_address_that_is_longer_still_ends_the_connection_with_414()
        => (await RawHttp.SendAsync(Api, $"POST /{new string('a', 20 * 1024)} HTTP/1.1\r\nHost: x\r\n\r\n")).Is(414);

    [Fact]
    public async Task Headers_of_40_KiB_are_too_large()
        => (await RawHttp.SendAsync(Api, Post + $"X-Filler: {new string('a', 40 * 1024)}\r\n\r\n")).Is(431);

    [Theory]
    [InlineData("DELETE", "/ingest/message")]
    [InlineData("GET", "/ingest/message")]
    [InlineData("PUT", "/ingest/batch")]
    [InlineData("POST", "/ingest/status/550e8400-e29b-41d4-a716-446655440000")]
    public async Task Another_method_is_not_allowed(string method, string path)
        => (await Api.SendAsync(new(new HttpMethod(method), path))).IsProblem(405, "method_not_allowed");

    [Theory]
    [InlineData("/ingest/message", "{\"a\"")]
    [InlineData("/ingest/batch", "{\"a\"")]
    public async Task Number_93_a_body_that_comes_too_slowly_is_timed_out(string path, string beginning)
    {
        await using var api = await IngestionService.StartAsync(new() { ["Ingestion__BodyGrace"] = "00:00:02" });
        using var raw = await RawHttp.ConnectAsync(api);
        await raw.WriteAsync($"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{beginning}");
        await Wait.UntilAsync(
            async () =>
            {
                if (!raw.HasAnswer)
                {
                    await raw.WriteAsync(" ");
                }

                return raw.HasAnswer;
            },
            "the upload is timed out", TimeSpan.FromSeconds(20));
        (await raw.AnswerAsync()).IsProblem(408, "too_slow", "body");
        Assert.Equal(0, await api.ScalarAsync<long>("SELECT count(*) FROM ingest_batches"));
    }

    [Fact]
    public async Task A_chunked_document_is_taken()
        => (await RawHttp.SendAsync(Api, Post + "Transfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n")).Is(202);

    [Fact]
    public async Task A_connection_that_is_cut_in_the_middle_stores_nothing()
    {
        var marker = Guid.NewGuid().ToString();
        using (var raw = await RawHttp.ConnectAsync(Api))
        {
            await raw.WriteAsync(Post + $"Content-Length: 100\r\n\r\n{{\"marker\":\"{marker}\"}}");
            raw.Cut();
        }

        // One that came later is there: had the first been stored, it would be, too.
        var later = (await Api.PostAsync("/ingest/message", "{}")).Is(202).Text("message_id");
        var stored = await Api.EnvelopesAsync();
        Assert.Contains(stored, envelope => envelope.MessageId.ToString() == later);
        Assert.DoesNotContain(stored, envelope => Encoding.UTF8.GetString(envelope.Body.Span).Contains(marker, StringComparison.Ordinal));
    }
}
