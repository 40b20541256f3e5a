using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;

namespace RuleEngineNats.IngestionApi.Tests;

/// <summary>A connection on which bytes are sent as they are: what no HTTP client would send.</summary>
internal sealed class RawHttp : IDisposable
{
    private readonly TcpClient _client = new();

    private NetworkStream Stream { get; set; } = null!;

    public static async Task<RawHttp> ConnectAsync(IngestionService service)
    {
        var raw = new RawHttp();
        await raw._client.ConnectAsync(IPAddress.Loopback, service.Process.HttpPort);
        raw.Stream = raw._client.GetStream();
        return raw;
    }

    public static async Task<Answer> SendAsync(IngestionService service, string request)
    {
        using var raw = await ConnectAsync(service);
        await raw.WriteAsync(request);
        return await raw.AnswerAsync();
    }

    public Task WriteAsync(string text) => WriteAsync(Encoding.Latin1.GetBytes(text));

    public async Task WriteAsync(ReadOnlyMemory<byte> bytes) => await Stream.WriteAsync(bytes);

    /// <summary>Cuts the connection as a crash does.</summary>
    public void Cut()
    {
        _client.LingerState = new LingerOption(true, 0);
        _client.Close();
    }

    public bool HasAnswer => _client.Available > 0;

    public async Task<Answer> AnswerAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var received = new MemoryStream();
        var buffer = new byte[64 * 1024];
        while (true)
        {
            if (TryParse(received.GetBuffer().AsSpan(0, (int)received.Length)) is { } answer)
            {
                return answer;
            }

            var read = await Stream.ReadAsync(buffer, limit.Token);
            if (read == 0)
            {
                throw new IOException($"the connection ended after: {Encoding.Latin1.GetString(received.ToArray())}");
            }

            received.Write(buffer, 0, read);
        }
    }

    public void Dispose() => _client.Dispose();

    private static Answer? TryParse(ReadOnlySpan<byte> bytes)
    {
        var end = bytes.IndexOf("\r\n\r\n"u8);
        if (end < 0)
        {
            return null;
        }

        var lines = Encoding.Latin1.GetString(bytes[..end]).Split("\r\n");
        using var response = new HttpResponseMessage();
        foreach (var line in lines[1..])
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (!response.Headers.TryAddWithoutValidation(line[..colon], line[(colon + 1)..].Trim()))
            {
                response.Content.Headers.TryAddWithoutValidation(line[..colon], line[(colon + 1)..].Trim());
            }
        }

        var body = bytes[(end + 4)..];
        var status = int.Parse(lines[0].Split(' ')[1], CultureInfo.InvariantCulture);
        return response.Headers.TransferEncodingChunked == true
            ? Chunked(body) is { } text ? Of(status, text, response.Content.Headers.ContentType, response.Headers) : null
            : body.Length >= (response.Content.Headers.ContentLength ?? 0) ? Of(status, Encoding.UTF8.GetString(body), response.Content.Headers.ContentType, response.Headers) : null;
    }

    private static Answer Of(int status, string body, MediaTypeHeaderValue? type, HttpResponseHeaders headers) => new(status, type?.MediaType, body, headers);

    private static string? Chunked(ReadOnlySpan<byte> bytes)
    {
        var text = new MemoryStream();
        while (bytes.IndexOf("\r\n"u8) is var end and >= 0)
        {
            var length = int.Parse(Encoding.Latin1.GetString(bytes[..end]), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            if (length == 0)
            {
                return Encoding.UTF8.GetString(text.ToArray());
            }

            if (bytes.Length < end + 2 + length + 2)
            {
                return null;
            }

            text.Write(bytes.Slice(end + 2, length));
            bytes = bytes[(end + 2 + length + 2)..];
        }

        return null;
    }
}
