using RuleEngineNats.TestKit;

namespace RuleEngineNats.CdcRelay.Tests;

[Trait("Category", "Servers")]
public sealed class RefusalTests
{
    [Fact]
    public async Task A_row_that_can_never_be_stored_is_refused_with_the_reason_and_stalls_nobody()
    {
        await using var outbox = await Outbox.CreateAsync(withStream: false);
        await outbox.JetStream.CreateStreamAsync(new("WEBHOOKS", ["webhooks.>", "events.>"]) { MaxMsgSize = 65_536 });
        var relay = await outbox.StartRelayAsync();
        var webhook = await outbox.RegisterAsync("orders");
        var large = await outbox.PublishAsync(webhook, $$"""{"large": "{{new string('x', 100_000)}}"}""", "large");
        var good = await outbox.PublishAsync(webhook, """{"n": 1}""", "good");
        await outbox.StoredAsync(good, relay);
        await outbox.NothingPendingAsync(relay);
        Assert.Equal("refused", await outbox.StateAsync(large));
        Assert.Equal([$"{webhook}_good"], (await outbox.AssertHistoryIsTheStreamAsync()).Select(message => message.Id));
        var failure = await outbox.ScalarAsync<string>("SELECT concat_ws('|', publish_id, error_message) FROM nats_recent_failures");
        Assert.StartsWith($"{large}|TooLarge: ", failure, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_subject_that_another_stream_has_is_refused()
    {
        await using var outbox = await Outbox.CreateAsync();
        await outbox.CreateStreamAsync("FOREIGN", "foreign.>");
        var relay = await outbox.StartRelayAsync();
        var foreign = await outbox.PublishAsync(await outbox.RegisterAsync("foreign", "foreign.orders"), """{"n": 1}""");
        var good = await outbox.PublishAsync(await outbox.RegisterAsync("orders"), """{"n": 2}""");
        await outbox.StoredAsync(good, relay);
        await outbox.NothingPendingAsync(relay);
        Assert.Equal("refused", await outbox.StateAsync(foreign));
        Assert.StartsWith("WrongStream: ", await outbox.ScalarAsync<string>("SELECT error_message FROM nats_recent_failures"), StringComparison.Ordinal);
        Assert.Empty(await outbox.ReadStreamAsync("FOREIGN"));
    }

    [Fact]
    public async Task The_same_id_with_another_body_is_refused_where_only_the_stream_remembers_it()
    {
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync();
        var webhook = await outbox.RegisterAsync("orders");
        await outbox.ExecuteAsync("UPDATE rule_webhooks SET deduplicate_for = NULL");
        var first = await outbox.PublishAsync(webhook, """{"n": 1}""", "same");
        await outbox.StoredAsync(first, relay);
        var repeated = await outbox.PublishAsync(webhook, """{"n": 1}""", "same");
        var other = await outbox.PublishAsync(webhook, """{"n": 2}""", "same");
        await outbox.NothingPendingAsync(relay);
        Assert.Equal("1 t", await outbox.ScalarAsync<string>("SELECT concat_ws(' ', sequence_number, duplicate) FROM rule_nats_publish_history WHERE publish_id = $1", repeated));
        Assert.StartsWith("BodyMismatch: ", await outbox.ScalarAsync<string>("SELECT error_message FROM rule_nats_publish_history WHERE publish_id = $1", other), StringComparison.Ordinal);
        Assert.Single(await outbox.ReadStreamAsync());
    }

    [Fact]
    public async Task A_row_without_a_stream_waits_pending_and_visible_until_there_is_one()
    {
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync();
        var homeless = await outbox.RegisterAsync("later", "later.orders");
        var waiting = new List<long>();
        for (var n = 0; n < 20; n++)
        {
            waiting.Add(await outbox.PublishAsync(homeless, $$"""{"n": {{n}}}"""));
        }

        var good = await outbox.PublishAsync(await outbox.RegisterAsync("orders"), """{"n": 1}""");
        await outbox.StoredAsync(good, relay);
        await Wait.UntilAsync(
            async () => await outbox.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM rule_nats_publish_history WHERE state = 'pending' AND attempts > 1 AND last_error LIKE 'NoStream: %')"),
            "a pending row says why");
        Assert.Equal(20, await outbox.CountAsync("pending"));
        Assert.Equal(0, await outbox.ScalarAsync<long>("SELECT count(*) FROM nats_recent_failures"));

        await outbox.ScalarAsync<int>("SELECT rule_nats_stream_create('LATER', ARRAY['later.>'])");
        await outbox.CreateStreamAsync("LATER", "later.>");
        await outbox.NothingPendingAsync(relay);
        Assert.Equal(20, (await outbox.ReadStreamAsync("LATER")).Count);
        Assert.Equal(20, await outbox.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE state = 'stored' AND stream_name = 'LATER' AND sequence_number >= 1"));
    }

    [Fact]
    public async Task A_stream_that_is_full_holds_up_no_other_stream()
    {
        await using var outbox = await Outbox.CreateAsync(withStream: false);
        await outbox.JetStream.CreateStreamAsync(new("WEBHOOKS", ["webhooks.>", "events.>"]) { MaxMsgs = 10, Discard = NATS.Client.JetStream.Models.StreamConfigDiscard.New });
        await outbox.ScalarAsync<int>("SELECT rule_nats_stream_create('OTHER', ARRAY['other.>'])");
        await outbox.CreateStreamAsync("OTHER", "other.>");
        var relay = await outbox.StartRelayAsync();
        var (full, other) = (await outbox.RegisterAsync("full"), await outbox.RegisterAsync("other", "other.orders"));
        for (var n = 0; n < 50; n++)
        {
            await outbox.PublishAsync(full, $$"""{"n": {{n}}}""");
            await outbox.PublishAsync(other, $$"""{"n": {{n}}}""");
        }

        await Wait.UntilAsync(async () => await outbox.CountAsync("pending") == 40, "only what does not fit is pending");
        Assert.Equal(50, (await outbox.ReadStreamAsync("OTHER")).Count);
        await Wait.UntilAsync(async () => (await relay.HealthAsync()) is (200, var body) && body.Contains("StreamFull", StringComparison.Ordinal), "the relay is ready and says which stream is full");
        await outbox.JetStream.UpdateStreamAsync(new("WEBHOOKS", ["webhooks.>", "events.>"]) { MaxMsgs = -1, Discard = NATS.Client.JetStream.Models.StreamConfigDiscard.New });
        await outbox.NothingPendingAsync(relay);
        Assert.Equal(50, (await outbox.AssertHistoryIsTheStreamAsync()).Count);
    }
}
