using NATS.Client.Core;
using NATS.Client.JetStream;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Consumers.Tests;

[Trait("Category", "Servers")]
public sealed class ConfirmAcksTests
{
    private const int Events = 50;

    [Fact]
    public async Task What_gathers_is_confirmed_and_the_server_has_all_of_it()
    {
        await using var stream = await Stream.StartAsync();
        var (connection, messages) = await TakeAsync(stream);
        await using var disposed = connection;
        var acks = new ConfirmAcks(static () => 0, TimeProvider.System, CancellationToken.None);

        var problems = await Task.WhenAll(messages.Select(acks.AckAsync));

        Assert.All(problems, Assert.Null);
        Assert.Equal((ulong)Events, (await stream.ConsumerAsync("acks")).AckFloor.StreamSeq);
    }

    [Fact]
    public async Task An_acknowledgement_whose_connection_is_gone_is_answered_and_so_are_those_behind_it()
    {
        await using var stream = await Stream.StartAsync();
        var (connection, messages) = await TakeAsync(stream);
        var acks = new ConfirmAcks(static () => 0, TimeProvider.System, CancellationToken.None);
        await connection.DisposeAsync();

        Assert.NotNull(await acks.AckAsync(messages[0]).WaitAsync(Wait.Default));
        Assert.NotNull(await acks.AckAsync(messages[1]).WaitAsync(Wait.Default));
    }

    private static async Task<(NatsConnection Connection, List<INatsJSMsg<byte[]>> Messages)> TakeAsync(Stream stream)
    {
        await stream.PublishManyAsync("webhooks.orders", Events);
        var connection = new NatsConnection(new NatsOpts { Url = stream.Nats.Url });
        var consumer = await new NatsJSContext(connection).CreateConsumerAsync(Stream.Name, SharedConsumer.Definition("acks", TimeSpan.FromSeconds(60)));
        var messages = new List<INatsJSMsg<byte[]>>();
        await foreach (var message in consumer.FetchAsync<byte[]>(new NatsJSFetchOpts { MaxMsgs = Events }))
        {
            messages.Add(message);
        }

        return (connection, messages);
    }
}
