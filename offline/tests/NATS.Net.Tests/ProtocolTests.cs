using System.Text;
using System.Text.RegularExpressions;
using NATS.Client.Core;

namespace NATS.Net.Tests;

/// <summary>What is received must not depend on how the bytes were cut into reads.</summary>
public sealed partial class ProtocolTests
{
    private const string Headers = "NATS/1.0\r\nA: 1\r\nB: x\r\nB: y\r\n\r\n";
    private const string Status = "NATS/1.0 100 Idle Heartbeat\r\n\r\n";

    [Fact]
    public async Task Every_cut_in_two_reads_the_same()
    {
        var input = Recorded(1);
        var whole = await ReceiveAsync([input]);
        Assert.Equal(9, whole.Count);

        for (var i = 1; i < input.Length; i++)
        {
            Assert.Equal(whole, await ReceiveAsync([input.AsMemory(0, i), input.AsMemory(i)]));
        }
    }

    [Fact]
    public async Task One_byte_at_a_time_reads_the_same()
    {
        var input = Recorded(1);

        Assert.Equal(await ReceiveAsync([input]), await ReceiveAsync([.. Enumerable.Range(0, input.Length).Select(i => (ReadOnlyMemory<byte>)input.AsMemory(i, 1))]));
    }

    [Fact]
    public async Task Cuts_at_random_read_the_same_with_small_buffers()
    {
        var input = Recorded(1);
        var whole = await ReceiveAsync([input]);
        var random = new Random(4711);
        for (var round = 0; round < 200; round++)
        {
            var parts = new List<ReadOnlyMemory<byte>>();
            for (var at = 0; at < input.Length;)
            {
                var length = Math.Min(random.Next(1, 40), input.Length - at);
                parts.Add(input.AsMemory(at, length));
                at += length;
            }

            Assert.Equal(whole, await ReceiveAsync([.. parts], readerBufferSize: 64));
        }
    }

    [Theory]
    [InlineData("MSG s.empty {0} 0\r\n\r\n")]
    [InlineData("MSG s.empty {0} reply 0\r\n\r\n")]
    [InlineData("HMSG s.empty {0} 12 12\r\nNATS/1.0\r\n\r\n\r\n")]
    [InlineData("MSG s.three {0} 3\r\nabc\r\n")]
    public async Task A_last_message_arrives_without_anything_behind_it(string text)
    {
        for (var i = 1; i < string.Format(text, 1).Length; i++)
        {
            var socket = new ScriptedSocket();
            await using var nats = new NatsConnection(socket.Opts);
            await using var sub = await nats.SubscribeCoreAsync<byte[]>("s.>").InTime();
            var input = Encoding.ASCII.GetBytes(string.Format(text, await SidAsync(socket)));

            socket.Say(input.AsMemory(0, i));
            socket.Say(input.AsMemory(i));

            Assert.StartsWith("s.", (await sub.Msgs.ReadAsync(Poll.Token()).InTime()).Subject);
        }
    }

    [Fact]
    public async Task A_payload_larger_than_every_buffer_is_read_whole()
    {
        var payload = new byte[1_500_000];
        new Random(1).NextBytes(payload);
        var socket = new ScriptedSocket();
        await using var nats = new NatsConnection(socket.Opts);
        await using var sub = await nats.SubscribeCoreAsync<byte[]>("s.>").InTime();
        var sid = await SidAsync(socket);

        socket.Say($"MSG s.big {sid} {payload.Length}\r\n");
        for (var at = 0; at < payload.Length; at += 70_001)
        {
            socket.Say(payload.AsMemory(at, Math.Min(70_001, payload.Length - at)));
        }

        socket.Say("\r\nMSG s.after " + sid + " 1\r\nz\r\n");

        Assert.Equal(payload, (await sub.Msgs.ReadAsync(Poll.Token()).InTime()).Data!);
        Assert.Equal("s.after", (await sub.Msgs.ReadAsync(Poll.Token()).InTime()).Subject);
    }

