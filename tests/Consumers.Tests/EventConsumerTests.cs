using System.Diagnostics;
using System.Text;
using System.Text.Json;
using NATS.Client.JetStream;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Consumers.Tests;

[Trait("Category", "Servers")]
public sealed class EventConsumerTests
{
    private const string Subject = "webhooks.orders.created";

    [Fact]
    public async Task A_consumer_gets_the_events_of_its_filter_with_their_ids_headers_bytes_and_trace()
    {
        const string Trace = "0af7651916cd43dd8448eb211c80319c";
        using var listener = new ActivityListener { ShouldListenTo = source => source.Name == "RuleEngineNats", Sample = static (ref _) => ActivitySamplingResult.AllData };
        ActivitySource.AddActivityListener(listener);
        await using var stream = await Stream.StartAsync();
        await stream.PublishAsync("webhooks.invoices.created", """{"order": "none"}""", "another filter");
        await stream.PublishAsync(Subject, """{ "order":"é 1", "more": [1.50] }""", "1_a", ("traceparent", $"00-{Trace}-b7ad6b7169203331-01"), ("ce-type", "order.created"));
        (string? TraceId, string? Type, string? Id)? seen = null;
        var behaviour = new Behaviour
        {
            Do = context =>
            {
                seen = (Activity.Current?.TraceId.ToString(), context.Headers.Get<string>("ce-type"), context.Headers.Get<string>("Nats-Msg-Id"));
                return Task.CompletedTask;
            },
        };
        await using var host = await ConsumerHost.StartAsync(stream, behaviour);
        await stream.SettledAsync(ConsumerHost.Name);

        var (received, order) = Assert.Single(behaviour.Got);
        Assert.Equal("é 1", order.Number);
        Assert.Equal(("1_a", Subject, Stream.Name, 2UL, 1UL), (received.Id, received.Subject, received.Stream, received.Sequence, received.Delivery));
        Assert.Equal("""{ "order":"é 1", "more": [1.50] }""", Encoding.UTF8.GetString(received.Body.Span));
        Assert.Equal((Trace, "order.created", "1_a"), seen);
        Assert.StartsWith("Healthy", await host.HealthAsync(), StringComparison.Ordinal);
        var config = (await stream.ConsumerAsync(ConsumerHost.Name)).Config;
        Assert.Equal((ConsumerHost.Name, "webhooks.orders.>", -1L), (config.DurableName, config.FilterSubject, config.MaxDeliver));
    }

