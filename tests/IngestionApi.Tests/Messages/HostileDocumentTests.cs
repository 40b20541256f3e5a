using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;

namespace RuleEngineNats.IngestionApi.Tests.Messages;

/// <summary>The JSON part of the hostile inputs, by their numbers there.</summary>
[Collection(nameof(SharedService))]
[Trait("Category", "Servers")]
public sealed class HostileDocumentTests(SharedService shared)
{
    private const int Limit = 256 * 1024;

    public static TheoryData<int, string> Refused => new()
    {
        { 46, "{} x" },
        { 46, "{}{}" },
        { 46, "{}\n{}" },
        { 48, "\uFEFF{}" },
        { 50, """{"a":"\u0000"}""" },
        { 52, """{"a":"\ud800"}""" },
        { 52, """{"\udc00":1}""" },
        { 53, Nested(65) },
        { 54, Nested(20_000) },
        { 56, "NaN" },
        { 56, """{"a":Infinity}""" },
        { 57, "1e400" },
        { 58, "[" + string.Join(',', Enumerable.Repeat("1e131071", 10_000)) + "]" },
        { 61, "01" },
        { 61, "+1" },
        { 61, ".5" },
        { 61, "1." },
        { 62, "{} // comment" },
        { 62, "/* */ {}" },
        { 62, "[1,]" },
        { 62, """{"a":1,}""" },
        { 62, "{'a':1}" },
        { 62, """{"a":1,"a":2}""" },
        { 62, "\u00a0{}" },
    };

