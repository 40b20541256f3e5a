using System.Buffers;
using System.Text;
using System.Threading.Channels;
using Microsoft.Extensions.Primitives;
using NATS.Client.Core;

namespace NATS.Net.Tests;

public sealed class PublishTests(JetStreamServer server) : IClassFixture<JetStreamServer>, IAsyncLifetime
{
    private readonly NatsConnection _nats = new(new NatsOpts { Url = server.Url });

    public async Task InitializeAsync() => await _nats.ConnectAsync().InTime();

    public async Task DisposeAsync() => await _nats.DisposeAsync();

    [Fact]
    public async Task Payload_headers_and_reply_arrive_as_sent()
    {
        await using var sub = await _nats.SubscribeCoreAsync<byte[]>("pub.all").InTime();
        var headers = new NatsHeaders { ["a"] = "1", ["B"] = new StringValues(["x", "y"]), ["Nats-Msg-Id"] = "id 1" };

        await _nats.PublishAsync("pub.all", new byte[] { 0, 13, 10, 255 }, headers, "reply.here");

        var msg = await sub.Msgs.ReadAsync(Poll.Token()).InTime();
        Assert.Equal("pub.all", msg.Subject);
        Assert.Equal("reply.here", msg.ReplyTo);
        Assert.Equal([0, 13, 10, 255], msg.Data!);
        Assert.Equal("1", msg.Headers!["A"].ToString());
        Assert.Equal("x,y", msg.Headers["b"].ToString());
        Assert.Equal("id 1", msg.Headers["Nats-Msg-Id"].ToString());
        Assert.True(headers.IsReadOnly);
        Assert.Throws<InvalidOperationException>(() => headers["a"] = "2");
    }

    [Fact]
    public async Task Empty_payload_and_empty_headers_arrive()
    {
        await using var sub = await _nats.SubscribeCoreAsync<byte[]>("pub.empty").InTime();

        await _nats.PublishAsync("pub.empty");
        await _nats.PublishAsync("pub.empty", headers: new NatsHeaders(), replyTo: null, opts: null);
        await _nats.PublishAsync("pub.empty", Array.Empty<byte>(), new NatsHeaders { ["k"] = "v" });

        var first = await sub.Msgs.ReadAsync(Poll.Token()).InTime();
        Assert.True(first.IsEmpty);
        Assert.Null(first.Data);
        Assert.Null(first.Headers);
        var second = await sub.Msgs.ReadAsync(Poll.Token()).InTime();
        Assert.NotNull(second.Headers);
        Assert.Empty(second.Headers);
        var third = await sub.Msgs.ReadAsync(Poll.Token()).InTime();
        Assert.Equal("v", third.Headers!["k"].ToString());
        Assert.False(third.HasNoResponders);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("a\r\nPUB x 0")]
    [InlineData("a\tb")]
    [InlineData("a.long.subject.with.white space")]
    public async Task A_subject_with_white_space_is_refused(string subject)
    {
        await Assert.ThrowsAsync<NatsException>(async () => await _nats.PublishAsync(subject, "x"));
        Assert.Throws<NatsException>(() => { _ = _nats.SubscribeAsync<string>(subject); });
        await Assert.ThrowsAsync<NatsException>(async () => await _nats.RequestAsync<string, string>(subject, "x"));
    }

    [Theory]
    [InlineData("a b", "v")]
    [InlineData("a:b", "v")]
    [InlineData("ü", "v")]
    [InlineData("", "v")]
    [InlineData("k", "v\r\nInjected: yes")]
    public async Task A_header_that_would_break_the_block_is_refused(string key, string value)
    {
        var encoded = new NatsConnection(new NatsOpts { Url = server.Url, HeaderEncoding = Encoding.UTF8 });
        await using (encoded)
        {
            await encoded.ConnectAsync().InTime();
            if (key.Length == 0)
            {
                // An empty key passes the writer's rule; the receiver refuses the line.
                await using var sub = await encoded.SubscribeCoreAsync<string>("pub.emptykey").InTime();
                await encoded.PublishAsync("pub.emptykey", "x", new NatsHeaders { [key] = value });
                Assert.IsType<NatsHeaderParseException>((await sub.Msgs.ReadAsync(Poll.Token()).InTime()).Error);
                return;
            }

            await Assert.ThrowsAsync<NatsException>(async () => await encoded.PublishAsync("pub.bad", "x", new NatsHeaders { [key] = value }));
        }
    }

    [Fact]
    public async Task Header_values_use_the_chosen_encoding()
    {
        await using var utf8 = new NatsConnection(new NatsOpts { Url = server.Url, HeaderEncoding = Encoding.UTF8 });
        await using var sub = await utf8.SubscribeCoreAsync<string>("pub.utf8").InTime();

        await utf8.PublishAsync("pub.utf8", "x", new NatsHeaders { ["k"] = "grüße 👋" });

        Assert.Equal("grüße 👋", (await sub.Msgs.ReadAsync(Poll.Token()).InTime()).Headers!["k"].ToString());
    }

