using System.Collections.Concurrent;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace NATS.Net.Tests;

public sealed class FaultTests
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(20);

    [Fact]
    public async Task After_kill_and_restart_subscriptions_are_back()
    {
        await using var server = await Server.StartAsync();
        var events = new ConcurrentQueue<string>();
        await using var nats = new NatsConnection(Quick(server));
        nats.ConnectionDisconnected += (_, _) => Note("disconnected");
        nats.ConnectionOpened += (_, _) => Note("opened");
        nats.ReconnectFailed += (_, _) => Note("failed");
        await using var sub = await nats.SubscribeCoreAsync<int>("back").InTime();
        await using var queue = await nats.SubscribeCoreAsync<int>("back", "group").InTime();

        await server.KillAsync();
        await Poll.UntilAsync(() => events.Contains("failed"));
        Assert.Equal(NatsConnectionState.Reconnecting, nats.ConnectionState);
        var publishing = nats.PublishAsync("back", 42).AsTask();
        Assert.False(publishing.IsCompleted);
        await server.RestartAsync();

        await publishing.InTime();
        Assert.Equal(42, (await sub.Msgs.ReadAsync(Poll.Token()).InTime()).Data);
        Assert.Equal(42, (await queue.Msgs.ReadAsync(Poll.Token()).InTime()).Data);
        await Poll.UntilAsync(() => events.Count(e => e == "opened") == 2);
        Assert.Equal(["opened", "disconnected", "failed"], events.Take(3));

        ValueTask Note(string what)
        {
            events.Enqueue(what);
            return default;
        }
    }

    [Fact]
    public async Task A_publish_that_waits_for_the_server_can_be_cancelled_or_limited()
    {
        await using var server = await Server.StartAsync();
        await using var nats = new NatsConnection(Quick(server));
        await using var limited = new NatsConnection(Quick(server) with { PublishTimeoutOnDisconnected = true, CommandTimeout = TimeSpan.FromMilliseconds(300) });
        await nats.ConnectAsync().InTime();
        await limited.ConnectAsync().InTime();
        await server.KillAsync();
        await Poll.UntilAsync(() => nats.ConnectionState != NatsConnectionState.Open && limited.ConnectionState != NatsConnectionState.Open);
        using var cts = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => nats.PublishAsync("a", "b", cancellationToken: cts.Token).InTime());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => limited.PublishAsync("a", "b").InTime());
    }

    [Fact]
    public async Task Retries_end_where_they_are_limited()
    {
        await using var server = await Server.StartAsync();
        await using var nats = new NatsConnection(Quick(server) with { MaxReconnectRetry = 2 });
        await nats.ConnectAsync().InTime();

        await server.KillAsync();

        await Poll.UntilAsync(() => nats.ConnectionState == NatsConnectionState.Failed);
        await Assert.ThrowsAsync<NatsConnectionFailedException>(() => nats.PublishAsync("a", "b").InTime());
    }

    [Fact]
    public async Task A_server_that_stands_still_is_left_and_found_again()
    {
        await using var server = await Server.StartAsync();
        await using var nats = new NatsConnection(Quick(server) with { PingInterval = TimeSpan.FromMilliseconds(100), MaxPingOut = 2, ConnectTimeout = TimeSpan.FromMilliseconds(500) });
        await using var sub = await nats.SubscribeCoreAsync<string>("still").InTime();

        await server.PauseAsync();
        await Poll.UntilAsync(() => nats.ConnectionState == NatsConnectionState.Reconnecting);
        await server.ContinueAsync();

        await nats.PublishAsync("still", "here").InTime();
        Assert.Equal("here", (await sub.Msgs.ReadAsync(Poll.Token()).InTime()).Data);
    }

    [Fact]
    public async Task Publishing_to_a_server_that_stands_still_ends_with_a_timeout_not_with_all_memory()
    {
        await using var server = await Server.StartAsync();
        await using var nats = new NatsConnection(Quick(server) with { CommandTimeout = TimeSpan.FromMilliseconds(300) });
        await nats.ConnectAsync().InTime();
        var payload = new byte[256 * 1024];

        await server.PauseAsync();
        var sent = 0;
        await Assert.ThrowsAsync<NatsTimeoutException>(async () =>
        {
            for (; sent < 1000; sent++)
            {
                await nats.PublishAsync("stuffed", payload).InTime();
            }
        });

        Assert.InRange(sent, 1, 200);
        await server.ContinueAsync();
        await nats.PingAsync().InTime();
    }

    [Fact]
    public async Task Requests_during_a_pause_end_in_time()
    {
        await using var server = await Server.StartAsync(jetStream: true);
        await using var nats = new NatsConnection(Quick(server) with { RequestTimeout = TimeSpan.FromMilliseconds(300) });
        var js = nats.CreateJetStreamContext();
        await js.CreateStreamAsync(new StreamConfig("S", ["s"])).InTime();

        await server.PauseAsync();
        var stuck = await js.TryPublishAsync("s", "x").InTime();
        await server.ContinueAsync();

        Assert.IsType<NatsJSPublishNoResponseException>(stuck.Error);
        await Poll.UntilAsync(async () => (await js.TryPublishAsync("s", "y")).Success);
    }

    [Fact]
    public async Task Publishes_with_ids_survive_kills_without_loss_or_double()
    {
        await using var server = await Server.StartAsync(jetStream: true);
        await using var nats = new NatsConnection(Quick(server) with { RequestTimeout = TimeSpan.FromSeconds(1) });
        var js = nats.CreateJetStreamContext();
        await js.CreateStreamAsync(new StreamConfig("S", ["s"])).InTime();
        const int count = 3000;
        var done = 0;
        var publishing = Task.WhenAll(Enumerable.Range(0, 32).Select(worker => Task.Run(async () =>
        {
            for (var i = worker; i < count; i += 32)
            {
                while (!(await js.TryPublishAsync("s", i, opts: new NatsJSPubOpts { MsgId = $"id-{i}", ExpectedStream = "S" })).Success)
                {
                    // The server is gone; the same id makes the repetition safe.
                }

                Interlocked.Increment(ref done);
            }
        })));

        foreach (var threshold in (int[])[300, 1200])
        {
            await Poll.UntilAsync(() => Volatile.Read(ref done) > threshold);
            await server.KillAsync();
            await server.RestartAsync();
        }

        await publishing.InTime();
        var info = (await js.GetStreamAsync("S").InTime()).Info;
        Assert.Equal(count, info.State.Messages);
        var consumer = await js.CreateOrderedConsumerAsync("S").InTime();
        var seen = new HashSet<int>();
        await foreach (var msg in consumer.ConsumeAsync<int>(cancellationToken: Poll.Token()))
        {
            Assert.True(seen.Add(msg.Data));
            if (seen.Count == count)
            {
                break;
            }
        }
    }

    [Fact]
    public async Task A_consume_goes_on_after_kill_and_restart()
    {
        await using var server = await Server.StartAsync(jetStream: true);
        await using var nats = new NatsConnection(Quick(server));
        var js = nats.CreateJetStreamContext();
        await js.CreateStreamAsync(new StreamConfig("S", ["s"])).InTime();
        var consumer = await js.CreateOrUpdateConsumerAsync("S", new ConsumerConfig("c")).InTime();
        var seen = new ConcurrentDictionary<int, bool>();
        using var cts = new CancellationTokenSource();
        var consuming = Task.Run(async () =>
        {
            await foreach (var msg in consumer.ConsumeAsync<int>(opts: new NatsJSConsumeOpts { MaxMsgs = 10 }, cancellationToken: cts.Token))
            {
                seen[msg.Data] = true;
                await msg.AckAsync(cancellationToken: CancellationToken.None);
            }
        });
        for (var i = 0; i < 25; i++)
        {
            await js.PublishAsync("s", i).InTime();
        }

        await Poll.UntilAsync(() => seen.Count == 25);
        await server.KillAsync();
        await server.RestartAsync();
        for (var i = 25; i < 50; i++)
        {
            await Poll.UntilAsync(async () => (await js.TryPublishAsync("s", i, opts: new NatsJSPubOpts { MsgId = i.ToString() })).Success);
        }

        await Poll.UntilAsync(() => seen.Count == 50);
        await cts.CancelAsync();
        await consuming.InTime();
    }

    [Fact]
    public async Task Lame_duck_is_an_event_and_the_client_goes_to_the_other_server()
    {
        await using var first = await Server.StartAsync("lame_duck_duration: 30s\nlame_duck_grace_period: 1s");
        await using var second = await Server.StartAsync();
        var ducks = new TaskCompletionSource<Uri>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var nats = new NatsConnection(Quick(first) with { Url = first.Url + "," + second.Url, NoRandomize = true });
        nats.LameDuckModeActivated += (_, args) =>
        {
            ducks.TrySetResult(args.Uri);
            return default;
        };
        await nats.ConnectAsync().InTime();
        var before = nats.ServerInfo!.Port;

        await first.LameDuckAsync();

        Assert.Equal(first.Port, (await ducks.Task.InTime()).Port);
        await Poll.UntilAsync(() => nats.ConnectionState == NatsConnectionState.Open && nats.ServerInfo!.Port != before);
        Assert.Equal(second.Port, nats.ServerInfo!.Port);
    }

    [Fact]
    public async Task Asked_to_reconnect_it_does()
    {
        await using var server = await Server.StartAsync();
        await using var nats = new NatsConnection(Quick(server));
        await using var sub = await nats.SubscribeCoreAsync<int>("again").InTime();
        var before = nats.ServerInfo!.ClientId;

        await nats.ReconnectAsync().InTime();

        await Poll.UntilAsync(() => nats.ConnectionState == NatsConnectionState.Open && nats.ServerInfo!.ClientId != before);
        await nats.PublishAsync("again", 1).InTime();
        Assert.Equal(1, (await sub.Msgs.ReadAsync(Poll.Token()).InTime()).Data);
    }

    [Fact]
    public async Task A_violation_that_closes_the_connection_is_survived()
    {
        // The client's own check is by the server's word; a lower control line limit is only the server's.
        await using var server = await Server.StartAsync("max_control_line: 512");
        await using var nats = new NatsConnection(Quick(server));
        var error = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        nats.ServerError += (_, args) =>
        {
            error.TrySetResult(args.Error);
            return default;
        };
        await nats.ConnectAsync().InTime();
        var before = nats.ServerInfo!.ClientId;

        await nats.PublishAsync(new string('x', 2000), "x");

        Assert.Contains("Maximum Control Line", await error.Task.InTime(), StringComparison.OrdinalIgnoreCase);
        await Poll.UntilAsync(() => nats.ConnectionState == NatsConnectionState.Open && nats.ServerInfo!.ClientId != before);
    }

    private static NatsOpts Quick(Server server) => new() { Url = server.Url, ReconnectWaitMin = Short, ReconnectWaitMax = Short + Short, ReconnectJitter = Short };
}
