using System.Collections.Concurrent;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace NATS.Net.Tests;

public sealed class ConsumerTests(JetStreamServer server) : ConsumerScene(server)
{
    [Fact]
    public async Task A_consumer_is_created_as_configured()
    {
        var consumer = await JetStream.CreateOrUpdateConsumerAsync(Name, new ConsumerConfig("all")
        {
            DeliverPolicy = ConsumerConfigDeliverPolicy.ByStartSequence,
            OptStartSeq = 5,
            AckPolicy = ConsumerConfigAckPolicy.Explicit,
            AckWait = TimeSpan.FromSeconds(7),
            MaxDeliver = -1,
            MaxAckPending = 77,
            FilterSubject = Name + ".a.>",
            Description = "d",
            Backoff = null,
            InactiveThreshold = TimeSpan.FromHours(1),
        }).InTime();

        var config = consumer.Info.Config;
        Assert.Equal("all", consumer.Info.Name);
        Assert.Equal(Name, consumer.Info.StreamName);
        Assert.Equal("all", config.DurableName);
        Assert.Equal(ConsumerConfigDeliverPolicy.ByStartSequence, config.DeliverPolicy);
        Assert.Equal(5ul, config.OptStartSeq);
        Assert.Equal(TimeSpan.FromSeconds(7), config.AckWait);
        Assert.Equal(-1, config.MaxDeliver);
        Assert.Equal(77, config.MaxAckPending);
        Assert.Equal(Name + ".a.>", config.FilterSubject);

        var same = await JetStream.GetConsumerAsync(Name, "all").InTime();
        Assert.Equal(consumer.Info.Created, same.Info.Created);
    }

    [Fact]
    public async Task Create_and_update_are_told_apart()
    {
        var missing = await Assert.ThrowsAsync<NatsJSApiException>(() => JetStream.UpdateConsumerAsync(Name, new ConsumerConfig("u")).InTime());
        Assert.Equal(10149, missing.Error.ErrCode);
        await JetStream.CreateConsumerAsync(Name, new ConsumerConfig("u")).InTime();
        var exists = await Assert.ThrowsAsync<NatsJSApiException>(() => JetStream.CreateConsumerAsync(Name, new ConsumerConfig("u") { MaxAckPending = 5 }).InTime());
        Assert.Equal(10148, exists.Error.ErrCode);
        Assert.Equal(6, (await JetStream.UpdateConsumerAsync(Name, new ConsumerConfig("u") { MaxAckPending = 6 }).InTime()).Info.Config.MaxAckPending);
        Assert.True(await JetStream.DeleteConsumerAsync(Name, "u").InTime());
        Assert.Equal(10014, (await Assert.ThrowsAsync<NatsJSApiException>(() => JetStream.GetConsumerAsync(Name, "u").InTime())).Error.ErrCode);
    }

    [Theory]
    [InlineData("a.b")]
    [InlineData("a*")]
    [InlineData(">")]
    public async Task A_consumer_name_that_is_no_token_is_refused(string name) =>
        await Assert.ThrowsAsync<ArgumentException>(() => JetStream.CreateOrUpdateConsumerAsync(Name, new ConsumerConfig(name)).InTime());

    [Fact]
    public async Task Consuming_goes_through_everything_in_order_with_metadata()
    {
        await FillAsync(250);
        var consumer = await ConsumerAsync(new ConsumerConfig("c"));
        var next = 0;

        await foreach (var msg in consumer.ConsumeAsync<int>(opts: new NatsJSConsumeOpts { MaxMsgs = 16 }, cancellationToken: Poll.Token()))
        {
            Assert.Equal(next++, msg.Data);
            var metadata = msg.Metadata!.Value;
            Assert.Equal((ulong)next, metadata.Sequence.Stream);
            Assert.Equal((ulong)next, metadata.Sequence.Consumer);
            Assert.Equal(1ul, metadata.NumDelivered);
            Assert.Equal((ulong)(250 - next), metadata.NumPending);
            Assert.Equal(Name, metadata.Stream);
            Assert.Equal("c", metadata.Consumer);
            Assert.True(metadata.Timestamp > DateTimeOffset.UnixEpoch);
            Assert.Equal("h" + msg.Data, msg.Headers!["h"].ToString());
            await msg.AckAsync();
            if (next == 250)
            {
                break;
            }
        }

        await Poll.UntilAsync(async () =>
        {
            await consumer.RefreshAsync();
            return consumer.Info.NumAckPending == 0;
        });
        Assert.Equal(250ul, consumer.Info.AckFloor.StreamSeq);
        Assert.Equal(0ul, consumer.Info.NumPending);
    }

    [Fact]
    public async Task Consuming_by_bytes_goes_through_everything()
    {
        await FillAsync(100, size: 5000);
        var consumer = await ConsumerAsync(new ConsumerConfig("c"));
        var seen = 0;

        await foreach (var msg in consumer.ConsumeAsync<byte[]>(opts: new NatsJSConsumeOpts { MaxBytes = 40_000 }, cancellationToken: Poll.Token()))
        {
            Assert.Equal(5000, msg.Data!.Length);
            await msg.AckAsync();
            if (++seen == 100)
            {
                break;
            }
        }

        Assert.Equal(100, seen);
    }

