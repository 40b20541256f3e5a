using System.Text;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.CdcRelay.Tests;

/// <summary>Rows whose payload is too large for a message.</summary>
[Trait("Category", "Servers")]
public sealed class LargePayloadTests
{
    private const int Size = 700_000;

    [Fact]
    public async Task Large_rows_keep_their_order_among_small_ones_and_are_restored_with_their_objects()
    {
        await using var outbox = await Outbox.CreateAsync();
        await PayloadBucket.CreateAsync(outbox.JetStream);
        var relay = await outbox.StartRelayAsync(settings: [("Reconciler__Interval", "00:00:01"), ("Reconciler__Settle", "00:00:01")]);
        await outbox.StreamingAsync();
        var webhook = await outbox.RegisterAsync("orders");
        var large = PayloadBucket.Json(Size);
        foreach (var (id, payload) in new[] { ("a", "{}"), ("b", large), ("c", "{}"), ("d", large), ("e", PayloadBucket.Json(300_000)), ("f", "{}") })
        {
            await outbox.PublishAsync(webhook, payload, id);
        }

        Assert.True(await outbox.ScalarAsync<bool>("SELECT (rule_webhook_publish_nats($1, $2::jsonb, 'b') ->> 'duplicate')::boolean", webhook, large));
        await outbox.NothingPendingAsync(relay);
        var messages = await outbox.AssertHistoryIsTheStreamAsync();
        Assert.Equal(["a", "b", "c", "d", "e", "f"], messages.Select(message => message.Id.Split('_')[1]));
        // jsonb has its own order and spaces: its text is the event.
        var stored = Encoding.UTF8.GetBytes(await outbox.ScalarAsync<string>("SELECT payload::text FROM rule_nats_publish_history WHERE message_id = 'b'"));
        Assert.All(messages.Where(message => message.Id.EndsWith('b') || message.Id.EndsWith('d')), message =>
        {
            Assert.Empty(message.Body);
            Assert.All(PayloadBucket.Headers(stored), header => Assert.Equal(header.Value, message.Headers[header.Name].ToString()));
        });
        Assert.Equal(1, await PayloadBucket.CountAsync(outbox.JetStream));

        // Stream and bucket are lost: the history has the bytes of both.
        await outbox.JetStream.DeleteStreamAsync("WEBHOOKS");
        await outbox.JetStream.DeleteStreamAsync($"OBJ_{PayloadBucket.Name}");
        await outbox.CreateStreamAsync();
        await PayloadBucket.CreateAsync(outbox.JetStream);
        await Wait.UntilAsync(async () => (await outbox.ReadStreamAsync()).Count == 6, "everything is in the new stream", TimeSpan.FromSeconds(30));
        Assert.True((await (await PayloadBucket.OpenAsync(outbox.JetStream)).GetBytesAsync(PayloadBucket.Sha256(stored))).AsSpan().SequenceEqual(stored));
    }

    [Fact]
    public async Task Without_the_bucket_large_rows_wait_and_say_why_and_the_others_go_on()
    {
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync();
        var webhook = await outbox.RegisterAsync("orders");
        for (var n = 0; n < 5; n++)
        {
            await outbox.PublishAsync(webhook, PayloadBucket.Json(Size));
            await outbox.PublishAsync(webhook, $$"""{"n": {{n}}}""");
        }

        await Wait.UntilAsync(async () => await outbox.CountAsync("stored") == 5, "the small ones are stored");
        await Wait.UntilAsync(
            () => outbox.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM rule_nats_publish_history WHERE state = 'pending' AND last_error LIKE 'NoStream: %bucket RULE_PAYLOADS does not exist%')"),
            "a pending row says why");
        Assert.Equal(5, await outbox.CountAsync("pending"));

        await PayloadBucket.CreateAsync(outbox.JetStream);
        await outbox.NothingPendingAsync(relay);
        Assert.Equal(10, (await outbox.AssertHistoryIsTheStreamAsync()).Count);
        Assert.Equal(5, await PayloadBucket.CountAsync(outbox.JetStream));
    }
}
