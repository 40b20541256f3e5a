using System.Diagnostics;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using RuleEngineNats.TestKit;
using Xunit.Abstractions;

namespace RuleEngineNats.CdcRelay.Tests.Reconciliation;

/// <summary>Losses made by putting an earlier copy of the store back: what a power cut does to a server that has not synced.</summary>
[Trait("Category", "Servers")]
public sealed class ReconcilerTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_lost_tail_is_published_again_before_anything_new()
    {
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync();
        var webhook = await outbox.RegisterAsync("orders");
        await PublishAsync(outbox, webhook, "kept", 30);
        await VerifiedAsync(outbox, 0);
        await LoseAsync(outbox, async () =>
        {
            await PublishAsync(outbox, webhook, "lost", 50);
            return await outbox.ReadStreamAsync();
        }, out var reading, async () => await PublishAsync(outbox, webhook, "new", 20, stored: false));
        await outbox.NothingPendingAsync(relay);
        var before = (await reading).Skip(30).ToList();

        var stream = await outbox.AssertHistoryIsTheStreamAsync();
        Assert.Equal(100, stream.Count);
        Assert.All(stream.Skip(30).Take(50), message => Assert.Contains("_lost-", message.Id, StringComparison.Ordinal));
        Assert.Equal(before.Select(Content), stream.Skip(30).Take(50).Select(Content));
        Assert.All(stream.Skip(30).Take(50), message => Assert.Equal("true", message.Headers["rule-restored"]));
        Assert.Equal(50, await outbox.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE superseded -> 0 ->> 'stream' = 'WEBHOOKS'"));
        Assert.Equal(31, await outbox.ScalarAsync<long>("SELECT start_sequence FROM rule_nats_consumer_restarts WHERE config_name = 'default' AND stream_name = 'WEBHOOKS' AND done_at IS NULL"));
        await LastRunIsAsync(outbox, "server_changed 50 50");
        await relay.SaysAsync("lost 50 of 80 messages");
    }

    // A comparison of sequence numbers alone would find nothing: the stream is longer than it was.
    [Fact]
    public async Task Publishers_that_were_faster_than_the_comparison_do_not_hide_a_loss()
    {
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync();
        var webhook = await outbox.RegisterAsync("orders");
        await PublishAsync(outbox, webhook, "kept", 10);
        await VerifiedAsync(outbox, 0);
        await LoseAsync(outbox, async () =>
        {
            await PublishAsync(outbox, webhook, "lost", 20);
            await relay.KillAsync();
            return 0;
        }, out _);
        for (var n = 0; n < 40; n++)
        {
            await Wait.UntilAsync(async () => (await outbox.JetStream.PublishAsync("webhooks.foreign", "{}"u8.ToArray(), opts: new NatsJSPubOpts { MsgId = $"foreign-{n}" })).Error is null, "the server takes a publish");
        }

        await relay.RestartAsync();
        await VerifiedAsync(outbox, 70);
        var stream = await outbox.ReadStreamAsync();
        Assert.Equal(70, stream.DistinctBy(message => message.Id).Count());
        Assert.Equal(11, await outbox.ScalarAsync<long>("SELECT start_sequence FROM rule_nats_consumer_restarts"));
        await LastRunIsAsync(outbox, "server_changed 20 20");
        Assert.Equal(20, await outbox.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE sequence_number BETWEEN 51 AND 70"));
    }

    [Fact]
    public async Task A_message_that_was_published_again_but_not_marked_is_found_where_it_is()
    {
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync();
        var webhook = await outbox.RegisterAsync("orders");
        await PublishAsync(outbox, webhook, "kept", 3);
        await VerifiedAsync(outbox, 0);
        await LoseAsync(outbox, async () =>
        {
            await PublishAsync(outbox, webhook, "lost", 2);
            await relay.KillAsync();
            return 0;
        }, out _);
        await Wait.UntilAsync(async () => (await outbox.JetStream.PublishAsync("webhooks.orders", "{}"u8.ToArray(), opts: new NatsJSPubOpts { MsgId = $"{webhook}_lost-2" })).Seq == 4, "the server takes a publish");
        await relay.RestartAsync();
        await VerifiedAsync(outbox, 5);
        Assert.Equal([1UL, 2, 3, 4, 5], (await outbox.AssertHistoryIsTheStreamAsync()).Select(message => message.Sequence));
        await LastRunIsAsync(outbox, "server_changed 1 1 and 1 elsewhere");
    }

    [Fact]
    public async Task A_stream_that_was_deleted_and_made_anew_gets_back_what_it_had()
    {
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync();
        var webhook = await outbox.RegisterAsync("orders");
        await PublishAsync(outbox, webhook, "lost", 20);
        await VerifiedAsync(outbox, 0);
        await outbox.JetStream.DeleteStreamAsync("WEBHOOKS");
        await outbox.ExecuteAsync("SELECT rule_nats_reconcile('WEBHOOKS')");
        await LastRunIsAsync(outbox, "requested 0 0 stream WEBHOOKS of default could not be compared");
        await outbox.CreateStreamAsync();
        await outbox.ExecuteAsync("SELECT rule_nats_reconcile('WEBHOOKS')");
        await VerifiedAsync(outbox, 20);
        await PublishAsync(outbox, webhook, "new", 1);
        Assert.Equal(21, (await outbox.AssertHistoryIsTheStreamAsync()).Count);
        Assert.Equal(0, await outbox.ScalarAsync<long>("SELECT count(*) FROM rule_nats_consumer_restarts"));
    }

    [Fact]
    public async Task What_a_purge_or_retention_removed_does_not_come_back()
    {
        await using var outbox = await Outbox.CreateAsync(withStream: false);
        await outbox.JetStream.CreateStreamAsync(new StreamConfig("WEBHOOKS", ["webhooks.>"]) { MaxMsgs = 25, Discard = StreamConfigDiscard.Old });
        await outbox.JetStream.CreateStreamAsync(new StreamConfig("WORK", ["work.>"]) { Retention = StreamConfigRetention.Workqueue });
        await outbox.ExecuteAsync("SELECT rule_nats_stream_create('WORK', ARRAY['work.>'])");
        await outbox.StartRelayAsync();
        var webhook = await outbox.RegisterAsync("orders");
        var work = await outbox.RegisterAsync("work", "work.done");
        await PublishAsync(outbox, webhook, "old", 40);
        await PublishAsync(outbox, work, "work", 5);
        await (await outbox.JetStream.GetStreamAsync("WEBHOOKS")).PurgeAsync(new StreamPurgeRequest { Seq = 30 });
        var consumer = await outbox.JetStream.CreateOrUpdateConsumerAsync("WORK", new ConsumerConfig("worker") { AckPolicy = ConsumerConfigAckPolicy.Explicit });
        await foreach (var message in consumer.FetchAsync<byte[]>(new NatsJSFetchOpts { MaxMsgs = 3 }))
        {
            await message.AckAsync(new AckOpts { DoubleAck = true });
        }

        await ReconcileAsync(outbox, "1 hour");
        await LastRunIsAsync(outbox, "requested 0 0");
        await outbox.Nats.KillAsync();
        await outbox.Nats.RestartAsync();
        await Wait.UntilAsync(async () => await outbox.ScalarAsync<long>("SELECT count(*) FROM rule_nats_reconcile_runs WHERE reason = 'server_changed'") == 2, "both streams are compared after the restart");
        // This one is stored, and it is the only one.
        await PublishAsync(outbox, webhook, "new", 1);
        Assert.Equal(Enumerable.Range(30, 12).Select(n => (ulong)n), (await outbox.ReadStreamAsync()).Select(message => message.Sequence));
        Assert.Equal(2, (await outbox.JetStream.GetStreamAsync("WORK")).Info.State.Messages);
        Assert.Equal(0, await outbox.ScalarAsync<long>("SELECT count(*) FROM rule_nats_reconcile_runs WHERE missing > 0"));
    }

    [Fact]
    public async Task A_deleted_message_is_found_when_an_operator_asks()
    {
        await using var outbox = await Outbox.CreateAsync(withStream: false);
        await CreateForgetfulAsync(outbox);
        await outbox.StartRelayAsync(settings: ("Reconciler__Interval", "00:00:00.500"));
        var webhook = await outbox.RegisterAsync("orders");
        await PublishAsync(outbox, webhook, "x", 10);
        await (await outbox.JetStream.GetStreamAsync("WEBHOOKS")).DeleteMessageAsync(new StreamMsgDeleteRequest { Seq = 4 });
        await ReconcileAsync(outbox, null);
        // The server may still know the id, and take the event for a duplicate of what is not there.
        await Wait.UntilAsync(async () => await outbox.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM rule_nats_reconcile_runs WHERE republished = 1)"), "the message is back");
        Assert.Equal([1UL, 2, 3, 5, 6, 7, 8, 9, 10, 11], (await outbox.AssertHistoryIsTheStreamAsync()).Select(message => message.Sequence));
        // One hole does not turn the consumer back.
        Assert.Equal(0, await outbox.ScalarAsync<long>("SELECT count(*) FROM rule_nats_consumer_restarts"));
        await ReconcileAsync(outbox, null);
        await LastRunIsAsync(outbox, "requested 0 0");
    }

    [Fact]
    public async Task A_stream_that_refuses_or_is_full_is_reported_and_does_not_stop_the_relay()
    {
        await using var outbox = await Outbox.CreateAsync(withStream: false);
        await CreateForgetfulAsync(outbox);
        var relay = await outbox.StartRelayAsync(settings: ("Reconciler__Interval", "00:00:00.500"));
        var webhook = await outbox.RegisterAsync("orders");
        await PublishAsync(outbox, webhook, "x", 10);
        var stream = await outbox.JetStream.GetStreamAsync("WEBHOOKS");
        await stream.DeleteMessageAsync(new StreamMsgDeleteRequest { Seq = 4 });
        await stream.UpdateAsync(stream.Info.Config with { MaxMsgs = 9 });
        await ReconcileAsync(outbox, null);
        await Wait.UntilAsync(async () => (await LastRunAsync(outbox)).StartsWith("interval 1 0 StreamFull", StringComparison.Ordinal), "the full stream is reported");
        await stream.UpdateAsync(stream.Info.Config with { MaxMsgs = -1 });
        await PublishAsync(outbox, webhook, "y", 1);
        await LastRunIsAsync(outbox, "interval 1 1");
        await outbox.NothingPendingAsync(relay);
        Assert.Equal(11, (await outbox.AssertHistoryIsTheStreamAsync()).Count);
    }

    [Fact]
    public async Task The_regular_look_at_an_unchanged_stream_compares_nothing_and_is_kept_once()
    {
        await using var outbox = await Outbox.CreateAsync();
        await outbox.StartRelayAsync(settings: ("Reconciler__Interval", "00:00:00.200"));
        var webhook = await outbox.RegisterAsync("orders");
        await PublishAsync(outbox, webhook, "x", 10);
        var first = await outbox.ScalarAsync<DateTime>("SELECT clock_timestamp()");
        for (var looks = 0; looks < 3; looks++)
        {
            await Wait.UntilAsync(async () => await outbox.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM rule_nats_reconcile_state WHERE verified_at > $1 AND last_sequence = 10)", first), "it looked again");
            first = await outbox.ScalarAsync<DateTime>("SELECT clock_timestamp()");
        }

        Assert.Equal(0, await outbox.ScalarAsync<long>("SELECT sum(checked)::bigint FROM rule_nats_reconcile_runs WHERE reason = 'interval'"));
        await Wait.UntilAsync(async () => await outbox.ScalarAsync<long>("SELECT count(*) FROM rule_nats_reconcile_runs") <= 2, "all but the last are forgotten");
    }

    [Fact]
    public async Task Twenty_thousand_lost_messages_are_back_within_seconds()
    {
        const int Events = 20_000;
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync();
        var webhook = await outbox.RegisterAsync("orders");
        await VerifiedAsync(outbox, 0);
        await LoseAsync(outbox, async () =>
        {
            await outbox.ExecuteAsync("SELECT count(rule_webhook_publish_nats($1, jsonb_build_object('n', n), 'lost-' || n)) FROM generate_series(1, $2) AS n", webhook, Events);
            await outbox.NothingPendingAsync(relay);
            return 0;
        }, out _);
        var clock = Stopwatch.StartNew();
        await VerifiedAsync(outbox, Events);
        output.WriteLine($"{Events} messages restored in {clock.Elapsed.TotalSeconds:0.0} s");
        Assert.Equal(Events, (await outbox.AssertHistoryIsTheStreamAsync()).Count);
        clock.Restart();
        await ReconcileAsync(outbox, "1 hour");
        output.WriteLine($"{Events} messages compared in {clock.Elapsed.TotalSeconds:0.0} s");
        await LastRunIsAsync(outbox, "requested 0 0");
    }

    // Keeps the store, does something, and puts the store back; the server runs again afterwards.
    private static Task LoseAsync<T>(Outbox outbox, Func<Task<T>> what, out Task<T> result, Func<Task>? meanwhile = null)
    {
        var done = new TaskCompletionSource<T>();
        result = done.Task;
        return RunAsync();

        async Task RunAsync()
        {
            await outbox.Nats.KillAsync();
            outbox.Nats.CopyStore();
            await outbox.Nats.RestartAsync();
            await VerifiedAsync(outbox, 0);
            done.SetResult(await what());
            await outbox.Nats.KillAsync();
            outbox.Nats.RestoreStore();
            await (meanwhile?.Invoke() ?? Task.CompletedTask);
            await outbox.Nats.RestartAsync();
        }
    }

    // It knows the ids of the last 100 ms only.
    private static async Task CreateForgetfulAsync(Outbox outbox) => await outbox.JetStream.CreateStreamAsync(
        new StreamConfig("WEBHOOKS", ["webhooks.>"]) { Discard = StreamConfigDiscard.New, DuplicateWindow = TimeSpan.FromMilliseconds(100) });

    private static async Task PublishAsync(Outbox outbox, int webhook, string name, int count, bool stored = true)
    {
        await outbox.ExecuteAsync(
            "SELECT rule_webhook_publish_nats($1, jsonb_build_object('n', n, 'text', 'ä'), $2 || '-' || n) FROM generate_series(1, $3) AS n", webhook, name, count);
        if (stored)
        {
            await outbox.NothingPendingAsync();
        }
    }

    private static Task VerifiedAsync(Outbox outbox, long atLeast) => Wait.UntilAsync(
        async () =>
        {
            var info = (await outbox.JetStream.GetStreamAsync("WEBHOOKS")).Info;
            return (long)info.State.LastSeq >= atLeast && await outbox.ScalarAsync<bool>(
                "SELECT EXISTS (SELECT FROM rule_nats_reconcile_state WHERE stream_name = 'WEBHOOKS' AND server_ids @> ARRAY[$1])", outbox.JetStream.Connection.ServerInfo!.Id);
        },
        "the stream is verified");

    private static async Task ReconcileAsync(Outbox outbox, string? horizon)
    {
        var request = await outbox.ScalarAsync<long>("SELECT (rule_nats_reconcile(NULL, $1::text::interval) ->> 'request_id')::bigint", (object?)horizon ?? DBNull.Value);
        await Wait.UntilAsync(async () => await outbox.ScalarAsync<bool>("SELECT finished_at IS NOT NULL FROM rule_nats_reconcile_runs WHERE run_id = $1", request), "the request is served");
    }

    private static Task LastRunIsAsync(Outbox outbox, string run) => Wait.UntilAsync(async () => await LastRunAsync(outbox) == run, $"the last run is: {run}");

    private static Task<string> LastRunAsync(Outbox outbox) => outbox.ScalarAsync<string>("""
        SELECT concat(reason, ' ', missing, ' ', republished, CASE WHEN duplicates > 0 THEN concat(' and ', duplicates, ' elsewhere') END, ' ' || error)
          FROM rule_nats_reconcile_runs WHERE finished_at IS NOT NULL AND (missing > 0 OR reason = 'requested') ORDER BY run_id DESC LIMIT 1
        """);

    // Everything but the place, and the two headers that a second publish has otherwise: the span it was published in, and that it is a second one.
    private static string Content(Outbox.Message message) => string.Join('\n', [
        message.Subject, Convert.ToHexString(message.Body),
        .. message.Headers.Where(header => header.Key is not ("rule-restored" or "traceparent")).Select(header => $"{header.Key}: {header.Value}").Order()]);
}
