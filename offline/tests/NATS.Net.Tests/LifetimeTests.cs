using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace NATS.Net.Tests;

/// <summary>What callers see when a connection, a server or their own patience ends first.</summary>
public sealed class LifetimeTests(JetStreamServer server) : IClassFixture<JetStreamServer>
{
    [Fact]
    public async Task Disposing_the_connection_ends_a_consume()
    {
        var (nats, _, consumer) = await ConsumerAsync();
        var consuming = Task.Run(async () =>
        {
            var seen = 0;
            await foreach (var msg in consumer.ConsumeAsync<int>())
            {
                seen++;
                await msg.AckAsync();
            }

            return seen;
        });
        await Poll.UntilAsync(async () =>
        {
            await consumer.RefreshAsync();
            return consumer.Info.NumWaiting == 1;
        });

        await nats.DisposeAsync().InTime();

        Assert.Equal(0, await consuming.InTime());
    }

    [Fact]
    public async Task Disposing_the_connection_ends_a_waiting_fetch()
    {
        var (nats, _, consumer) = await ConsumerAsync();
        var fetching = Task.Run(async () => await consumer.NextAsync<int>(opts: new NatsJSNextOpts { Expires = TimeSpan.FromSeconds(30) }));
        await using var other = new NatsConnection(new NatsOpts { Url = server.Url });
        var watched = await other.CreateJetStreamContext().GetConsumerAsync(consumer.Info.StreamName, consumer.Info.Name).InTime();
        await Poll.UntilAsync(async () =>
        {
            await watched.RefreshAsync();
            return watched.Info.NumWaiting == 1;
        });

        await nats.DisposeAsync().InTime();

        Assert.Null(await fetching.InTime());
    }

    [Fact]
    public async Task After_the_dispose_everything_is_refused()
    {
        var (nats, js, consumer) = await ConsumerAsync();
        await js.PublishAsync(consumer.Info.StreamName, 1).InTime();
        var msg = await consumer.NextAsync<int>().InTime();
        await nats.DisposeAsync().InTime();

        await Assert.ThrowsAnyAsync<ObjectDisposedException>(() => msg!.AckAsync().InTime());
        await Assert.ThrowsAnyAsync<ObjectDisposedException>(() => js.PublishAsync("a", 1).InTime());
        await Assert.ThrowsAnyAsync<ObjectDisposedException>(() => nats.PingAsync().InTime());
        await nats.DisposeAsync().InTime();
    }

    [Fact]
    public async Task A_token_that_is_cancelled_already_stops_what_waits()
    {
        var (nats, js, consumer) = await ConsumerAsync();
        await using var connection = nats;
        using var cts = new CancellationTokenSource();
        await cts.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => nats.RequestAsync<int, int>("lifetime.request", 1, cancellationToken: cts.Token).InTime());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => js.PublishAsync(consumer.Info.StreamName, 1, cancellationToken: cts.Token).InTime());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => consumer.NextAsync<int>(cancellationToken: cts.Token).InTime());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => nats.PingAsync(cts.Token).InTime());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var _ in consumer.ConsumeAsync<int>(cancellationToken: cts.Token))
            {
                Assert.Fail("It was cancelled before");
            }
        });
    }

    [Fact]
    public async Task A_publish_whose_server_dies_has_no_response()
    {
        await using var own = await Server.StartAsync(jetStream: true);
        await using var nats = new NatsConnection(new NatsOpts { Url = own.Url, RequestTimeout = TimeSpan.FromSeconds(1), ReconnectWaitMin = TimeSpan.FromMilliseconds(20), ReconnectWaitMax = TimeSpan.FromMilliseconds(40) });
        var js = nats.CreateJetStreamContext();
        await js.CreateStreamAsync(new StreamConfig("S", ["s"])).InTime();
        await own.PauseAsync();
        var publishing = js.TryPublishAsync("s", 1).AsTask();
        var asking = js.GetStreamAsync("S").AsTask();

        await own.ContinueAsync();
        await own.PauseAsync();
        var lost = js.TryPublishAsync("s", 2).AsTask();
        await own.KillAsync();

        Assert.IsType<NatsJSPublishNoResponseException>((await lost.InTime()).Error);
        await Task.WhenAny(publishing).InTime();
        await Task.WhenAny(asking).InTime();
        await own.RestartAsync();
        await Poll.UntilAsync(async () => (await js.TryPublishAsync("s", 3)).Success);
    }

    [Fact]
    public async Task A_caller_may_wait_for_the_server_with_a_limit()
    {
        await using var own = await Server.StartAsync(jetStream: true);
        await using var nats = new NatsConnection(new NatsOpts { Url = own.Url, ReconnectWaitMin = TimeSpan.FromMilliseconds(20), ReconnectWaitMax = TimeSpan.FromMilliseconds(40) });
        var js = nats.CreateJetStreamContext();
        await js.CreateStreamAsync(new StreamConfig("S", ["s"])).InTime();
        await own.KillAsync();
        await Poll.UntilAsync(() => nats.ConnectionState == NatsConnectionState.Reconnecting);
        using var cts = new CancellationTokenSource(TimeSpan.FromMilliseconds(300));

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => js.PublishAsync("s", 1, cancellationToken: cts.Token).InTime());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => nats.SubscribeCoreAsync<int>("x", cancellationToken: cts.Token).InTime());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => nats.PingAsync(cts.Token).InTime());
    }

    [Fact]
    public async Task Draining_gives_out_what_was_received_before_the_dispose()
    {
        var nats = new NatsConnection(new NatsOpts { Url = server.Url, DrainSubscriptionsOnDispose = true, ConsumerDrainOnDisposeTimeout = TimeSpan.FromSeconds(20) });
        await using var sender = new NatsConnection(new NatsOpts { Url = server.Url });
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await nats.ConnectAsync().InTime();
        var sub = await nats.SubscribeCoreAsync<int>("drain.me").InTime();
        await nats.PingAsync().InTime();
        var reading = Task.Run(async () =>
        {
            var seen = 0;
            await foreach (var msg in sub.Msgs.ReadAllAsync())
            {
                started.TrySetResult();
                await release.Task;
                seen++;
            }

            return seen;
        });
        for (var i = 0; i < 100; i++)
        {
            await sender.PublishAsync("drain.me", i);
        }

        await sender.PingAsync().InTime();
        await started.Task.InTime();
        var disposing = nats.DisposeAsync().AsTask();
        release.TrySetResult();
        await disposing.InTime();

        Assert.Equal(100, await reading.InTime());
    }

    private async Task<(NatsConnection Nats, INatsJSContext JetStream, INatsJSConsumer Consumer)> ConsumerAsync()
    {
        var nats = new NatsConnection(new NatsOpts { Url = server.Url });
        var js = nats.CreateJetStreamContext();
        var name = "L" + Nuid.NewNuid();
        await js.CreateStreamAsync(new StreamConfig(name, [name])).InTime();
        return (nats, js, await js.CreateOrUpdateConsumerAsync(name, new ConsumerConfig("c")).InTime());
    }
}
