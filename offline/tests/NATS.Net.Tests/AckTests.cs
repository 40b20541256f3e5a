using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace NATS.Net.Tests;

public sealed class AckTests(JetStreamServer server) : ConsumerScene(server)
{
    [Fact]
    public async Task A_nak_brings_it_again_at_once_and_with_a_delay_later()
    {
        await FillAsync(1);
        var consumer = await ConsumerAsync(new ConsumerConfig("c") { AckWait = TimeSpan.FromMinutes(5) });
        var msg = await NextAsync(consumer);
        await msg.NakAsync();

        msg = await NextAsync(consumer);
        Assert.Equal(2ul, msg.Metadata!.Value.NumDelivered);
        await msg.NakAsync(TimeSpan.FromSeconds(2));
        Assert.Empty(await FetchAsync(consumer.FetchNoWaitAsync<int>(new NatsJSFetchOpts { MaxMsgs = 1 })));

        msg = await NextAsync(consumer);
        Assert.Equal(3ul, msg.Metadata!.Value.NumDelivered);
        await msg.AckAsync(new AckOpts { DoubleAck = true });
        await consumer.RefreshAsync().InTime();
        Assert.Equal(0, consumer.Info.NumAckPending);
        Assert.Equal(1ul, consumer.Info.AckFloor.StreamSeq);
    }

    [Fact]
    public async Task A_terminated_message_does_not_come_again()
    {
        await FillAsync(2);
        var consumer = await ConsumerAsync(new ConsumerConfig("c") { AckWait = TimeSpan.FromSeconds(1) });
        var advisory = await Nats.SubscribeCoreAsync<string>($"$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.{Name}.c").InTime();

        await (await NextAsync(consumer)).AckTerminateAsync(new AckOpts { DoubleAck = true });
        await (await NextAsync(consumer)).AckTerminateAsync("never valid");

        await advisory.Msgs.ReadAsync(Poll.Token()).InTime();
        Assert.Contains("never valid", (await advisory.Msgs.ReadAsync(Poll.Token()).InTime()).Data);
        await consumer.RefreshAsync().InTime();
        Assert.Equal(0, consumer.Info.NumAckPending);
    }

    [Fact]
    public async Task Progress_holds_off_the_redelivery()
    {
        await FillAsync(1);
        var consumer = await ConsumerAsync(new ConsumerConfig("c") { AckWait = TimeSpan.FromSeconds(2) });
        var msg = await NextAsync(consumer);

        for (var i = 0; i < 15; i++)
        {
            await msg.AckProgressAsync();
            await Task.Delay(200);
        }

        Assert.Empty(await FetchAsync(consumer.FetchNoWaitAsync<int>(new NatsJSFetchOpts { MaxMsgs = 1 })));
        await msg.AckAsync(new AckOpts { DoubleAck = true });
    }

    [Fact]
    public async Task Without_an_ack_a_durable_delivers_again_also_to_another_connection()
    {
        await FillAsync(1);
        await using (var first = new NatsConnection(new NatsOpts { Url = Url }))
        {
            var consumer = await first.CreateJetStreamContext().CreateOrUpdateConsumerAsync(Name, new ConsumerConfig("c") { AckWait = TimeSpan.FromSeconds(1) });
            Assert.Equal(1ul, (await NextAsync(consumer)).Metadata!.Value.NumDelivered);
        }

        var again = await NextAsync(await JetStream.GetConsumerAsync(Name, "c").InTime());

        Assert.Equal(2ul, again.Metadata!.Value.NumDelivered);
        await again.AckAsync(new AckOpts { DoubleAck = true });
    }

    [Fact]
    public async Task A_context_may_double_ack_by_default()
    {
        await FillAsync(3);
        var js = Nats.CreateJetStreamContext(new NatsJSOpts(Nats.Opts) { DoubleAck = true });
        var consumer = await js.CreateOrUpdateConsumerAsync(Name, new ConsumerConfig("c")).InTime();
        for (var i = 1; i <= 3; i++)
        {
            await (await NextAsync(consumer)).AckAsync().InTime();
            await consumer.RefreshAsync().InTime();
            Assert.Equal((ulong)i, consumer.Info.AckFloor.StreamSeq);
        }
    }
}
