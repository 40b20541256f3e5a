using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace NATS.Net.Tests;

/// <summary>A connection and a stream of its own for each test of consumers.</summary>
public abstract class ConsumerScene(JetStreamServer server) : IClassFixture<JetStreamServer>, IAsyncLifetime
{
    protected NatsConnection Nats { get; } = new(new NatsOpts { Url = server.Url });

    protected string Name { get; } = "C" + Nuid.NewNuid();

    protected INatsJSContext JetStream { get; private set; } = null!;

    protected string Url => server.Url;

    public async Task InitializeAsync()
    {
        await Nats.ConnectAsync().InTime();
        JetStream = Nats.CreateJetStreamContext();
        await JetStream.CreateStreamAsync(new StreamConfig(Name, [Name + ".>"])).InTime();
    }

    public async Task DisposeAsync() => await Nats.DisposeAsync();

    protected async Task FillAsync(int count, int size = 0)
    {
        for (var i = 0; i < count; i++)
        {
            var headers = new NatsHeaders { ["h"] = "h" + i };
            var ack = size == 0
                ? await JetStream.PublishAsync($"{Name}.a.{i}", i, headers: headers).InTime()
                : await JetStream.PublishAsync($"{Name}.a.{i}", new byte[size], headers: headers).InTime();
            ack.EnsureSuccess();
        }
    }

    protected async Task<INatsJSConsumer> ConsumerAsync(ConsumerConfig config) => await JetStream.CreateOrUpdateConsumerAsync(Name, config).InTime();

    protected static async Task<INatsJSMsg<int>> NextAsync(INatsJSConsumer consumer)
    {
        INatsJSMsg<int>? msg = null;
        await Poll.UntilAsync(async () => (msg = await consumer.NextAsync<int>(opts: new NatsJSNextOpts { Expires = TimeSpan.FromSeconds(5) })) is not null);
        return msg!;
    }

    protected static Task<List<int>> FetchAsync(IAsyncEnumerable<INatsJSMsg<int>> fetch) => CollectAsync(fetch).InTime();

    private static async Task<List<int>> CollectAsync(IAsyncEnumerable<INatsJSMsg<int>> fetch)
    {
        var result = new List<int>();
        await foreach (var msg in fetch)
        {
            result.Add(msg.Data);
            await msg.AckAsync();
        }

        return result;
    }
}
