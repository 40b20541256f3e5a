using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Consumers.Tests;

public sealed class RefusalTests
{
    [Theory]
    [InlineData("", "filter subject: empty at byte 0")]
    [InlineData("webhooks..x", "filter subject: empty token at byte 9")]
    [InlineData("webhooks.>.x", "filter subject: wildcard at byte 9")]
    [InlineData("$JS.>", "filter subject: reserved at byte 0")]
    [InlineData("webhooks.a b", "filter subject: whitespace at byte 10")]
    public void A_filter_that_is_none_is_refused(string filter, string reason)
        => Assert.Equal(reason, Assert.Throws<ArgumentException>(() => Add(filter: filter)).Message);

    [Theory]
    [InlineData("")]
    [InlineData("a.b")]
    [InlineData("a*")]
    [InlineData("a>")]
    [InlineData("a/b")]
    [InlineData("a\\b")]
    [InlineData("a b")]
    [InlineData("ä")]
    [InlineData("a1234567890123456789012345678901234567890123456789012345678901234")]
    public void A_name_that_a_durable_cannot_have_is_refused(string name)
        => Assert.Equal($"consumer: '{name}' is not 1 to 64 of A-Z, a-z, 0-9, '-' and '_'", Assert.Throws<ArgumentException>(() => Add(name: name)).Message);

    [Theory]
    [InlineData("delivery-worker")]
    [InlineData("ingestion-worker")]
    public void The_names_of_our_own_workers_are_reserved(string name)
        => Assert.Contains("belongs to this project's own workers", Assert.Throws<ArgumentException>(() => Add(name: name)).Message, StringComparison.Ordinal);

    [Fact]
    public void All_problems_are_said_at_once()
        => Assert.Equal(
            "filter subject: empty at byte 0; consumer: '' is not 1 to 64 of A-Z, a-z, 0-9, '-' and '_'",
            Assert.Throws<ArgumentException>(() => Add("", "")).Message);

    [Fact]
    public void Two_consumers_may_be_added_but_not_under_one_name()
    {
        var builder = Add(name: "one");
        builder.AddEventConsumer<OrderConsumer, Order>("webhooks.>", "two");
        var refusal = Assert.Throws<ArgumentException>(() => builder.AddEventConsumer<OrderConsumer, Order>("webhooks.>", "one"));
        Assert.Equal("consumer: 'one' is there already; two of one name would share the events", refusal.Message);
    }

    [Theory]
    [InlineData("Concurrency", "0", "Concurrency must be between 1 and 256")]
    [InlineData("MaxAttempts", "0", "MaxAttempts must be between 1 and 1000")]
    [InlineData("RetryDelay", "01:00:00", "RetryDelay must be between")]
    [InlineData("ProgressEvery", "00:01:00", "AckWait must be at least twice ProgressEvery")]
    public async Task Options_out_of_range_end_the_start(string option, string value, string reason)
    {
        var builder = Add(name: "mine");
        builder.Configuration[$"EventConsumers:mine:{option}"] = value;
        using var host = builder.Build();
        var refusal = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());
        Assert.Contains(reason, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Category", "Servers")]
    public async Task A_filter_that_no_stream_has_is_not_ready_and_says_so()
    {
        await using var stream = await Stream.StartAsync();
        await using var host = await ConsumerHost.StartAsync(stream, new Behaviour(), filter: "elsewhere.>");
        await Wait.UntilAsync(async () => await host.HealthAsync() == "Unhealthy: no enabled stream definition has elsewhere.>", "the host says what is missing");
    }

    [Fact]
    [Trait("Category", "Servers")]
    public async Task A_durable_with_another_filter_is_not_taken_from()
    {
        await using var stream = await Stream.StartAsync();
        await stream.JetStream.CreateConsumerAsync(Stream.Name, SharedConsumer.Definition(ConsumerHost.Name, TimeSpan.FromSeconds(60), "events.>"));
        await stream.PublishAsync("events.x", "{}", "1");
        var behaviour = new Behaviour();
        await using var host = await ConsumerHost.StartAsync(stream, behaviour);
        const string Reason = "the server's consumer orders has the filter 'events.>' instead of 'webhooks.orders.>': delete it, or give yours another name";
        await Wait.UntilAsync(async () => (await host.HealthAsync()).Contains(Reason, StringComparison.Ordinal), "the host says what differs");
        await stream.JetStream.DeleteConsumerAsync(Stream.Name, ConsumerHost.Name);
        await stream.PublishAsync("webhooks.orders.x", "{}", "2");
        await Wait.UntilAsync(() => !behaviour.Got.IsEmpty, "a consumer made anew is taken from");
        Assert.Equal(["2"], behaviour.Ids);
    }

    private static HostApplicationBuilder Add(string filter = "webhooks.>", string name = "mine")
    {
        var builder = ConsumerHost.Builder("Host=127.0.0.1", "nats://127.0.0.1");
        builder.AddEventConsumer<OrderConsumer, Order>(filter, name);
        return builder;
    }
}