    [Fact]
    public async Task A_ping_is_answered()
    {
        var socket = new ScriptedSocket();
        await using var nats = new NatsConnection(socket.Opts);
        await nats.ConnectAsync().InTime();

        socket.Say("PI");
        socket.Say("NG\r\n");

        await Poll.UntilAsync(() => socket.Heard.Contains("PONG\r\n", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("MSG s {0} -1\r\n")]
    [InlineData("MSG s {0} abc\r\n")]
    [InlineData("HMSG s {0} 20 10\r\n")]
    [InlineData("MSG s {0} 999999999\r\n")]
    public async Task What_breaks_the_protocol_ends_the_connection(string text)
    {
        var socket = new ScriptedSocket();
        var lost = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var nats = new NatsConnection(socket.Opts with { ReconnectWaitMin = TimeSpan.FromMinutes(1), ReconnectWaitMax = TimeSpan.FromMinutes(1) });
        nats.ConnectionDisconnected += (_, _) =>
        {
            lost.TrySetResult();
            return default;
        };
        await using var sub = await nats.SubscribeCoreAsync<byte[]>("s").InTime();

        socket.Say(string.Format(text, await SidAsync(socket)));

        await lost.Task.InTime();
    }

    private static byte[] Recorded(int sid) => Encoding.UTF8.GetBytes(
        $"MSG s.plain {sid} 5\r\nhello\r\n"
        + "PING\r\n"
        + $"MSG s.reply {sid} _R.1 12\r\n\r\nMSG x 1 0\r\r\n"
        + $"MSG s.empty {sid} 0\r\n\r\n"
        + "+OK\r\n"
        + $"HMSG s.headers {sid} {Headers.Length} {Headers.Length + 4}\r\n{Headers}data\r\n"
        + "-ERR 'Permissions Violation for Publish to \"x\"'\r\n"
        + $"HMSG s.headers.reply {sid} _R.2 {Headers.Length} {Headers.Length}\r\n{Headers}\r\n"
        + "INFO {\"server_id\":\"X\",\"version\":\"2.10.1\",\"max_payload\":8388608,\"connect_urls\":[\"a:1\"]}\r\n"
        + $"HMSG s.status {sid} {Status.Length} {Status.Length}\r\n{Status}\r\n"
        + "PONG\r\n"
        + $"MSG s.ümlaut {sid} 2\r\n\r\n\r\n"
        + $"MSG  s.spaces \t {sid}   1\r\nx\r\n"
        + $"MSG s.end {sid} 3\r\nend\r\n");

    private static async Task<List<string>> ReceiveAsync(ReadOnlyMemory<byte>[] parts, int readerBufferSize = 65536)
    {
        var socket = new ScriptedSocket();
        await using var nats = new NatsConnection(socket.Opts with { ReaderBufferSize = readerBufferSize });
        await using var sub = await nats.SubscribeCoreAsync<byte[]>("s.>").InTime();
        await nats.PingAsync().InTime();
        Assert.Equal(1, await SidAsync(socket));
        foreach (var part in parts)
        {
            socket.Say(part);
        }

        var received = new List<string>();
        do
        {
            var msg = await sub.Msgs.ReadAsync(Poll.Token()).InTime();
            var headers = msg.Headers is null ? "none" : $"{msg.Headers.Code} {msg.Headers.MessageText} {string.Join(",", msg.Headers.Select(h => $"{h.Key}={string.Join("+", h.Value.ToArray())}"))}";
            received.Add($"{msg.Subject}|{msg.ReplyTo}|{headers}|{msg.Size}|{Convert.ToHexString(msg.Data ?? [])}|{msg.Error?.Message}");
        }
        while (!received[^1].StartsWith("s.end", StringComparison.Ordinal));

        return received;
    }

    private static async Task<int> SidAsync(ScriptedSocket socket)
    {
        Match match = Match.Empty;
        await Poll.UntilAsync(() => (match = Sub().Match(socket.Heard)).Success);
        return int.Parse(match.Groups[1].Value);
    }

    [GeneratedRegex(@"SUB s\S* (\d+)\r\n")]
    private static partial Regex Sub();
}
