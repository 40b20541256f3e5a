using System.Text;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Messaging.Tests;

[Trait("Category", "Servers")]
public sealed class EventPublisherTests
{
    [Fact]
    public async Task A_stored_event_has_a_stream_and_a_sequence()
    {
        await using var harness = await (await Harness.StartAsync()).WithStreamAsync();

        Assert.Equal(new PublishOutcome.Stored("EVENTS", 1), await PublishAsync(harness, Harness.Event("a")));
        Assert.Equal(new PublishOutcome.Stored("EVENTS", 2), await PublishAsync(harness, Harness.Event("b")));
    }

    [Fact]
    public async Task The_same_id_is_a_duplicate_with_the_first_place_and_another_body_is_refused()
    {
        await using var harness = await (await Harness.StartAsync()).WithStreamAsync();
        await PublishAsync(harness, Harness.Event("a", "1"));

        Assert.Equal(new PublishOutcome.Duplicate("EVENTS", 1), await PublishAsync(harness, Harness.Event("a", "1")));
        Assert.Equal(RefusalReason.BodyMismatch, Assert.IsType<PublishOutcome.Refused>(await PublishAsync(harness, Harness.Event("a", "2"))).Reason);
        Assert.Equal(1, await harness.CountAsync());
    }

    [Fact]
    public async Task A_duplicate_of_a_message_without_our_hash_is_compared_by_its_body()
    {
        await using var harness = await (await Harness.StartAsync()).WithStreamAsync();
        await harness.JetStream.PublishAsync("ev.a", Encoding.UTF8.GetBytes("1"), opts: new NATS.Client.JetStream.NatsJSPubOpts { MsgId = "foreign" });

        Assert.IsType<PublishOutcome.Duplicate>(await PublishAsync(harness, Harness.Event("foreign", "1")));
        Assert.IsType<PublishOutcome.Refused>(await PublishAsync(harness, Harness.Event("foreign", "2")));
    }

    [Fact]
    public async Task Without_a_stream_it_is_unavailable_and_stored_once_there_is_one()
    {
        await using var harness = await Harness.StartAsync();

        Assert.Equal(UnavailableReason.NoStream, Assert.IsType<PublishOutcome.Unavailable>(await PublishAsync(harness, Harness.Event("a"))).Reason);
        await harness.WithStreamAsync();
        Assert.Equal(new PublishOutcome.Stored("EVENTS", 1), await PublishAsync(harness, Harness.Event("a")));
    }

    [Fact]
    public async Task Another_stream_than_the_expected_one_is_refused_and_stores_nothing()
    {
        await using var harness = await (await Harness.StartAsync()).WithStreamAsync();

        Assert.Equal(RefusalReason.WrongStream, Assert.IsType<PublishOutcome.Refused>(await PublishAsync(harness, Harness.Event("a", stream: "OTHER"))).Reason);
        Assert.Equal(0, await harness.CountAsync());
    }

    [Fact]
    public async Task A_message_beyond_the_streams_own_limit_or_ours_is_refused_and_spares_its_neighbours()
    {
        await using var harness = await (await Harness.StartAsync()).WithStreamAsync(stream => stream with { MaxMsgSize = 10_000 });
        var neighbours = Enumerable.Range(0, 200).Select(number => PublishAsync(harness, Harness.Event($"n-{number}"))).ToArray();

        Assert.Equal(RefusalReason.TooLarge, Assert.IsType<PublishOutcome.Refused>(await PublishAsync(harness, Harness.Event("a", new string('1', 20_000)))).Reason);
        Assert.Equal(
            new PublishOutcome.Refused(RefusalReason.TooLarge, "payload: 67108865 bytes, at most 67108864; publish a reference to the data instead"),
            await PublishAsync(harness, Harness.Event("b", new string('1', (64 * 1024 * 1024) + 1))));
        Assert.All(await Task.WhenAll(neighbours), outcome => Assert.IsType<PublishOutcome.Stored>(outcome));
        Assert.All(harness.Pool.GetStatistics().Connections, connection => Assert.Equal(0, connection.Disconnects));
    }

    [Fact]
    public async Task A_full_stream_is_unavailable()
    {
        await using var harness = await (await Harness.StartAsync()).WithStreamAsync(stream => stream with { MaxMsgs = 1 });
        await PublishAsync(harness, Harness.Event("a"));

        Assert.Equal(UnavailableReason.StreamFull, Assert.IsType<PublishOutcome.Unavailable>(await PublishAsync(harness, Harness.Event("b"))).Reason);
    }

    [Fact]
    public async Task A_server_that_does_not_answer_leaves_the_outcome_unknown_and_a_repeat_settles_it()
    {
        await using var harness = await (await Harness.StartAsync(new MessagingOptions { AckTimeout = TimeSpan.FromMilliseconds(300) })).WithStreamAsync();
        await PublishAsync(harness, Harness.Event("before"));
        harness.Server.Pause();
        var unknown = await harness.Publisher.PublishAsync(Harness.Event("a"), TimeSpan.FromSeconds(1), null, CancellationToken.None);
        harness.Server.Resume();

        Assert.Equal(UnavailableReason.Timeout, Assert.IsType<PublishOutcome.Unavailable>(unknown).Reason);
        Assert.True(await PublishAsync(harness, Harness.Event("a")) is PublishOutcome.Duplicate or PublishOutcome.Stored);
        Assert.Equal(2, await harness.CountAsync());
    }

