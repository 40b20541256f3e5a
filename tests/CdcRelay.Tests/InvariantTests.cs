using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Npgsql;
using RuleEngineNats.TestKit;
using Xunit.Abstractions;

namespace RuleEngineNats.CdcRelay.Tests;

/// <summary>Invariants between COMMIT and the stream, under the faults that their names say.</summary>
[Trait("Category", "Servers")]
public sealed class InvariantTests(ITestOutputHelper output)
{
    [Fact]
    public async Task I5_no_row_says_stored_though_acknowledgements_are_cut_off_or_say_sequence_0()
    {
        await using var outbox = await Outbox.CreateAsync();
        await using var proxy = TcpProxy.Before(outbox.Nats);
        var relay = await outbox.StartRelayAsync(
            settings: [("ConnectionStrings__nats", proxy.Url), ("Messaging__AckTimeout", "00:00:00.500"), ("Messaging__PublishBudget", "00:00:01")]);
        var webhook = await outbox.RegisterAsync("orders");
        var cut = new PubAcks();
        proxy.Answer(cut.CutEvery(20));
        var load = await Load.RunAsync(outbox, webhook, 800, () => Wait.UntilAsync(() => cut.Harmed >= 5, "connections were cut between PUB and PubAck"));

        proxy.AnswerUnchanged();
        await outbox.NothingPendingAsync(relay);
        await load.AssertArrivedAsync(outbox);

        var before = await outbox.CountAsync("stored");
        var zero = new PubAcks();
        proxy.Answer(zero.SayZero());
        for (var n = 0; n < 20; n++)
        {
            await outbox.PublishAsync(webhook, $$"""{"n": {{n}}}""");
        }

        await Wait.UntilAsync(
            async () => await outbox.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE state = 'pending' AND attempts > 0 AND last_error IS NOT NULL") == 20,
            "each of the 20 has its failure recorded");
        Assert.True(zero.Harmed > 0);
        Assert.Equal(before, await outbox.CountAsync("stored"));
        proxy.AnswerUnchanged();
        await outbox.NothingPendingAsync(relay);
        Assert.Equal(before + 20, (await outbox.AssertHistoryIsTheStreamAsync()).Count);
        output.WriteLine($"{cut.Harmed} cuts and {zero.Harmed} zero acknowledgements: {before + 20} stored once, 0 false successes");
    }

    [Fact]
    public async Task I8_the_order_of_commits_is_kept_per_subject_though_the_relay_is_killed_three_times()
    {
        const int Keys = 64;
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync();
        await outbox.StreamingAsync();
        await outbox.ExecuteAsync("CREATE TABLE commit_order (webhook_id integer PRIMARY KEY, n integer NOT NULL)");
        for (var key = 0; key < Keys; key++)
        {
            await outbox.ExecuteAsync("INSERT INTO commit_order VALUES ($1, 0)", await outbox.RegisterAsync($"key{key}"));
        }

        var done = false;
        var writers = Enumerable.Range(0, 32).Select(writer => WriteInOrderAsync(outbox, new Random(writer), Keys, () => Volatile.Read(ref done))).ToArray();
        for (var kill = 0; kill < 3; kill++)
        {
            await MoreStoredAsync(outbox, 200);
            await relay.KillAsync();
            await relay.RestartAsync();
        }

        await MoreStoredAsync(outbox, 200);
        Volatile.Write(ref done, true);
        await Task.WhenAll(writers);
        await outbox.NothingPendingAsync(relay);

        var messages = await outbox.AssertHistoryIsTheStreamAsync();
        foreach (var subject in messages.GroupBy(message => message.Subject))
        {
            // The row lock lets a key's transactions commit in the order of n.
            Assert.Equal(Enumerable.Range(1, subject.Count()), subject.Select(message => JsonDocument.Parse(message.Body).RootElement.GetProperty("n").GetInt32()));
        }

        output.WriteLine($"{messages.Count} events of {Keys} subjects, 0 inversions");
    }