    public static TheoryData<int, string> Taken => new()
    {
        { 53, Nested(64) },
        { 57, "1e308" },
        { 60, """{"n":9007199254740993,"m":0.1000000000000000055511151231257827021181583404541015625}""" },
        { 64, "\"" + new string('x', Limit - 2) + "\"" },
        { 68, """{"__proto__":{"polluted":true},"$type":"System.Object","constructor":null}""" },
        { 0, " \t\r\n{} \n" },
        { 0, "null" },
        { 0, "\"\U0001F600 \\ud83d\\ude00 \\\\ \\\" \\/ \u2028\"" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task What_is_no_JSON_that_all_read_alike_is_refused(int number, string document)
    {
        Assert.True(number >= 0);
        var answer = (await shared.Api.PostAsync("/ingest/message", document)).IsProblem(400, "invalid_json", "body");
        Assert.StartsWith("Validation error: Invalid JSON: ", answer.Text("error"), StringComparison.Ordinal);
        Assert.Contains(" at byte ", answer.Text("detail"), StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Taken))]
    public async Task What_is_unusual_and_fine_is_stored_byte_for_byte(int number, string document)
    {
        Assert.True(number >= 0);
        var id = (await shared.Api.PostAsync("/ingest/message", document)).Is(202).Text("message_id");
        var stored = (await shared.Api.EnvelopesAsync()).Single(envelope => envelope.MessageId.ToString() == id);
        Assert.Equal(document, Encoding.UTF8.GetString(stored.Body.Span));
    }

    [Fact]
    public async Task An_empty_body_is_refused()
        => Assert.Equal("Validation error: there is no document", (await shared.Api.PostAsync("/ingest/message", "")).IsProblem(400, "empty_body", "body").Text("error"));

    [Fact]
    public async Task Bytes_that_are_no_UTF_8_are_refused()
        => (await shared.Api.PostAsync("/ingest/message", [.. "{\"a\":\""u8, 0xFF, .. "\"}"u8])).IsProblem(400, "invalid_json", "body");

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_byte_more_than_the_limit_is_too_large(bool chunked)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/ingest/message") { Content = new ByteArrayContent(Encoding.UTF8.GetBytes("\"" + new string('x', Limit - 1) + "\"")) };
        request.Headers.TransferEncodingChunked = chunked;
        var answer = (await shared.Api.SendAsync(request)).IsProblem(413, "too_large", "body");
        Assert.Equal(Limit, answer.Json["errors"]![0]!["limit"]!.GetValue<int>());
    }

    [Fact]
    public async Task Ten_megabytes_are_too_large()
        => (await shared.Api.PostAsync("/ingest/message", new byte[10 * 1024 * 1024])).IsProblem(413, "too_large", "body");

    [Fact]
    public async Task A_hundred_thousand_keys_are_too_many()
        => (await shared.Api.PostAsync("/ingest/message", "{" + string.Join(',', Enumerable.Range(0, 100_000).Select(key => $"\"{key}\":1")) + "}")).IsProblem(413, "too_large", "body");

    [Theory]
    [InlineData("text/plain")]
    [InlineData("text/plain; charset=utf-8")]
    [InlineData("application/json; charset=utf-16")]
    [InlineData("application/json; charset=iso-8859-1")]
    [InlineData("application/xml")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("multipart/form-data; boundary=x")]
    [InlineData("nonsense")]
    public async Task Another_media_type_or_charset_is_refused(string contentType)
        => (await shared.Api.PostAsync("/ingest/message", "{}", contentType)).IsProblem(415, "unsupported_media_type", "Content-Type");

    [Theory]
    [InlineData(null)]
    [InlineData("application/json")]
    [InlineData("application/json; charset=utf-8")]
    [InlineData("Application/JSON;charset=\"UTF-8\"")]
    [InlineData("application/cloudevents+json")]
    public async Task JSON_under_any_of_its_names_is_taken(string? contentType)
        => (await shared.Api.PostAsync("/ingest/message", "{}", contentType)).Is(202);

    [Fact]
    public async Task A_compressed_document_is_taken()
    {
        var id = (await shared.Api.PostAsync("/ingest/message", Gzip("""{"a":1}"""u8.ToArray()), "application/json", ("Content-Encoding", "gzip"))).Is(202).Text("message_id");
        Assert.Equal("""{"a":1}""", Encoding.UTF8.GetString((await shared.Api.EnvelopesAsync()).Single(envelope => envelope.MessageId.ToString() == id).Body.Span));
    }

    [Fact]
    public async Task A_gzip_bomb_is_stopped_at_the_limit()
        => (await shared.Api.PostAsync("/ingest/message", Gzip(new byte[200 * 1024 * 1024]), "application/json", ("Content-Encoding", "gzip"))).IsProblem(413, "too_large", "body");

    [Fact]
    public async Task What_is_not_compressed_as_it_says_is_refused()
    {
        (await shared.Api.PostAsync("/ingest/message", "{\"a\":1}", "application/json", ("Content-Encoding", "gzip"))).IsProblem(400, "invalid_gzip", "body");
        (await shared.Api.PostAsync("/ingest/message", Gzip("""{"a":1}"""u8.ToArray())[..^9], "application/json", ("Content-Encoding", "gzip"))).IsProblem(400, "invalid_gzip", "body");
    }

    [Theory]
    [InlineData("br")]
    [InlineData("deflate")]
    [InlineData("gzip, gzip")]
    [InlineData("zstd")]
    public async Task Another_compression_is_refused(string encoding)
        => (await shared.Api.PostAsync("/ingest/message", "{}", "application/json", ("Content-Encoding", encoding))).IsProblem(415, "unsupported_media_type", "Content-Encoding");

    [Fact]
    public async Task A_document_that_is_too_large_as_a_string_is_told_so()
    {
        // Every backslash and quote takes two bytes in the envelope.
        var document = "\"" + new string('\\', Limit - 2) + "\"";
        var answer = (await shared.Api.PostAsync("/ingest/message", document)).IsProblem(413, "too_large", "body");
        Assert.Contains("envelope", answer.Text("detail"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Errors_never_quote_the_document()
    {
        var answer = (await shared.Api.PostAsync("/ingest/message", """{"password":"hunter2" oops}""")).IsProblem(400, "invalid_json", "body");
        Assert.DoesNotContain("hunter2", answer.Body, StringComparison.Ordinal);
        Assert.NotNull(JsonNode.Parse(answer.Body));
    }

    internal static byte[] Gzip(byte[] bytes)
    {
        var output = new MemoryStream();
        using (var gzip = new GZipStream(output, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(bytes);
        }

        return output.ToArray();
    }

    private static string Nested(int depth) => new string('[', depth) + new string(']', depth);
}
