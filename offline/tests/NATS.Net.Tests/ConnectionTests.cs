using NATS.Client.Core;

namespace NATS.Net.Tests;

public sealed class ConnectionTests(JetStreamServer server) : IClassFixture<JetStreamServer>
{
    [Fact]
    public async Task Connecting_tells_about_the_server()
    {
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url });
        Assert.Equal(NatsConnectionState.Closed, nats.ConnectionState);

        await nats.ConnectAsync().InTime();

        Assert.Equal(NatsConnectionState.Open, nats.ConnectionState);
        Assert.StartsWith("2.", nats.ServerInfo!.Version);
        Assert.True(nats.ServerInfo.JetStreamAvailable);
        Assert.Equal(1024 * 1024, nats.ServerInfo.MaxPayload);
        Assert.True(await nats.PingAsync().InTime() > TimeSpan.Zero);
    }

    [Fact]
    public async Task Opening_raises_the_event()
    {
        var opened = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url });
        nats.ConnectionOpened += (_, args) =>
        {
            opened.TrySetResult(args.Message);
            return default;
        };

        await nats.ConnectAsync().InTime();

        Assert.Equal(server.Url, await opened.Task.InTime());
    }

    [Fact]
    public async Task A_failing_event_handler_does_not_stop_the_next_event()
    {
        var second = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var first = true;
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url, ReconnectWaitMin = TimeSpan.FromMilliseconds(10) });
        nats.ConnectionOpened += (_, _) =>
        {
            if (!first)
            {
                second.TrySetResult();
            }

            first = false;
            throw new InvalidOperationException("handler");
        };
        await nats.ConnectAsync().InTime();

        await nats.ReconnectAsync().InTime();

        await second.Task.InTime();
    }

    [Fact]
    public async Task Nobody_there_is_refused_and_can_be_tried_again()
    {
        await using var nats = new NatsConnection(new NatsOpts { Url = "nats://127.0.0.1:1" });

        var refused = await Assert.ThrowsAsync<NatsException>(() => nats.ConnectAsync().InTime());

        Assert.Contains("nats://127.0.0.1:1", refused.Message);
        Assert.Equal(NatsConnectionState.Closed, nats.ConnectionState);
        await Assert.ThrowsAsync<NatsException>(() => nats.ConnectAsync().InTime());
    }

    [Fact]
    public async Task The_second_address_of_a_list_is_used_when_the_first_is_dead()
    {
        await using var nats = new NatsConnection(new NatsOpts { Url = "nats://127.0.0.1:1," + server.Url, NoRandomize = true });

        await nats.ConnectAsync().InTime();

        Assert.Equal(NatsConnectionState.Open, nats.ConnectionState);
    }

    [Fact]
    public async Task Retry_on_initial_connect_waits_for_a_server_that_starts_later()
    {
        await using var late = await Server.StartAsync();
        await late.KillAsync();
        await using var nats = new NatsConnection(new NatsOpts { Url = late.Url, RetryOnInitialConnect = true, ReconnectWaitMin = TimeSpan.FromMilliseconds(20), ReconnectWaitMax = TimeSpan.FromMilliseconds(50) });
        var connecting = nats.ConnectAsync().InTime();
        Assert.False(connecting.IsCompleted);

        await late.RestartAsync();

        await connecting;
        Assert.Equal(NatsConnectionState.Open, nats.ConnectionState);
    }

    [Fact]
    public async Task Many_callers_share_one_connect()
    {
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url });

        await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => nats.ConnectAsync().AsTask())).InTime();

        var id = nats.ServerInfo!.ClientId;
        await nats.PingAsync().InTime();
        Assert.Equal(id, nats.ServerInfo.ClientId);
    }

    [Fact]
    public async Task A_disposed_connection_refuses_to_publish()
    {
        var nats = new NatsConnection(new NatsOpts { Url = server.Url });
        await nats.ConnectAsync().InTime();
        await nats.DisposeAsync().InTime();

        await Assert.ThrowsAnyAsync<ObjectDisposedException>(() => nats.PublishAsync("a", "b").InTime());
    }

    [Fact]
    public async Task Disposing_ends_a_subscription()
    {
        var nats = new NatsConnection(new NatsOpts { Url = server.Url });
        var sub = await nats.SubscribeCoreAsync<string>("dispose.me").InTime();

        await nats.DisposeAsync().InTime();

        Assert.False(await sub.Msgs.WaitToReadAsync().InTime());
    }

    [Fact]
    public async Task What_was_published_before_the_dispose_arrives()
    {
        await using var receiver = new NatsConnection(new NatsOpts { Url = server.Url });
        await using var sub = await receiver.SubscribeCoreAsync<int>("before.dispose").InTime();
        await receiver.PingAsync().InTime();
        var sender = new NatsConnection(new NatsOpts { Url = server.Url });
        await sender.ConnectAsync().InTime();
        for (var i = 0; i < 500; i++)
        {
            await sender.PublishAsync("before.dispose", i);
        }

        await sender.PingAsync().InTime();
        await sender.DisposeAsync().InTime();

        for (var i = 0; i < 500; i++)
        {
            Assert.Equal(i, (await sub.Msgs.ReadAsync(Poll.Token()).InTime()).Data);
        }
    }

    [Fact]
    public async Task Hooks_may_redirect_the_connection()
    {
        var port = new Uri(server.Url).Port;
        INatsSocketConnection? seen = null;
        await using var nats = new NatsConnection(new NatsOpts { Url = "nats://nowhere.invalid:1" });
        nats.OnConnectingAsync = _ => new(("127.0.0.1", port));
        nats.OnSocketAvailableAsync = socket =>
        {
            seen = socket;
            return new(socket);
        };

        await nats.ConnectAsync().InTime();

        Assert.NotNull(seen);
        Assert.Equal(NatsConnectionState.Open, nats.ConnectionState);
    }

    [Fact]
    public async Task A_pool_hands_out_its_connections_in_turn()
    {
        await using var pool = new NatsConnectionPool(3, new NatsOpts { Url = server.Url });

        var handed = Enumerable.Range(0, 6).Select(_ => pool.GetConnection()).ToArray();

        Assert.Equal(3, handed.Distinct().Count());
        Assert.Same(handed[0], handed[3]);
        await handed[0].DisposeAsync();
        await handed[0].PublishAsync("pool", "still open").InTime();
    }
}