    [Fact]
    public async Task A_body_that_was_too_large_for_a_message_comes_out_of_the_Object_Store_and_one_that_is_gone_is_given_up_in_the_end()
    {
        await using var stream = await Stream.StartAsync();
        var bucket = await PayloadBucket.CreateAsync(stream.JetStream);
        var (body, gone) = (Encoding.UTF8.GetBytes($$"""{"order": "1", "more": {{PayloadBucket.Json(1_500_000)}}}"""), Encoding.UTF8.GetBytes(PayloadBucket.Json(1_500_000)));
        await bucket.PutAsync(PayloadBucket.Sha256(body), body);
        await stream.PublishAsync(Subject, [], "gone", PayloadBucket.Headers(gone));
        await stream.PublishAsync(Subject, [], "1_a", PayloadBucket.Headers(body));
        var behaviour = new Behaviour();
        await using var host = await ConsumerHost.StartAsync(stream, behaviour, static options => (options.MaxAttempts, options.RetryDelay) = (2, TimeSpan.FromMilliseconds(10)));
        await stream.SettledAsync(ConsumerHost.Name);

        var (received, order) = Assert.Single(behaviour.Got);
        Assert.Equal(("1_a", "1"), (received.Id, order.Number));
        Assert.True(received.Body.Span.SequenceEqual(body));
        Assert.Contains("after delivery 2; it stays in the stream: payload_missing: the object is gone, ", host.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_consumer_that_throws_gets_the_event_again_and_the_others_go_on()
    {
        await using var stream = await Stream.StartAsync();
        var behaviour = new Behaviour
        {
            Do = context => context.Message.Number == "3" && context.Event().Delivery < 3 ? throw new JsonException("not yet") : Task.CompletedTask,
        };
        await using var host = await ConsumerHost.StartAsync(stream, behaviour, options => options.RetryDelay = TimeSpan.FromMilliseconds(50));
        await stream.PublishManyAsync(Subject, 10);
        await Wait.UntilAsync(() => behaviour.Got.Count == 12, "all are consumed, one of them in the third delivery");
        await stream.SettledAsync(ConsumerHost.Name);

        Assert.Equal(3, behaviour.Ids.Count(id => id == "3"));
        Assert.Equal(10, behaviour.Ids.Distinct().Count());
        Assert.Contains("message 4 of stream WEBHOOKS is given back: not yet", host.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_event_that_fails_in_every_attempt_is_given_up_with_a_line_and_stays_in_the_stream()
    {
        await using var stream = await Stream.StartAsync();
        var behaviour = new Behaviour { Do = context => context.Message.Number == "0" ? throw new InvalidOperationException("never") : Task.CompletedTask };
        await using var host = await ConsumerHost.StartAsync(stream, behaviour, options => (options.MaxAttempts, options.RetryDelay) = (3, TimeSpan.FromMilliseconds(20)));
        await stream.PublishManyAsync(Subject, 2);
        await Wait.UntilAsync(() => host.Log.Contains("gives up", StringComparison.Ordinal), "it is given up");
        await stream.SettledAsync(ConsumerHost.Name);

        Assert.Equal(["0", "0", "0", "1"], behaviour.Ids.Order());
        Assert.Contains("Error: consumer orders gives up message 1 of stream WEBHOOKS after delivery 3; it stays in the stream: never", host.Log, StringComparison.Ordinal);
        Assert.Equal(2L, (await stream.JetStream.GetStreamAsync(Stream.Name)).Info.State.Messages);
    }

    [Theory]
    [InlineData("no JSON")]
    [InlineData("[1, 2]")]
    [InlineData("\"text\"")]
    [InlineData("{\"order\": {\"an\": \"object\"}}")]
    [InlineData("{\"order\": \"unfinished")]
    public async Task A_body_that_cannot_be_read_is_given_up_at_once_and_stalls_nobody(string body)
    {
        await using var stream = await Stream.StartAsync();
        var behaviour = new Behaviour();
        await using var host = await ConsumerHost.StartAsync(stream, behaviour);
        await stream.PublishAsync(Subject, body, "poison");
        await stream.PublishAsync(Subject, """{"order": "good"}""", "good");
        await Wait.UntilAsync(() => host.Log.Contains("gives up message 1 of stream WEBHOOKS after delivery 1", StringComparison.Ordinal), "it is given up", TimeSpan.FromSeconds(20));
        await stream.SettledAsync(ConsumerHost.Name);

        Assert.Equal(["good"], behaviour.Ids);
    }

    [Fact]
    public async Task A_message_that_no_delivery_answered_is_given_up_without_being_consumed()
    {
        await using var stream = await Stream.StartAsync();
        await stream.PublishManyAsync(Subject, 1);
        // What a process does that this message ends: it takes the message and is never heard of again.
        var durable = await stream.JetStream.CreateConsumerAsync(Stream.Name, SharedConsumer.Definition(ConsumerHost.Name, TimeSpan.FromSeconds(2), "webhooks.orders.>"));
        for (var delivery = 0; delivery < 2; delivery++)
        {
            await durable.NextAsync<byte[]>(opts: new NatsJSNextOpts { Expires = TimeSpan.FromSeconds(20) });
        }

        var behaviour = new Behaviour();
        await using var host = await ConsumerHost.StartAsync(stream, behaviour, options => (options.MaxAttempts, options.AckWait, options.ProgressEvery) = (2, TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(1)));
        await Wait.UntilAsync(() => host.Log.Contains("after delivery 3; it stays in the stream: 2 deliveries ended without an answer", StringComparison.Ordinal), "it is given up");
        await stream.SettledAsync(ConsumerHost.Name);

        Assert.Empty(behaviour.Got);
    }

    [Fact]
    public async Task An_event_may_take_longer_than_ack_wait_and_comes_once()
    {
        await using var stream = await Stream.StartAsync();
        var behaviour = new Behaviour { Do = static context => Task.Delay(TimeSpan.FromSeconds(5), context.CancellationToken) };
        await using var host = await ConsumerHost.StartAsync(
            stream, behaviour, options => (options.AckWait, options.ProgressEvery) = (TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(0.5)));
        await stream.PublishManyAsync(Subject, 1);
        await Wait.UntilAsync(async () => (await stream.ConsumerAsync(ConsumerHost.Name)).AckFloor.StreamSeq == 1, "it is acknowledged");

        Assert.Single(behaviour.Got);
    }

    [Fact]
    public async Task A_stop_finishes_what_is_in_work_and_takes_nothing_new()
    {
        await using var stream = await Stream.StartAsync();
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var behaviour = new Behaviour { Do = _ => release.Task };
        await using var host = await ConsumerHost.StartAsync(stream, behaviour, options => options.Concurrency = 2);
        await stream.PublishManyAsync(Subject, 5);
        await Wait.UntilAsync(
            async () => behaviour.Got.Count == 2 && (await stream.ConsumerAsync(ConsumerHost.Name)).NumAckPending == 3, "two are in work, and one is fetched ahead");
        var stopping = host.StopAsync();
        release.SetResult();
        await stopping;

        var info = await stream.ConsumerAsync(ConsumerHost.Name);
        // The one that was fetched ahead is given back, which the server counts as still to be acknowledged.
        Assert.Equal((2UL, 2UL, 1L), (info.AckFloor.StreamSeq, (ulong)info.NumPending, (long)info.NumAckPending));
        Assert.Equal(2, behaviour.Got.Count);
        Assert.Equal("orders|f|2|2", await stream.ScalarAsync<string>(
            "SELECT concat_ws('|', queue_group, active, messages_delivered, messages_acknowledged) FROM rule_nats_consumer_stats"));
    }
}
