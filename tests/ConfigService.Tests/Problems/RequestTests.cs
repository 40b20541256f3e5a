using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;

namespace RuleEngineNats.ConfigService.Tests.Problems;

[Collection(nameof(RunningService))]
[Trait("Category", "Servers")]
public sealed class RequestTests(RunningService service)
{
    private const string Path = "/api/v1/webhooks";

    [Theory]
    [InlineData("", "empty")]
    [InlineData("{} x", "single JSON value")]
    [InlineData("{", "single JSON value")]
    [InlineData("nonsense", "single JSON value")]
    [InlineData("""{"name":NaN}""", "single JSON value")]
    [InlineData("""{"name":"a",}""", "single JSON value")]
    [InlineData("""{/* c */"name":"a"}""", "single JSON value")]
    [InlineData("""{"timeoutMs":01}""", "single JSON value")]
    [InlineData("""{"name":"a","name":"b"}""", "name given twice")]
    [InlineData("""{"name":"\ud800"}""", "lone surrogate")]
    [InlineData("""{"name":"\u0000"}""", "NUL")]
    [InlineData("""{"retryBackoffMultiplier":1e400}""", "out of range")]
    [InlineData("[]", "JSON object")]
    [InlineData("\"text\"", "JSON object")]
    [InlineData("null", "JSON object")]
    public async Task A_body_that_is_no_proper_JSON_object_is_refused(string body, string reason)
        => Assert.Contains(reason, (await service.PostAsync(Path, body)).IsProblem(400, "invalid_json").Text("detail"), StringComparison.Ordinal);

    [Fact]
    public async Task A_byte_order_mark_invalid_UTF8_and_deep_nesting_are_refused()
    {
        var start = """{"name":"""u8.ToArray();
        (await SendAsync([0xEF, 0xBB, 0xBF, .. "{}"u8])).IsProblem(400, "invalid_json");
        (await SendAsync([.. start, (byte)'"', 0xFF, (byte)'"', (byte)'}'])).IsProblem(400, "invalid_json");
        (await SendAsync([.. start, .. Encoding.ASCII.GetBytes(new string('[', 65) + new string(']', 65)), (byte)'}'])).IsProblem(400, "invalid_json");
        (await SendAsync([.. start, .. Encoding.ASCII.GetBytes(new string('[', 20_000))])).IsProblem(400, "invalid_json");
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/xml")]
    [InlineData("application/json; charset=utf-16")]
    public async Task Another_content_type_is_refused(string contentType)
        => (await service.SendAsync(HttpMethod.Post, Path, "{}"u8.ToArray(), contentType)).IsProblem(415, "unsupported_media_type");

    [Fact]
    public async Task A_compressed_body_is_refused()
    {
        using var buffer = new MemoryStream();
        await using (var gzip = new GZipStream(buffer, CompressionLevel.Fastest, leaveOpen: true))
        {
            await gzip.WriteAsync(new byte[10_000_000]);
        }

        var content = new ByteArrayContent(buffer.ToArray());
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        content.Headers.ContentEncoding.Add("gzip");
        (await service.SendContentAsync(HttpMethod.Post, Path, content)).IsProblem(415, "unsupported_media_type");
    }

    [Fact]
    public async Task A_body_beyond_the_limit_is_refused_with_and_without_a_length()
    {
        var body = Encoding.ASCII.GetBytes($$"""{"description":"{{new string('d', 70_000)}}"}""");
        (await SendAsync(body)).IsProblem(413, "too_large");
        (await service.SendContentAsync(HttpMethod.Post, Path, new Unsized(body))).IsProblem(413, "too_large");
    }

    [Fact]
    public async Task A_body_at_the_limit_is_read()
    {
        var body = $$"""{"name":"a","url":"https://example.com","description":"{{new string('d', 60_000)}}"}""".PadRight(65_536);
        (await service.PostAsync(Path, body)).IsProblem(400, "too_long");
    }

    [Theory]
    [InlineData("GET", "/api/v1/nothing", 404, "no_such_route")]
    [InlineData("GET", "/api/v2/webhooks", 404, "no_such_route")]
    [InlineData("GET", "/", 404, "no_such_route")]
    [InlineData("PUT", "/api/v1/webhooks", 405, "method_not_allowed")]
    [InlineData("POST", "/api/v1/pool", 405, "method_not_allowed")]
    public async Task An_address_or_method_that_is_not_served_is_a_problem_too(string method, string path, int status, string code)
        => (await service.SendAsync(HttpMethod.Parse(method), path, method == "GET" ? null : "{}")).IsProblem(status, code);

    [Fact]
    public async Task An_address_of_nine_kilobytes_is_refused()
    {
        var answer = await service.GetAsync($"{Path}/{new string('n', 9000)}");
        Assert.Contains((int)answer.Status, (int[])[404, 414]);
    }

    [Fact]
    public async Task Transfer_encoding_beside_content_length_is_refused()
    {
        using var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", service.Service.HttpPort);
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
            $"POST {Path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"));
        using var reader = new StreamReader(client.GetStream());
        Assert.Contains(" 400 ", await reader.ReadLineAsync(), StringComparison.Ordinal);
    }

    private Task<Answer> SendAsync(byte[] body) => service.SendAsync(HttpMethod.Post, Path, body, "application/json");

    private sealed class Unsized : HttpContent
    {
        private readonly byte[] _body;

        public Unsized(byte[] body)
        {
            _body = body;
            Headers.ContentType = new MediaTypeHeaderValue("application/json");
        }

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => stream.WriteAsync(_body).AsTask();

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
