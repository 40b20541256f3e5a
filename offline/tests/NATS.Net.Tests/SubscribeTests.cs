using NATS.Client.Core;

namespace NATS.Net.Tests;

public sealed class SubscribeTests(JetStreamServer server) : IClassFixture<JetStreamServer>, IAsyncLifetime
{
    private readonly NatsConnection _nats = new(new NatsOpts { Url = server.Url });

    public async Task InitializeAsync() => await _nats.ConnectAsync().InTime();

    public async Task DisposeAsync() => await _nats.DisposeAsync();

    [Fact]
    public async Task Max_messages_ends_the_enumeration()
    {
        var reading = Task.Run(async () =>
        {
            var seen = new List<int>();
            await foreach (var msg in _nats.SubscribeAsync<int>("sub.max", opts: new NatsSubOpts { MaxMsgs = 3 }))
            {
                seen.Add(msg.Data);
            }

            return seen;
        });
        var sent = 0;
        await Poll.UntilAsync(async () =>
        {
            await _nats.PublishAsync("sub.max", sent++);
            return reading.IsCompleted;
        });

        Assert.Equal(3, (await reading).Count);
    }

    [Fact]
    public async Task Cancellation_ends_the_enumeration_without_an_exception()
    {
        using var cts = new CancellationTokenSource();
        var reading = Task.Run(async () =>
        {
            await foreach (var _ in _nats.SubscribeAsync<int>("sub.cancel", cancellationToken: cts.Token))
            {
                await cts.CancelAsync();
            }
        });
        await Poll.UntilAsync(async () =>
        {
            await _nats.PublishAsync("sub.cancel", 1);
            return reading.IsCompleted;
        });

        await reading;
    }

    [Fact]
    public async Task Silence_ends_a_subscription_with_an_idle_timeout()
    {
        await using var sub = await _nats.SubscribeCoreAsync<int>("sub.idle", opts: new NatsSubOpts { IdleTimeout = TimeSpan.FromMilliseconds(100) }).InTime();

        Assert.False(await sub.Msgs.WaitToReadAsync().InTime());
        Assert.Equal(NatsSubEndReason.IdleTimeout, ((NatsSub<int>)sub).EndReason);
    }

    [Fact]
    public async Task No_first_message_ends_a_subscription_with_a_start_up_timeout()
    {
        await using var sub = await _nats.SubscribeCoreAsync<int>("sub.startup", opts: new NatsSubOpts { StartUpTimeout = TimeSpan.FromMilliseconds(100) }).InTime();

        Assert.False(await sub.Msgs.WaitToReadAsync().InTime());
        Assert.Equal(NatsSubEndReason.StartUpTimeout, ((NatsSub<int>)sub).EndReason);
    }

    [Fact]
    public async Task A_queue_group_shares_its_messages()
    {
        await using var other = new NatsConnection(new NatsOpts { Url = server.Url });
        await using var a = await _nats.SubscribeCoreAsync<int>("sub.queue", "workers").InTime();
        await using var b = await other.SubscribeCoreAsync<int>("sub.queue", "workers").InTime();
        await _nats.PingAsync().InTime();
        await other.PingAsync().InTime();

        for (var i = 0; i < 100; i++)
        {
            await _nats.PublishAsync("sub.queue", i);
        }

        await Poll.UntilAsync(() => a.Msgs.Count + b.Msgs.Count == 100);
        await _nats.PingAsync().InTime();
        await other.PingAsync().InTime();
        Assert.Equal(100, a.Msgs.Count + b.Msgs.Count);
    }

    [Fact]
    public async Task After_unsubscribing_nothing_comes()
    {
        var sub = await _nats.SubscribeCoreAsync<int>("sub.gone").InTime();
        await using var rest = await _nats.SubscribeCoreAsync<int>("sub.gone").InTime();

        await sub.UnsubscribeAsync();
        await _nats.PublishAsync("sub.gone", 1);

        Assert.Equal(1, (await rest.Msgs.ReadAsync(Poll.Token()).InTime()).Data);
        Assert.False(await sub.Msgs.WaitToReadAsync().InTime());
    }

    [Fact]
    public async Task A_queue_group_with_white_space_is_refused() =>
        await Assert.ThrowsAsync<NatsException>(async () => await _nats.SubscribeCoreAsync<int>("sub.q", "a b"));

    [Fact]
    public async Task A_custom_subscription_gets_its_messages()
    {
        await using var connection = new NatsConnection(new NatsOpts { Url = server.Url });
        var sub = new CountingSub(connection, "sub.custom");
        await connection.AddSubAsync(sub).InTime();

        for (var i = 0; i < 10; i++)
        {
            await connection.PublishAsync("sub.custom", i);
        }

        await Poll.UntilAsync(() => sub.Count == 10);
        await sub.DisposeAsync();
    }

    private sealed class CountingSub(NatsConnection connection, string subject) : NatsSubBase(connection, connection.SubscriptionManager, subject, null, null)
    {
        private int _count;

        public int Count => Volatile.Read(ref _count);

        protected override ValueTask ReceiveInternalAsync(string subject, string? replyTo, System.Buffers.ReadOnlySequence<byte>? headersBuffer, System.Buffers.ReadOnlySequence<byte> payloadBuffer)
        {
            Interlocked.Increment(ref _count);
            return default;
        }

        protected override void TryComplete()
        {
        }
    }
}
