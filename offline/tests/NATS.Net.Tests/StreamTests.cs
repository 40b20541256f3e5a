using System.Text;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace NATS.Net.Tests;

public sealed class StreamTests(JetStreamServer server) : IClassFixture<JetStreamServer>, IAsyncLifetime
{
    private readonly NatsConnection _nats = new(new NatsOpts { Url = server.Url });
    private readonly string _name = "S" + Nuid.NewNuid();
    private INatsJSContext _js = null!;

    private string Subject => _name + ".a";

    public async Task InitializeAsync()
    {
        await _nats.ConnectAsync().InTime();
        _js = _nats.CreateJetStreamContext();
    }

    public async Task DisposeAsync() => await _nats.DisposeAsync();

    [Fact]
    public async Task A_stream_is_created_as_configured()
    {
        var stream = await _js.CreateStreamAsync(new StreamConfig(_name, [_name + ".>"])
        {
            Description = "all options",
            Storage = StreamConfigStorage.File,
            Retention = StreamConfigRetention.Limits,
            Discard = StreamConfigDiscard.New,
            MaxMsgs = 1000,
            MaxBytes = 1_000_000,
            MaxAge = TimeSpan.FromHours(1.5),
            MaxMsgSize = 4096,
            MaxMsgsPerSubject = 10,
            DuplicateWindow = TimeSpan.FromMinutes(2),
            DenyDelete = true,
            AllowDirect = true,
            Compression = StreamConfigCompression.S2,
            Metadata = new Dictionary<string, string> { ["owner"] = "test" },
        }).InTime();

        var config = stream.Info.Config;
        Assert.Equal(_name, config.Name);
        Assert.Equal([_name + ".>"], config.Subjects!);
        Assert.Equal(StreamConfigStorage.File, config.Storage);
        Assert.Equal(StreamConfigDiscard.New, config.Discard);
        Assert.Equal(StreamConfigCompression.S2, config.Compression);
        Assert.Equal(TimeSpan.FromHours(1.5), config.MaxAge);
        Assert.Equal(TimeSpan.FromMinutes(2), config.DuplicateWindow);
        Assert.Equal(1000, config.MaxMsgs);
        Assert.Equal(10, config.MaxMsgsPerSubject);
        Assert.True(config.DenyDelete);
        Assert.Equal("test", config.Metadata!["owner"]);
        Assert.Equal(0, stream.Info.State.Messages);
        Assert.True(stream.Info.Created > DateTimeOffset.UnixEpoch);
    }

    [Fact]
    public async Task Creating_it_again_with_another_configuration_is_an_api_error()
    {
        await _js.CreateStreamAsync(new StreamConfig(_name, [Subject])).InTime();
        await _js.CreateStreamAsync(new StreamConfig(_name, [Subject])).InTime();

        var refused = await Assert.ThrowsAsync<NatsJSApiException>(() => _js.CreateStreamAsync(new StreamConfig(_name, [Subject, _name + ".b"])).InTime());

        Assert.Equal(400, refused.Error.Code);
        Assert.Equal(10058, refused.Error.ErrCode);
    }

    [Fact]
    public async Task Create_or_update_does_either()
    {
        await _js.CreateOrUpdateStreamAsync(new StreamConfig(_name, [Subject])).InTime();
        var updated = await _js.CreateOrUpdateStreamAsync(new StreamConfig(_name, [Subject, _name + ".b"])).InTime();

        Assert.Equal(2, updated.Info.Config.Subjects!.Count);
        await updated.UpdateAsync(new StreamConfig(_name, [Subject])).InTime();
        Assert.Single(updated.Info.Config.Subjects!);
        Assert.Single((await _js.UpdateStreamAsync(new StreamConfig(_name, [Subject]) { Description = "d" }).InTime()).Info.Config.Subjects!);
    }

    [Fact]
    public async Task A_stream_that_is_not_there_is_a_404()
    {
        var missing = await Assert.ThrowsAsync<NatsJSApiException>(() => _js.GetStreamAsync(_name).InTime());
        Assert.Equal(404, missing.Error.Code);
        Assert.Equal(10059, missing.Error.ErrCode);
        Assert.Equal("stream not found", missing.Message);
        await Assert.ThrowsAsync<NatsJSApiException>(() => _js.DeleteStreamAsync(_name).InTime());
    }

    [Theory]
    [InlineData("")]
    [InlineData("a.b")]
    [InlineData("a b")]
    public async Task A_stream_name_that_is_no_token_is_refused(string name)
    {
        await Assert.ThrowsAsync<ArgumentException>(() => _js.CreateStreamAsync(new StreamConfig(name, ["x"])).InTime());
        await Assert.ThrowsAsync<ArgumentException>(async () => await _js.GetStreamAsync(name));
    }

