using NATS.Client.Core;

namespace NATS.Net.Tests;

public sealed class RequestTests(JetStreamServer server) : IClassFixture<JetStreamServer>
{
    [Theory]
    [InlineData(NatsRequestReplyMode.SharedInbox)]
    [InlineData(NatsRequestReplyMode.Direct)]
    public async Task Concurrent_requests_get_their_own_answers(NatsRequestReplyMode mode)
    {
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url, RequestReplyMode = mode, RequestTimeout = TimeSpan.FromSeconds(30) });
        using var cts = new CancellationTokenSource();
        var subject = "req.double." + mode;
        await using var sub = await nats.SubscribeCoreAsync<int>(subject).InTime();
        var answering = Task.Run(async () =>
        {
            await foreach (var msg in sub.Msgs.ReadAllAsync())
            {
                await msg.ReplyAsync(msg.Data * 2);
            }
        });

        var answers = await Task.WhenAll(Enumerable.Range(0, 300).Select(async i => (i, (await nats.RequestAsync<int, int>(subject, i)).Data))).InTime();

        Assert.All(answers, a => Assert.Equal(a.i * 2, a.Data));
        await sub.UnsubscribeAsync();
        await answering.InTime();
    }

    [Fact]
    public async Task Nobody_listening_is_said_at_once()
    {
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url, RequestTimeout = TimeSpan.FromMinutes(10) });

        await Assert.ThrowsAsync<NatsNoRespondersException>(() => nats.RequestAsync<string, string>("req.nobody", "x").InTime());
    }

    [Fact]
    public async Task In_direct_mode_the_caller_sees_that_nobody_listens()
    {
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url, RequestReplyMode = NatsRequestReplyMode.Direct, RequestTimeout = TimeSpan.FromMinutes(10) });

        var msg = await nats.RequestAsync<string, string>("req.nobody", "x").InTime();

        Assert.True(msg.HasNoResponders);
        Assert.Throws<NatsNoRespondersException>(msg.EnsureSuccess);
    }

    [Fact]
    public async Task No_answer_in_time_is_an_error()
    {
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url });
        await using var silent = await nats.SubscribeCoreAsync<string>("req.silent").InTime();

        await Assert.ThrowsAsync<NatsNoReplyException>(() =>
            nats.RequestAsync<string, string>("req.silent", "x", replyOpts: new NatsSubOpts { Timeout = TimeSpan.FromMilliseconds(200) }).InTime());
    }

    [Fact]
    public async Task A_cancelled_request_ends()
    {
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url });
        await using var silent = await nats.SubscribeCoreAsync<string>("req.cancelled").InTime();
        using var cts = new CancellationTokenSource();
        var asking = nats.RequestAsync<string, string>("req.cancelled", "x", replyOpts: new NatsSubOpts { Timeout = TimeSpan.FromMinutes(10) }, cancellationToken: cts.Token).InTime();
        await silent.Msgs.ReadAsync(Poll.Token()).InTime();

        await cts.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
    }

    [Fact]
    public async Task Many_answers_end_with_an_empty_one()
    {
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url });
        await using var sub = await nats.SubscribeCoreAsync<string>("req.many").InTime();
        var answering = Task.Run(async () =>
        {
            var msg = await sub.Msgs.ReadAsync(Poll.Token());
            for (var i = 0; i < 4; i++)
            {
                await msg.ReplyAsync(i);
            }

            await msg.ReplyAsync();
        });
        var seen = new List<int>();

        await foreach (var msg in nats.RequestManyAsync<string, int>("req.many", "go", cancellationToken: Poll.Token()))
        {
            seen.Add(msg.Data);
        }

        Assert.Equal([0, 1, 2, 3], seen);
        await answering.InTime();
    }

    [Fact]
    public async Task A_message_without_origin_cannot_be_answered() =>
        await Assert.ThrowsAsync<NatsException>(async () => await new NatsMsg<string>("s", "r", 0, null, "x", null).ReplyAsync("y"));

    [Fact]
    public async Task A_request_message_may_not_have_its_own_reply_subject()
    {
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url });

        await Assert.ThrowsAsync<NatsException>(async () => await nats.RequestAsync<string, string>(new NatsMsg<string>("s", "r", 0, null, "x", null)));
    }

    [Fact]
    public async Task Simple_client_speaks_json()
    {
        await using var client = new NatsClient(server.Url);
        await using var sub = await client.Connection.SubscribeCoreAsync<Point>("req.json").InTime();
        var answering = Task.Run(async () =>
        {
            var msg = await sub.Msgs.ReadAsync(Poll.Token());
            await msg.ReplyAsync(msg.Data! with { X = msg.Data.X + 1 });
        });

        var answer = await client.RequestAsync<Point, Point>("req.json", new Point(1, 2)).InTime();

        Assert.Equal(new Point(2, 2), answer.Data);
        await answering.InTime();
    }

    private sealed record Point(int X, int Y);
}