    [Fact]
    public async Task I9_a_transaction_that_holds_its_place_and_prepared_ones_are_not_missed_and_delay_nobody()
    {
        const int Later = 5_000;
        await using var postgres = await PostgresServer.StartPrivateAsync(["max_prepared_transactions=10"]);
        await using var outbox = await Outbox.CreateAsync(postgres);
        var relay = await outbox.StartRelayAsync(settings: ("Relay__ScanInterval", "00:00:00.200"));
        await outbox.StreamingAsync();
        var webhook = await outbox.RegisterAsync("orders");
        await using var holder = await outbox.Database.OpenConnectionAsync();
        await using var holding = await holder.BeginTransactionAsync();
        await RunAsync(holder, $$"""SELECT rule_webhook_publish_nats({{webhook}}, '{"which": "held"}', 'held')""");
        foreach (var name in new[] { "committed", "rolledback" })
        {
            await using var preparing = await outbox.Database.OpenConnectionAsync();
            await RunAsync(preparing, $$"""BEGIN; SELECT rule_webhook_publish_nats({{webhook}}, '{}', '{{name}}'); PREPARE TRANSACTION '{{name}}'""");
        }

        var clock = Stopwatch.StartNew();
        for (var n = 0; n < Later / 10; n++)
        {
            await outbox.ExecuteAsync("SELECT count(rule_webhook_publish_nats($1, '{}')) FROM generate_series(1, 10)", webhook);
        }

        await outbox.NothingPendingAsync(relay);
        Assert.Equal(Later, await outbox.CountAsync("stored"));
        output.WriteLine($"held for {clock.Elapsed.TotalSeconds:0.0} s; commit to stored of the {Later} later ones at most " + await outbox.ScalarAsync<string>(
            "SELECT round(max(extract(epoch FROM stored_at - published_at)) * 1000) || ' ms' FROM rule_nats_publish_history"));

        // Scans pass while they hold their places; a killed relay has to find them by its low-water mark.
        await relay.KillAsync();
        await relay.RestartAsync();
        await outbox.ExecuteAsync("ROLLBACK PREPARED 'rolledback'");
        await outbox.ExecuteAsync("COMMIT PREPARED 'committed'");
        await holding.CommitAsync();
        await outbox.StoredAsync(await outbox.PublishAsync(webhook, "{}", "last"), relay);
        await outbox.NothingPendingAsync(relay);
        var ids = (await outbox.AssertHistoryIsTheStreamAsync()).Select(message => message.Id).ToHashSet();
        Assert.Equal(Later + 3, ids.Count);
        Assert.Superset(new HashSet<string> { $"{webhook}_held", $"{webhook}_committed", $"{webhook}_last" }, ids);
        Assert.DoesNotContain($"{webhook}_rolledback", ids);
    }

    [Fact]
    public async Task I13_one_poison_row_in_a_hundred_keeps_no_good_row_waiting()
    {
        const int Rows = 4_000;
        await using var outbox = await Outbox.CreateAsync(withStream: false);
        await outbox.JetStream.CreateStreamAsync(new("WEBHOOKS", ["webhooks.>", "events.>"]) { MaxMsgSize = 65_536 });
        var relay = await outbox.StartRelayAsync();
        await outbox.StreamingAsync();
        var (webhook, homeless) = (await outbox.RegisterAsync("orders"), await outbox.RegisterAsync("homeless", "elsewhere.orders"));
        var plain = await TimeAsync(poison: false);
        var poisoned = await TimeAsync(poison: true);
        output.WriteLine($"{Rows} good rows stored in {plain.TotalSeconds:0.00} s, with 1 % poison among them in {poisoned.TotalSeconds:0.00} s");

        // What is too large is refused and says why; what has no stream yet waits, and those of its subject that were tried say so.
        Assert.Equal("20|20|20|t", await outbox.ScalarAsync<string>("""
            SELECT concat_ws('|', count(*) FILTER (WHERE state = 'refused'), count(*) FILTER (WHERE error_message LIKE 'TooLarge: %'),
                             count(*) FILTER (WHERE state = 'pending' AND subject = 'elsewhere.orders'), bool_or(last_error LIKE 'NoStream: %'))
              FROM rule_nats_publish_history WHERE state <> 'stored'
            """));
        Assert.Equal(2 * Rows, (await outbox.AssertHistoryIsTheStreamAsync()).Count);

        async Task<TimeSpan> TimeAsync(bool poison)
        {
            var before = await outbox.CountAsync("stored");
            var clock = Stopwatch.StartNew();
            for (var batch = 0; batch < Rows / 100; batch++)
            {
                await outbox.ExecuteAsync("SELECT count(rule_webhook_publish_nats($1, '{}')) FROM generate_series(1, 100)", webhook);
                if (poison)
                {
                    await (batch % 2 == 0
                        ? outbox.ExecuteAsync("SELECT rule_webhook_publish_nats($1, jsonb_build_object('large', repeat('x', 100000)))", webhook)
                        : outbox.ExecuteAsync("SELECT rule_webhook_publish_nats($1, '{}')", homeless));
                }
            }

            await Wait.UntilAsync(async () => await outbox.CountAsync("stored") == before + Rows, "every good row is stored");
            return clock.Elapsed;
        }
    }