    [Fact]
    public async Task Without_a_server_nothing_was_sent_and_the_pool_comes_back_by_itself()
    {
        await using var harness = await (await Harness.StartAsync()).WithStreamAsync();
        await harness.Server.KillAsync();

        var outcome = await harness.Publisher.PublishAsync(Harness.Event("a"), TimeSpan.FromMilliseconds(500), null, CancellationToken.None);
        await harness.Server.RestartAsync();
        await harness.Pool.WaitUntilHealthyAsync(CancellationToken.None);

        Assert.Equal(UnavailableReason.Disconnected, Assert.IsType<PublishOutcome.Unavailable>(outcome).Reason);
        Assert.Equal(new PublishOutcome.Stored("EVENTS", 1), await PublishAsync(harness, Harness.Event("a")));
    }

    [Fact]
    public async Task A_server_killed_and_restarted_within_the_budget_is_not_seen()
    {
        await using var harness = await (await Harness.StartAsync()).WithStreamAsync();
        var stopping = new CancellationTokenSource();
        var published = new List<Task<PublishOutcome>>();
        var sending = Task.Run(async () =>
        {
            for (var number = 0; !stopping.IsCancellationRequested; number++)
            {
                published.Add(PublishAsync(harness, Harness.Event($"k-{number}"), 60));
                await Task.WhenAny(published[^1], Task.Delay(2));
            }
        });
        for (var round = 0; round < 3; round++)
        {
            var already = published.Count;
            await Wait.UntilAsync(() => published.Count > already + 100, "publishing goes on");
            await harness.Server.KillAsync();
            await harness.Server.RestartAsync();
        }

        await stopping.CancelAsync();
        await sending;
        var outcomes = await Task.WhenAll(published);

        Assert.All(outcomes, outcome => Assert.True(outcome is PublishOutcome.Stored or PublishOutcome.Duplicate, $"{outcome}"));
        Assert.Equal(outcomes.Length, await harness.CountAsync());
    }

    [Fact]
    public async Task A_lane_keeps_the_order_of_many_on_their_way()
    {
        await using var harness = await (await Harness.StartAsync()).WithStreamAsync();
        await PublishAsync(harness, Harness.Event("first"));
        var lane = new PublishLane();

        var outcomes = await Task.WhenAll(Enumerable.Range(0, 2000)
            .Select(number => harness.Publisher.PublishAsync(Harness.Event($"{number}"), TimeSpan.FromSeconds(60), lane, CancellationToken.None).AsTask()));

        Assert.Equal(Enumerable.Range(2, 2000).Select(sequence => (ulong)sequence), outcomes.Select(outcome => Assert.IsType<PublishOutcome.Stored>(outcome).Sequence));
    }

    [Fact]
    public async Task A_cancelled_publish_throws_and_hurts_no_other()
    {
        await using var harness = await (await Harness.StartAsync()).WithStreamAsync();
        await PublishAsync(harness, Harness.Event("before"));
        harness.Server.Pause();
        using var cancelled = new CancellationTokenSource();
        var waiting = harness.Publisher.PublishAsync(Harness.Event("a"), TimeSpan.FromSeconds(60), null, cancelled.Token).AsTask();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        harness.Server.Resume();

        for (ulong number = 0; number < 500; number++)
        {
            Assert.IsType<PublishOutcome.Stored>(await PublishAsync(harness, Harness.Event($"after-{number}"), 60));
        }

        Assert.Equal(0, harness.Pool.GetStatistics().Connections.Sum(connection => connection.InFlight));
    }

    [Fact]
    public async Task The_pool_opens_two_and_grows_under_load_up_to_its_limit()
    {
        await using var harness = await (await Harness.StartAsync(new MessagingOptions { GrowAtInFlight = 16 })).WithStreamAsync();
        await PublishAsync(harness, Harness.Event("first"));
        Assert.Equal(2, harness.Pool.GetStatistics().Connections.Count);
        var number = 0;

        await Wait.UntilAsync(
            async () =>
            {
                await Task.WhenAll(Enumerable.Range(0, 2000).Select(_ => PublishAsync(harness, Harness.Event($"g-{Interlocked.Increment(ref number)}"), 60)));
                return harness.Pool.GetStatistics().Connections.Count == 10;
            },
            "the pool has ten connections");

        var statistics = harness.Pool.GetStatistics();
        Assert.Equal(10, statistics.MaxConnections);
        Assert.True(statistics.RequestsServed >= number);
        Assert.Equal(number + 1, await harness.CountAsync());
    }

    [Fact]
    public async Task An_account_that_may_not_publish_gets_no_false_success()
    {
        var server = new NatsServerOptions(Configuration: """
            authorization { users: [
              { user: "admin", password: "a" },
              { user: "reader", password: "r", permissions: { publish: { deny: ["ev.>"] } } }
            ] }
            no_auth_user: admin
            """);
        await using var harness = await (await Harness.StartAsync(new MessagingOptions { Credentials = { ["default"] = new NatsCredentials { Username = "reader", Password = "r" } } }, server)).WithStreamAsync();

        var outcome = await harness.Publisher.PublishAsync(Harness.Event("a"), TimeSpan.FromSeconds(1), null, CancellationToken.None);

        Assert.True(outcome is PublishOutcome.Unavailable or PublishOutcome.Refused, $"{outcome}");
        Assert.Equal(0, await harness.CountAsync());
    }

    // A loaded machine may take its time: the budget is what a test waits for, not what it measures.
    private static Task<PublishOutcome> PublishAsync(Harness harness, EventMessage message, int seconds = 20)
        => harness.Publisher.PublishAsync(message, TimeSpan.FromSeconds(seconds), null, CancellationToken.None).AsTask();
}
