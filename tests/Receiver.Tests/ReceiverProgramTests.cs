using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace RuleEngineNats.Receiver.Tests;

public sealed class ReceiverProgramTests
{
    private const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    private const string Body = """{"order":17}""";

    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(30) };

    [Fact]
    public async Task A_request_is_answered_judged_printed_and_kept_without_its_secrets()
    {
        await using var receiver = await ReceiverProcess.StartAsync("--script", "/orders=500,200", "--secret", Secret);

        Assert.Equal(HttpStatusCode.InternalServerError, (await SendAsync(receiver, "/orders?token=hidden", "msg_1", Secret)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(receiver, "/orders?token=hidden", "msg_1", Secret)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(receiver, "/other", "msg_2", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")).StatusCode);

        await receiver.SaysAsync("POST /orders id=msg_1 attempt=2 signature=verified 12 B -> 200");
        await receiver.SaysAsync("POST /other id=msg_2 attempt=1 signature=mismatch 12 B -> 200");
        var text = await Http.GetStringAsync(new Uri(receiver.Url, "/_log?last=3"));
        var log = JsonSerializer.Deserialize<JsonElement>(text);
        Assert.Equal(["500", "200", "200"], log.EnumerateArray().Select(request => request.GetProperty("answer").GetString()));
        Assert.Equal([1, 2, 1], log.EnumerateArray().Select(request => request.GetProperty("attempt").GetInt32()));
        Assert.Equal("msg_1", log[0].GetProperty("headers").GetProperty("webhook-id").GetString());
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Body))), log[0].GetProperty("bodySha256").GetString());
        Assert.DoesNotContain("hidden", text + receiver.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("v1,", text + receiver.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("MfKQ9r8G", text + receiver.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Strict_answers_401_to_what_does_not_verify()
    {
        await using var receiver = await ReceiverProcess.StartAsync("--strict", "--secret", $"/signed={Secret}");

        Assert.Equal(HttpStatusCode.Unauthorized, (await SendAsync(receiver, "/signed", "msg_1", null)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(receiver, "/signed", "msg_1", Secret)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(receiver, "/free", "msg_1", null)).StatusCode);
        await receiver.SaysAsync("signature=headers-missing 12 B -> 401");
    }

    [Fact]
    public async Task Scripts_change_while_it_runs_all_or_none()
    {
        await using var receiver = await ReceiverProcess.StartAsync("--script", "/a=500");
        var address = new Uri(receiver.Url, "/_script");

        using var bad = await Http.PostAsJsonAsync(address, new Dictionary<string, string> { ["/a"] = "204", ["/b"] = "99", ["c"] = "200" });
        Assert.Equal(HttpStatusCode.BadRequest, bad.StatusCode);
        Assert.Equal(2, (await bad.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("problems").GetArrayLength());
        Assert.Equal(HttpStatusCode.InternalServerError, (await SendAsync(receiver, "/a", "msg_1", null)).StatusCode);

        using var good = await Http.PostAsJsonAsync(address, new Dictionary<string, string> { ["/a"] = "204", ["*"] = "410" });
        Assert.Equal("""{"*":"410","/a":"204"}""", await good.Content.ReadAsStringAsync());
        Assert.Equal(HttpStatusCode.NoContent, (await SendAsync(receiver, "/a", "msg_1", null)).StatusCode);
        Assert.Equal(HttpStatusCode.Gone, (await SendAsync(receiver, "/else", "msg_1", null)).StatusCode);
    }

    [Theory]
    [InlineData("text/plain", """{"/a":"204"}""", HttpStatusCode.UnsupportedMediaType, "send it as Content-Type: application/json")]
    [InlineData("application/json", "[]", HttpStatusCode.BadRequest, "the body is no JSON object of paths and scripts")]
    [InlineData("application/json", "{", HttpStatusCode.BadRequest, "the body is no JSON object of paths and scripts")]
    [InlineData("application/json", """{"/a":null}""", HttpStatusCode.BadRequest, "/a: an answer is empty")]
    public async Task A_change_that_is_none_is_refused(string type, string body, HttpStatusCode status, string problem)
    {
        await using var receiver = await ReceiverProcess.StartAsync();

        using var response = await Http.PostAsync(new Uri(receiver.Url, "/_script"), new StringContent(body, Encoding.UTF8, type));

        Assert.Equal(status, response.StatusCode);
        Assert.Contains(problem, await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0")]
    [InlineData("6")]
    [InlineData("all")]
    public async Task A_log_longer_than_what_is_kept_is_refused(string last)
    {
        await using var receiver = await ReceiverProcess.StartAsync("--keep", "5");

        using var response = await Http.GetAsync(new Uri(receiver.Url, $"/_log?last={last}"));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("is not 1 to 5; --keep raises the limit", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_log_keeps_the_last_ones_and_no_line_end_of_a_path_gets_into_a_line()
    {
        await using var receiver = await ReceiverProcess.StartAsync("--keep", "2");

        foreach (var path in (string[])["/first", "/second%0Aforged", "/third"])
        {
            await SendAsync(receiver, path, "msg_1", null);
        }

        var log = await Http.GetFromJsonAsync<JsonElement>(new Uri(receiver.Url, "/_log"));
        Assert.Equal(["/second\nforged", "/third"], log.EnumerateArray().Select(request => request.GetProperty("path").GetString()));
        await receiver.SaysAsync("/second?forged");
    }

    [Fact]
    public async Task A_body_over_the_limit_is_answered_413()
    {
        await using var receiver = await ReceiverProcess.StartAsync();

        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(receiver.Url, "/big")) { Content = new ByteArrayContent(new byte[(8 * 1024 * 1024) + 1]) };
        // Otherwise the answer may come while the body is on its way, and the sender sees only that nobody reads on.
        request.Headers.ExpectContinue = true;

        using var response = await Http.SendAsync(request);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        await receiver.SaysAsync("-> 413");
    }

    [Fact]
    public async Task A_stop_signal_ends_it_though_a_request_hangs_and_a_silent_port_is_open()
    {
        await using var receiver = await ReceiverProcess.StartAsync("--silent-port", "0", "--script", "/hang=hang");
        await receiver.SaysAsync("silent on port ");
        var port = int.Parse(receiver.Output[(receiver.Output.IndexOf("silent on port ", StringComparison.Ordinal) + 15)..].Split('\n')[0], CultureInfo.InvariantCulture);
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port);
        var hanging = SendAsync(receiver, "/hang", "msg_1", null);
        await receiver.SaysAsync("-> hang");

        Assert.Equal(0, await receiver.TerminateAsync());
        await Assert.ThrowsAsync<HttpRequestException>(() => hanging);
    }

    [Fact]
    public async Task Help_explains_each_option_and_the_scripts()
    {
        var (exitCode, output) = await ReceiverProcess.RunAsync("--help");

        Assert.Equal(0, exitCode);
        Assert.All(
            (string[])["--port", "--address", "--script", "--secret", "--strict", "--silent-port", "--keep", "GET /_log", "POST /_script", "bomb:1GiB", "retry-after=date:60s"],
            text => Assert.Contains(text, output, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Bad_options_end_it_with_2_and_a_port_in_use_with_1()
    {
        await using var receiver = await ReceiverProcess.StartAsync("--silent-port", "0");
        var port = receiver.Url.Port.ToString(CultureInfo.InvariantCulture);

        var (badOption, what) = await ReceiverProcess.RunAsync("--script", "/a=99", "--colour");
        var (inUse, why) = await ReceiverProcess.RunAsync("--port", port);
        var (silentInUse, whySilent) = await ReceiverProcess.RunAsync("--port", "0", "--silent-port", port);

        Assert.Equal((2, 1, 1), (badOption, inUse, silentInUse));
        Assert.Contains("--script /a: \"99\" is no answer", what, StringComparison.Ordinal);
        Assert.Contains("--colour: no such option", what, StringComparison.Ordinal);
        Assert.StartsWith("--port: ", why, StringComparison.Ordinal);
        Assert.StartsWith("--silent-port: ", whySilent, StringComparison.Ordinal);
    }

    private static async Task<HttpResponseMessage> SendAsync(ReceiverProcess receiver, string path, string id, string? secret)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(receiver.Url, path)) { Content = new StringContent(Body, Encoding.UTF8, "application/json") };
        request.Headers.Add("webhook-id", id);
        request.Headers.Add("authorization", "Bearer hidden");
        if (secret is not null)
        {
            var timestamp = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
            var mac = HMACSHA256.HashData(Convert.FromBase64String(secret["whsec_".Length..]), Encoding.UTF8.GetBytes($"{id}.{timestamp}.{Body}"));
            request.Headers.Add("webhook-timestamp", timestamp);
            request.Headers.TryAddWithoutValidation("webhook-signature", $"v1,{Convert.ToBase64String(mac)}");
        }

        return await Http.SendAsync(request);
    }
}
