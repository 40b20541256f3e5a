using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Text;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Receiver.Tests;

/// <summary>What a sender sees of each answer, on a receiver as tests use it.</summary>
public sealed class ScriptAnswerTests : IAsyncLifetime
{
    private static readonly SocketsHttpHandler Handler = new() { AllowAutoRedirect = false, AutomaticDecompression = DecompressionMethods.None, MaxResponseHeadersLength = 128 };

    private static readonly HttpClient Http = new(Handler) { Timeout = TimeSpan.FromSeconds(30) };

    private WebhookReceiver _receiver = null!;

    public async Task InitializeAsync() => _receiver = await WebhookReceiver.StartAsync();

    public async Task DisposeAsync() => await _receiver.DisposeAsync();

    [Fact]
    public async Task Statuses_come_in_turn_with_their_headers_and_body()
    {
        _receiver.Script("/a", "429;retry-after=7, 503;retry-after=date:60s, 302:/elsewhere, 200;body=\"{}\";set-cookie=a=b;set-cookie=c=d");

        using var limited = await GetAsync();
        using var later = await GetAsync();
        using var moved = await GetAsync();
        using var done = await GetAsync();

        Assert.Equal([429, 503, 302, 200], ((HttpResponseMessage[])[limited, later, moved, done]).Select(response => (int)response.StatusCode));
        Assert.Equal(TimeSpan.FromSeconds(7), limited.Headers.RetryAfter!.Delta);
        Assert.InRange((later.Headers.RetryAfter!.Date!.Value - TimeProvider.System.GetUtcNow()).TotalSeconds, 20, 61);
        Assert.Equal("/elsewhere", moved.Headers.Location!.OriginalString);
        Assert.Equal("{}", await done.Content.ReadAsStringAsync());
        Assert.Equal(["a=b", "c=d"], done.Headers.GetValues("Set-Cookie"));
    }

    [Fact]
    public async Task A_delay_comes_before_its_answer()
    {
        _receiver.Script("/a", "delay:300ms,204");
        var clock = Stopwatch.StartNew();

        using var response = await GetAsync();

        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        Assert.True(clock.ElapsedMilliseconds >= 290, $"{clock.ElapsedMilliseconds} ms");
    }

    [Fact]
    public async Task Drop_and_cut_reset_the_connection()
    {
        _receiver.Script("/a", "drop,cut;status=500");

        await Assert.ThrowsAsync<HttpRequestException>(() => GetAsync());
        using var cut = await GetAsync();

        Assert.Equal(HttpStatusCode.InternalServerError, cut.StatusCode);
        var broken = await Assert.ThrowsAsync<HttpRequestException>(() => cut.Content.ReadAsStringAsync());
        // A reset and no orderly end.
        Assert.Contains("reset", broken.ToString(), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Hang_and_drip_give_no_answer()
    {
        _receiver.Script("/a", "hang,drip:1000B/s");

        for (var request = 0; request < 2; request++)
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(500));
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Http.GetAsync(_receiver.Url("/a"), HttpCompletionOption.ResponseHeadersRead, limit.Token));
        }
    }

    [Fact]
    public async Task Drip_sends_headers_a_byte_at_a_time()
    {
        _receiver.Script("/a", "drip:5B/s");
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, _receiver.Port);
        var stream = client.GetStream();
        await stream.WriteAsync("GET /a HTTP/1.1\r\nHost: a\r\n\r\n"u8.ToArray());

        var received = new StringBuilder();
        var buffer = new byte[100];
        while (received.Length < 3)
        {
            var read = await stream.ReadAsync(buffer);
            Assert.InRange(read, 1, 2);
            received.Append(Encoding.ASCII.GetString(buffer, 0, read));
        }

        Assert.StartsWith("HTT", received.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Slow_takes_its_time_and_ends()
    {
        _receiver.Script("/a", "slow:20B/s;body=0123456789");
        var clock = Stopwatch.StartNew();

        using var response = await GetAsync();

        Assert.Equal("0123456789", await response.Content.ReadAsStringAsync());
        Assert.True(clock.ElapsedMilliseconds >= 400, $"{clock.ElapsedMilliseconds} ms");
    }

    [Fact]
    public async Task Endless_goes_on()
    {
        _receiver.Script("/a", "endless");

        using var response = await GetAsync();
        await using var stream = await response.Content.ReadAsStreamAsync();
        await stream.ReadExactlyAsync(new byte[10_000_000]);
    }

    [Fact]
    public async Task A_bomb_is_a_thousandth_of_what_it_expands_to()
    {
        _receiver.Script("/a", "bomb:10MiB,bomb:1000B");

        foreach (var size in (long[])[10 << 20, 1000])
        {
            using var response = await GetAsync();
            var bytes = await response.Content.ReadAsByteArrayAsync();
            await using var expanded = new GZipStream(new MemoryStream(bytes), CompressionMode.Decompress);
            using var plain = new MemoryStream();
            await expanded.CopyToAsync(plain);

            Assert.Equal(["gzip"], response.Content.Headers.ContentEncoding);
            Assert.Equal(size, plain.Length);
            Assert.InRange(bytes.Length, 1, 20_000);
        }
    }

    [Fact]
    public async Task Headers_are_as_long_as_was_asked_for()
    {
        _receiver.Script("/a", "headers:100KiB");

        using var response = await GetAsync();

        var filler = response.Headers.Where(header => header.Key.StartsWith("X-Filler", StringComparison.Ordinal)).Sum(header => header.Key.Length + 4 + header.Value.Sum(value => value.Length));
        Assert.Equal((100 * 1024).ToString(CultureInfo.InvariantCulture), filler.ToString(CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task A_new_script_begins_with_its_first_answer()
    {
        _receiver.Script("/a", "500,200");
        using var first = await GetAsync();
        _receiver.Script("/a", "503,204");
        using var second = await GetAsync();

        Assert.Equal((500, 503), ((int)first.StatusCode, (int)second.StatusCode));
    }

    [Fact]
    public void A_bad_script_of_a_test_throws_at_once()
        => Assert.StartsWith("\"99\": \"99\" is no answer", Assert.Throws<FormatException>(() => _receiver.Script("/a", "99")).Message, StringComparison.Ordinal);

    private Task<HttpResponseMessage> GetAsync() => Http.GetAsync(_receiver.Url("/a"), HttpCompletionOption.ResponseHeadersRead);
}