    [Fact]
    public async Task Cancelling_a_consume_ends_it_without_an_exception()
    {
        var consumer = await ConsumerAsync(new ConsumerConfig("c"));
        using var cts = new CancellationTokenSource();
        var consuming = Task.Run(async () =>
        {
            await foreach (var _ in consumer.ConsumeAsync<int>(cancellationToken: cts.Token))
            {
                Assert.Fail("Nothing was published");
            }
        });
        await Poll.UntilAsync(async () =>
        {
            await consumer.RefreshAsync();
            return consumer.Info.NumWaiting == 1;
        });

        await cts.CancelAsync();

        await consuming.InTime();
        await Poll.UntilAsync(async () =>
        {
            await consumer.RefreshAsync();
            return consumer.Info.NumWaiting == 0;
        });
    }

    [Fact]
    public async Task Two_workers_on_one_durable_share_its_messages()
    {
        await FillAsync(300);
        var seen = new ConcurrentDictionary<int, int>();
        await ConsumerAsync(new ConsumerConfig("shared"));
        using var cts = new CancellationTokenSource();
        var workers = Enumerable.Range(0, 2).Select(_ => Task.Run(async () =>
        {
            await using var nats = new NatsConnection(new NatsOpts { Url = Url });
            var consumer = await nats.CreateJetStreamContext().GetConsumerAsync(Name, "shared");
            await foreach (var msg in consumer.ConsumeAsync<int>(opts: new NatsJSConsumeOpts { MaxMsgs = 10 }, cancellationToken: cts.Token))
            {
                seen.AddOrUpdate(msg.Data, 1, (_, n) => n + 1);
                await msg.AckAsync(new AckOpts { DoubleAck = true }, CancellationToken.None);
            }
        })).ToArray();

        await Poll.UntilAsync(() => seen.Count == 300);
        await cts.CancelAsync();
        await Task.WhenAll(workers).InTime();

        Assert.All(seen.Values, n => Assert.Equal(1, n));
    }

    [Fact]
    public async Task Deleting_the_consumer_ends_its_consume_with_the_reason()
    {
        var consumer = await ConsumerAsync(new ConsumerConfig("doomed"));
        var consuming = Task.Run(async () =>
        {
            await foreach (var _ in consumer.ConsumeAsync<int>(cancellationToken: Poll.Token()))
            {
                Assert.Fail("Nothing was published");
            }
        });
        await Poll.UntilAsync(async () =>
        {
            await consumer.RefreshAsync();
            return consumer.Info.NumWaiting == 1;
        });

        await JetStream.DeleteConsumerAsync(Name, "doomed").InTime();

        var ended = await Assert.ThrowsAsync<NatsJSProtocolException>(() => consuming.InTime());
        Assert.Equal(409, ended.HeaderCode);
        Assert.Equal(NatsHeaders.Messages.ConsumerDeleted, ended.HeaderMessage);
    }

    [Fact]
    public async Task Fetch_brings_what_is_there_and_ends_when_it_expires()
    {
        await FillAsync(7);
        var consumer = await ConsumerAsync(new ConsumerConfig("c"));

        var five = await FetchAsync(consumer.FetchAsync<int>(new NatsJSFetchOpts { MaxMsgs = 5, Expires = TimeSpan.FromSeconds(20) }));
        var rest = await FetchAsync(consumer.FetchAsync<int>(new NatsJSFetchOpts { MaxMsgs = 5, Expires = TimeSpan.FromSeconds(1) }));
        var none = await FetchAsync(consumer.FetchNoWaitAsync<int>(new NatsJSFetchOpts { MaxMsgs = 5 }));

        Assert.Equal([0, 1, 2, 3, 4], five);
        Assert.Equal([5, 6], rest);
        Assert.Empty(none);
    }

    [Fact]
    public async Task Fetch_without_waiting_ends_with_what_is_there()
    {
        await FillAsync(3);
        var consumer = await ConsumerAsync(new ConsumerConfig("c"));

        Assert.Equal([0, 1, 2], await FetchAsync(consumer.FetchNoWaitAsync<int>(new NatsJSFetchOpts { MaxMsgs = 10 })));
    }

    [Fact]
    public async Task Next_brings_one_or_nothing()
    {
        await FillAsync(1);
        var consumer = await ConsumerAsync(new ConsumerConfig("c"));

        var msg = await consumer.NextAsync<int>(opts: new NatsJSNextOpts { Expires = TimeSpan.FromSeconds(20) }).InTime();
        Assert.Equal(0, msg!.Data);
        await msg.AckAsync();
        Assert.Null(await consumer.NextAsync<int>(opts: new NatsJSNextOpts { Expires = TimeSpan.FromSeconds(1) }).InTime());
    }