    [Fact]
    public async Task More_than_max_payload_is_refused_before_it_is_sent()
    {
        var max = _nats.ServerInfo!.MaxPayload;
        await using var sub = await _nats.SubscribeCoreAsync<byte[]>("pub.max").InTime();

        await Assert.ThrowsAsync<NatsPayloadTooLargeException>(async () => await _nats.PublishAsync("pub.max", new byte[max + 1]));
        await Assert.ThrowsAsync<NatsPayloadTooLargeException>(async () => await _nats.PublishAsync("pub.max", new byte[max], new NatsHeaders { ["k"] = "v" }));
        await _nats.PublishAsync("pub.max", new byte[max]);

        Assert.Equal(max, (await sub.Msgs.ReadAsync(Poll.Token()).InTime()).Data!.Length);
        Assert.Equal(NatsConnectionState.Open, _nats.ConnectionState);
    }

    [Fact]
    public async Task Many_sizes_from_many_callers_arrive_whole_and_in_order_per_caller()
    {
        const int callers = 8;
        const int each = 400;
        await using var sub = await _nats.SubscribeCoreAsync<byte[]>(
            "pub.mix.*",
            opts: new NatsSubOpts { ChannelOpts = new NatsSubChannelOpts { Capacity = callers * each } }).InTime();
        await _nats.PingAsync().InTime();
        var sending = Enumerable.Range(0, callers).Select(caller => Task.Run(async () =>
        {
            for (var i = 0; i < each; i++)
            {
                var payload = new byte[4 + (i * 37 % 9000)];
                BitConverter.TryWriteBytes(payload, i);
                payload.AsSpan(4).Fill((byte)caller);
                await _nats.PublishAsync($"pub.mix.{caller}", payload);
            }
        })).ToArray();

        var next = new int[callers];
        for (var n = 0; n < callers * each; n++)
        {
            var msg = await sub.Msgs.ReadAsync(Poll.Token()).InTime();
            var caller = int.Parse(msg.Subject.Split('.')[2]);
            var i = BitConverter.ToInt32(msg.Data!);
            Assert.Equal(next[caller]++, i);
            Assert.Equal(4 + (i * 37 % 9000), msg.Data!.Length);
            Assert.True(msg.Data.AsSpan(4).IndexOfAnyExcept((byte)caller) < 0);
        }

        await Task.WhenAll(sending).InTime();
    }

    [Fact]
    public async Task Each_way_to_give_bytes_sends_the_same()
    {
        byte[] bytes = [1, 2, 3];
        await using var sub = await _nats.SubscribeCoreAsync<byte[]>("pub.shapes").InTime();
        var owner = NatsMemoryOwner<byte>.Allocate(3);
        bytes.CopyTo(owner.Span);

        await _nats.PublishAsync("pub.shapes", bytes);
        await _nats.PublishAsync("pub.shapes", new Memory<byte>(bytes));
        await _nats.PublishAsync("pub.shapes", new ReadOnlyMemory<byte>(bytes));
        await _nats.PublishAsync("pub.shapes", new ReadOnlySequence<byte>(bytes));
        await _nats.PublishAsync<IMemoryOwner<byte>>("pub.shapes", owner);

        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(bytes, (await sub.Msgs.ReadAsync(Poll.Token()).InTime()).Data!);
        }
    }

    [Fact]
    public async Task A_slow_reader_loses_the_newest_and_is_told()
    {
        var dropped = Channel.CreateUnbounded<NatsMessageDroppedEventArgs>();
        var slow = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _nats.MessageDropped += (_, args) =>
        {
            dropped.Writer.TryWrite(args);
            return default;
        };
        _nats.SlowConsumerDetected += (_, _) =>
        {
            slow.TrySetResult();
            return default;
        };
        await using var sub = await _nats.SubscribeCoreAsync<int>("pub.slow", opts: new NatsSubOpts { ChannelOpts = new NatsSubChannelOpts { Capacity = 3 } }).InTime();

        for (var i = 0; i < 5; i++)
        {
            await _nats.PublishAsync("pub.slow", i);
        }

        Assert.Equal("pub.slow", (await dropped.Reader.ReadAsync(Poll.Token()).InTime()).Subject);
        await dropped.Reader.ReadAsync(Poll.Token()).InTime();
        await slow.Task.InTime();
        Assert.Equal(0, (await sub.Msgs.ReadAsync(Poll.Token()).InTime()).Data);
    }

    [Fact]
    public async Task A_full_channel_that_waits_loses_nothing()
    {
        await using var waiting = new NatsConnection(new NatsOpts { Url = server.Url, SubPendingChannelFullMode = BoundedChannelFullMode.Wait, SubPendingChannelCapacity = 2 });
        await using var sub = await waiting.SubscribeCoreAsync<int>("pub.wait").InTime();
        await waiting.PingAsync().InTime();

        for (var i = 0; i < 200; i++)
        {
            await _nats.PublishAsync("pub.wait", i);
        }

        for (var i = 0; i < 200; i++)
        {
            Assert.Equal(i, (await sub.Msgs.ReadAsync(Poll.Token()).InTime()).Data);
        }
    }

    [Fact]
    public async Task A_payload_that_does_not_parse_is_an_error_of_its_message_only()
    {
        await using var sub = await _nats.SubscribeCoreAsync<int>("pub.parse").InTime();

        await _nats.PublishAsync("pub.parse", "not a number");
        await _nats.PublishAsync("pub.parse", 7);

        var bad = await sub.Msgs.ReadAsync(Poll.Token()).InTime();
        Assert.Equal("not a number", Encoding.ASCII.GetString(Assert.IsType<NatsDeserializeException>(bad.Error).RawData));
        Assert.Throws<NatsDeserializeException>(bad.EnsureSuccess);
        Assert.Equal(7, (await sub.Msgs.ReadAsync(Poll.Token()).InTime()).Data);
    }
}