    [Fact]
    public async Task I17_an_outage_of_NATS_and_then_of_the_relay_too_leaves_the_database_alone_and_everything_arrives_after_it()
    {
        var (calm, outage) = (TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(5));
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync();
        await outbox.StreamingAsync();
        var webhook = await outbox.RegisterAsync("orders");
        var running = await EnqueueAsync(outbox, webhook, calm);
        var memory = ResidentMegabytes(relay.Id);
        await outbox.Nats.KillAsync();
        var unheard = await EnqueueAsync(outbox, webhook, outage);
        var grown = ResidentMegabytes(relay.Id) - memory;
        await relay.KillAsync();
        var alone = await EnqueueAsync(outbox, webhook, outage);
        var waiting = await outbox.CountAsync("pending");
        // All of the outage, and what was under way when it began.
        Assert.InRange(waiting, unheard.Count + alone.Count, running.Count + unheard.Count + alone.Count);
        await outbox.Nats.RestartAsync();
        await relay.RestartAsync();
        var clock = Stopwatch.StartNew();
        await outbox.NothingPendingAsync(relay);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"""
            enqueue p50 and p99: {Figures(running)} with both, {Figures(unheard)} without NATS, {Figures(alone)} without the relay too
            relay memory +{grown:0} MB in {outage.TotalSeconds:0} s at {unheard.Count / outage.TotalSeconds:0}/s; {waiting} events caught up in {clock.Elapsed.TotalSeconds:0.0} s
            """));
        Assert.Equal(running.Count + unheard.Count + alone.Count, (await outbox.AssertHistoryIsTheStreamAsync()).Count);

        static string Figures(List<double> sorted)
            => string.Create(CultureInfo.InvariantCulture, $"{sorted[sorted.Count / 2]:0.0} and {sorted[(int)(0.99 * (sorted.Count - 1))]:0.0} ms");
    }

    // One event a transaction, 500 a second asked of 4 writers, as in an open loop; the sorted times of the statement with its commit.
    private static async Task<List<double>> EnqueueAsync(Outbox outbox, int webhook, TimeSpan time)
    {
        var clock = Stopwatch.StartNew();
        var times = await Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
        {
            var own = new List<double>();
            using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(8));
            while (clock.Elapsed < time)
            {
                await pace.WaitForNextTickAsync();
                var began = clock.Elapsed;
                await outbox.PublishAsync(webhook, """{"n": 1}""");
                own.Add((clock.Elapsed - began).TotalMilliseconds);
            }

            return own;
        }));
        return [.. times.SelectMany(own => own).Order()];
    }

    private static double ResidentMegabytes(int process)
        => double.Parse(
            File.ReadLines($"/proc/{process}/status").Single(line => line.StartsWith("VmRSS:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1],
            CultureInfo.InvariantCulture) / 1024;

    private static async Task WriteInOrderAsync(Outbox outbox, Random random, int keys, Func<bool> done)
    {
        while (!done())
        {
            await using var connection = await outbox.Database.OpenConnectionAsync();
            await using var transaction = await connection.BeginTransactionAsync();
            await RunAsync(connection, string.Create(CultureInfo.InvariantCulture, $"""
                WITH next AS (UPDATE commit_order SET n = n + 1
                               WHERE webhook_id = (SELECT webhook_id FROM commit_order ORDER BY webhook_id OFFSET {random.Next(keys)} LIMIT 1) RETURNING webhook_id, n)
                SELECT rule_webhook_publish_nats(webhook_id, jsonb_build_object('n', n)) FROM next;
                SELECT pg_sleep({random.NextDouble() * 0.5})
                """));
            await (random.Next(10) == 0 ? transaction.RollbackAsync() : transaction.CommitAsync());
        }
    }

    private static async Task RunAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    private static async Task MoreStoredAsync(Outbox outbox, long more)
    {
        var before = await outbox.CountAsync("stored");
        await Wait.UntilAsync(async () => await outbox.CountAsync("stored") >= before + more, $"{more} more rows are stored");
    }
}