    [Fact]
    public async Task Limits_that_contradict_are_refused()
    {
        var consumer = await ConsumerAsync(new ConsumerConfig("c"));

        await Assert.ThrowsAsync<NatsJSException>(() => FetchAsync(consumer.FetchAsync<int>(new NatsJSFetchOpts { MaxMsgs = 1, MaxBytes = 1 })));
        await Assert.ThrowsAsync<NatsJSException>(() => FetchAsync(consumer.FetchAsync<int>(new NatsJSFetchOpts())));
        await Assert.ThrowsAsync<NatsJSException>(() => FetchAsync(consumer.FetchAsync<int>(new NatsJSFetchOpts { MaxMsgs = 1, Expires = TimeSpan.FromMilliseconds(10) })));
        await Assert.ThrowsAsync<NatsJSException>(() => FetchAsync(consumer.ConsumeAsync<int>(opts: new NatsJSConsumeOpts { MaxMsgs = 1, ThresholdMsgs = 2 })));
        await Assert.ThrowsAsync<NatsJSException>(() => FetchAsync(consumer.ConsumeAsync<int>(opts: new NatsJSConsumeOpts { MaxMsgs = 1, IdleHeartbeat = TimeSpan.FromMinutes(1) })));
    }

    [Fact]
    public async Task A_paused_consumer_resumes()
    {
        await FillAsync(1);
        await ConsumerAsync(new ConsumerConfig("c"));
        if (Version.Parse(Nats.ServerInfo!.Version.Split('-')[0]) < new Version(2, 11))
        {
            // 2.10 has no such API, so nobody answers there.
            var js = Nats.CreateJetStreamContext(new NatsJSOpts(Nats.Opts, requestTimeout: TimeSpan.FromMilliseconds(300)));
            await Assert.ThrowsAsync<NatsJSApiNoResponseException>(() => js.PauseConsumerAsync(Name, "c", TimeProvider.System.GetUtcNow().AddHours(1)).InTime());
            return;
        }

        var paused = await JetStream.PauseConsumerAsync(Name, "c", TimeProvider.System.GetUtcNow().AddHours(1)).InTime();
        Assert.True(paused.IsPaused);
        Assert.True(paused.PauseRemaining > TimeSpan.FromMinutes(50));
        Assert.True(await JetStream.ResumeConsumerAsync(Name, "c").InTime());
        Assert.Equal(0, (await NextAsync(await JetStream.GetConsumerAsync(Name, "c").InTime())).Data);
    }

    [Fact]
    public async Task An_ordered_consumer_sees_everything_in_order()
    {
        await FillAsync(100);
        var consumer = await JetStream.CreateOrderedConsumerAsync(Name, new NatsJSOrderedConsumerOpts { FilterSubjects = [Name + ".>"] }).InTime();
        var next = 0;
        await foreach (var msg in consumer.ConsumeAsync<int>(cancellationToken: Poll.Token()))
        {
            Assert.Equal(next++, msg.Data);
            if (next == 50)
            {
                // The consumer below it is taken away: it must go on behind the last one.
                await foreach (var name in JetStream.ListConsumerNamesAsync(Name))
                {
                    await JetStream.DeleteConsumerAsync(Name, name);
                }
            }

            if (next == 100)
            {
                break;
            }
        }

        Assert.Equal([0, 1, 2], await FetchAsync((await JetStream.CreateOrderedConsumerAsync(Name).InTime()).FetchAsync<int>(new NatsJSFetchOpts { MaxMsgs = 3 })));
    }

    [Fact]
    public async Task Notifications_tell_of_an_unknown_status()
    {
        var seen = new TaskCompletionSource<INatsJSNotification>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var own = await Server.StartAsync(jetStream: true);
        await using var nats = new NatsConnection(new NatsOpts { Url = own.Url, ReconnectWaitMin = TimeSpan.FromMilliseconds(20), ReconnectWaitMax = TimeSpan.FromMilliseconds(40) });
        var js = nats.CreateJetStreamContext();
        await js.CreateStreamAsync(new StreamConfig("N", ["n"])).InTime();
        var consumer = await js.CreateOrUpdateConsumerAsync("N", new ConsumerConfig("c")).InTime();
        using var cts = new CancellationTokenSource();
        var consuming = Task.Run(async () =>
        {
            var opts = new NatsJSConsumeOpts
            {
                MaxMsgs = 10,
                Expires = TimeSpan.FromSeconds(1),
                IdleHeartbeat = TimeSpan.FromMilliseconds(500),
                NotificationHandler = (notification, _) =>
                {
                    seen.TrySetResult(notification);
                    return Task.CompletedTask;
                },
            };
            await foreach (var _ in consumer.ConsumeAsync<int>(opts: opts, cancellationToken: cts.Token))
            {
                Assert.Fail("Nothing was published");
            }
        });

        await own.PauseAsync();
        Assert.Equal("Timeout", (await seen.Task.InTime()).Name);
        await own.ContinueAsync();
        await cts.CancelAsync();
        await consuming.InTime();
    }
}