    [Fact]
    public async Task Messages_are_read_by_sequence_and_by_subject_with_their_headers()
    {
        var stream = await _js.CreateStreamAsync(new StreamConfig(_name, [_name + ".>"]) { AllowDirect = true }).InTime();
        await _js.PublishAsync(Subject, "one", headers: new NatsHeaders { ["k"] = "v" }).InTime();
        await _js.PublishAsync(_name + ".b", "two", opts: new NatsJSPubOpts { MsgId = "m2" }).InTime();

        var first = (await stream.GetAsync(new StreamMsgGetRequest { Seq = 1 }).InTime()).Message;
        var last = (await stream.GetAsync(new StreamMsgGetRequest { LastBySubj = _name + ".b" }).InTime()).Message;
        var direct = await stream.GetDirectAsync<string>(new StreamMsgGetRequest { LastBySubj = Subject }).InTime();

        Assert.Equal("one", Encoding.UTF8.GetString(first.Data.Span));
        Assert.Contains("k: v", Encoding.UTF8.GetString(Convert.FromBase64String(first.Hdrs!)));
        Assert.Equal(2ul, last.Seq);
        Assert.Equal(_name + ".b", last.Subject);
        Assert.Contains("Nats-Msg-Id: m2", Encoding.UTF8.GetString(Convert.FromBase64String(last.Hdrs!)));
        Assert.Equal("one", direct.Data);
        Assert.Equal("1", direct.Headers!["Nats-Sequence"].ToString());
        Assert.Equal(404, (await Assert.ThrowsAsync<NatsJSApiException>(() => stream.GetAsync(new StreamMsgGetRequest { Seq = 99 }).InTime())).Error.Code);
    }

    [Fact]
    public async Task Purge_and_delete_take_messages_away()
    {
        var stream = await _js.CreateStreamAsync(new StreamConfig(_name, [_name + ".>"])).InTime();
        for (var i = 0; i < 10; i++)
        {
            await _js.PublishAsync(Subject, i).InTime();
        }

        Assert.True((await stream.DeleteMessageAsync(new StreamMsgDeleteRequest { Seq = 3 }).InTime()).Success);
        Assert.Equal(5, (await stream.PurgeAsync(new StreamPurgeRequest { Keep = 4 }).InTime()).Purged);
        await stream.RefreshAsync().InTime();

        Assert.Equal(4, stream.Info.State.Messages);
        Assert.Equal(7ul, stream.Info.State.FirstSeq);
        Assert.Equal(10ul, stream.Info.State.LastSeq);
        Assert.True(await stream.DeleteAsync().InTime());
        await Assert.ThrowsAsync<NatsJSException>(async () => await stream.PurgeAsync(new StreamPurgeRequest()));
    }

    [Fact]
    public async Task Streams_and_consumers_are_listed()
    {
        var stream = await _js.CreateStreamAsync(new StreamConfig(_name, [_name + ".>"])).InTime();
        for (var i = 0; i < 3; i++)
        {
            await stream.CreateOrUpdateConsumerAsync(new ConsumerConfig("c" + i)).InTime();
        }

        var streams = new List<string>();
        await foreach (var s in _js.ListStreamsAsync(cancellationToken: Poll.Token()))
        {
            streams.Add(s.Info.Config.Name!);
        }

        var names = new List<string>();
        await foreach (var name in _js.ListStreamNamesAsync(Subject, Poll.Token()))
        {
            names.Add(name);
        }

        var consumers = new List<string>();
        await foreach (var consumer in stream.ListConsumersAsync(Poll.Token()))
        {
            consumers.Add(consumer.Info.Name);
        }

        var consumerNames = new List<string>();
        await foreach (var name in _js.ListConsumerNamesAsync(_name, Poll.Token()))
        {
            consumerNames.Add(name);
        }

        Assert.Contains(_name, streams);
        Assert.Equal([_name], names);
        Assert.Equal(["c0", "c1", "c2"], consumers.Order());
        Assert.Equal(["c0", "c1", "c2"], consumerNames.Order());
    }

    [Fact]
    public async Task The_account_tells_its_use()
    {
        await _js.CreateStreamAsync(new StreamConfig(_name, [_name + ".>"])).InTime();

        var account = await _js.GetAccountInfoAsync().InTime();

        Assert.True(account.Streams >= 1);
        Assert.True(account.Api.Total > 0);
    }

    [Fact]
    public async Task Without_jetstream_the_api_does_not_answer()
    {
        await using var plain = await Server.StartAsync();
        await using var nats = new NatsConnection(new NatsOpts { Url = plain.Url });
        var js = nats.CreateJetStreamContext();

        await Assert.ThrowsAsync<NatsNoRespondersException>(() => js.GetAccountInfoAsync().InTime());
        Assert.IsType<NatsJSPublishNoResponseException>((await js.TryPublishAsync("x", "y").InTime()).Error);
    }
}
