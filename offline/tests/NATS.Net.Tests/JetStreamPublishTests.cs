using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace NATS.Net.Tests;

public sealed class JetStreamPublishTests(JetStreamServer server) : IClassFixture<JetStreamServer>, IAsyncLifetime
{
    private readonly NatsConnection _nats = new(new NatsOpts { Url = server.Url });
    private readonly string _name = "P" + Nuid.NewNuid();
    private INatsJSContext _js = null!;
    private INatsJSStream _stream = null!;

    public async Task InitializeAsync()
    {
        await _nats.ConnectAsync().InTime();
        _js = _nats.CreateJetStreamContext();
        _stream = await _js.CreateStreamAsync(new StreamConfig(_name, [_name])).InTime();
    }

    public async Task DisposeAsync() => await _nats.DisposeAsync();

    [Fact]
    public async Task Stream_and_sequence_are_acknowledged()
    {
        var first = await _js.PublishAsync(_name, "a").InTime();
        var second = await _js.PublishAsync(_name, "b").InTime();

        first.EnsureSuccess();
        Assert.True(second.IsSuccess());
        Assert.Equal(_name, second.Stream);
        Assert.Equal((1ul, 2ul), (first.Seq, second.Seq));
        Assert.False(second.Duplicate);
    }

    [Fact]
    public async Task The_same_message_id_twice_is_stored_once()
    {
        var opts = new NatsJSPubOpts { MsgId = "once" };
        var first = await _js.PublishAsync(_name, "a", opts: opts).InTime();
        var second = await _js.PublishAsync(_name, "a", opts: opts).InTime();

        Assert.False(first.Duplicate);
        Assert.True(second.Duplicate);
        Assert.Equal(first.Seq, second.Seq);
        Assert.Equal(first.Seq, Assert.Throws<NatsJSDuplicateMessageException>(second.EnsureSuccess).Sequence);
        await _stream.RefreshAsync().InTime();
        Assert.Equal(1, _stream.Info.State.Messages);
    }

    [Fact]
    public async Task An_expectation_that_does_not_hold_is_an_error_in_the_answer()
    {
        await _js.PublishAsync(_name, "a", opts: new NatsJSPubOpts { ExpectedStream = _name, ExpectedLastSequence = 0, MsgId = "first" }).InTime();

        var stream = await _js.PublishAsync(_name, "b", opts: new NatsJSPubOpts { ExpectedStream = "Other" }).InTime();
        var sequence = await _js.PublishAsync(_name, "b", opts: new NatsJSPubOpts { ExpectedLastSequence = 7 }).InTime();
        var subject = await _js.PublishAsync(_name, "b", opts: new NatsJSPubOpts { ExpectedLastSubjectSequence = 7 }).InTime();
        var id = await _js.PublishAsync(_name, "b", opts: new NatsJSPubOpts { ExpectedLastMsgId = "other" }).InTime();

        Assert.Equal(10060, stream.Error!.ErrCode);
        Assert.Equal(10071, sequence.Error!.ErrCode);
        Assert.Equal(10071, subject.Error!.ErrCode);
        Assert.Equal(10070, id.Error!.ErrCode);
        Assert.Equal(10060, Assert.Throws<NatsJSApiException>(stream.EnsureSuccess).Error.ErrCode);
        Assert.True((await _js.PublishAsync(_name, "b", opts: new NatsJSPubOpts { ExpectedLastMsgId = "first", ExpectedLastSequence = 1 }).InTime()).IsSuccess());
    }

    [Fact]
    public async Task A_subject_of_no_stream_gets_no_response()
    {
        await Assert.ThrowsAsync<NatsJSPublishNoResponseException>(() => _js.PublishAsync("nobody.stores.this", "x").InTime());
        Assert.IsType<NatsJSPublishNoResponseException>((await _js.TryPublishAsync("nobody.stores.this", "x", opts: new NatsJSPubOpts { RetryAttempts = 2, RetryWaitBetweenAttempts = TimeSpan.FromMilliseconds(10) }).InTime()).Error);
    }

    [Fact]
    public async Task A_full_stream_refuses_with_its_error()
    {
        var name = _name + "full";
        await _js.CreateStreamAsync(new StreamConfig(name, [name]) { MaxMsgs = 1, Discard = StreamConfigDiscard.New }).InTime();
        await _js.PublishAsync(name, "fits").InTime();

        var refused = await _js.PublishAsync(name, "does not").InTime();

        Assert.Equal(10077, refused.Error!.ErrCode);
    }

    [Fact]
    public async Task More_than_max_payload_is_refused_by_the_client()
    {
        var max = _nats.ServerInfo!.MaxPayload;

        await Assert.ThrowsAsync<NatsPayloadTooLargeException>(() => _js.PublishAsync(_name, new byte[max + 1]).InTime());

        Assert.True((await _js.PublishAsync(_name, new byte[max - 100]).InTime()).IsSuccess());
    }

    [Fact]
    public async Task Concurrent_publishes_get_their_own_acknowledgements()
    {
        var futures = new List<NatsJSPublishConcurrentFuture>();
        for (var i = 0; i < 500; i++)
        {
            futures.Add(await _js.PublishConcurrentAsync(_name, i, opts: new NatsJSPubOpts { MsgId = $"c{i}" }));
        }

        var sequences = new List<ulong>();
        foreach (var future in futures)
        {
            await using (future)
            {
                var ack = await future.GetResponseAsync(Poll.Token()).InTime();
                ack.EnsureSuccess();
                sequences.Add(ack.Seq);
            }
        }

        Assert.Equal(Enumerable.Range(1, 500).Select(i => (ulong)i), sequences);
    }

    [Theory]
    [InlineData(NatsRequestReplyMode.SharedInbox)]
    [InlineData(NatsRequestReplyMode.Direct)]
    public async Task Many_publishers_at_once_lose_nothing(NatsRequestReplyMode mode)
    {
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url, RequestReplyMode = mode, RequestTimeout = TimeSpan.FromSeconds(30) });
        var js = nats.CreateJetStreamContext();

        var acks = await Task.WhenAll(Enumerable.Range(0, 64).Select(_ => Task.Run(async () =>
        {
            var mine = new List<ulong>();
            for (var i = 0; i < 50; i++)
            {
                var ack = await js.PublishAsync(_name, i);
                ack.EnsureSuccess();
                mine.Add(ack.Seq);
            }

            return mine;
        }))).InTime();

        Assert.Equal(3200, acks.SelectMany(a => a).Distinct().Count());
    }

    [Fact]
    public async Task A_prefix_and_a_domain_exclude_each_other()
    {
        Assert.Throws<NatsJSException>(() => new NatsJSOpts(_nats.Opts, apiPrefix: "a", domain: "b"));
        Assert.Equal("$JS.hub.API", new NatsJSOpts(_nats.Opts, domain: "hub").Prefix);
        await Assert.ThrowsAsync<NatsNoRespondersException>(() => _nats.CreateJetStreamContext(new NatsJSOpts(_nats.Opts, domain: "nowhere")).GetAccountInfoAsync().InTime());
    }

    [Fact]
    public async Task Published_headers_cannot_be_used_with_another_id()
    {
        var headers = new NatsHeaders { ["k"] = "v" };
        await _js.PublishAsync(_name, "a", opts: new NatsJSPubOpts { MsgId = "1" }, headers: headers).InTime();

        await Assert.ThrowsAsync<InvalidOperationException>(() => _js.PublishAsync(_name, "a", opts: new NatsJSPubOpts { MsgId = "2" }, headers: headers).InTime());
    }
}
