using System.Security.Cryptography;
using System.Text;
using RuleEngineNats.Contracts;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.CdcRelay.Tests;

[Trait("Category", "Servers")]
public sealed class PublishOutboxTests
{
    [Fact]
    public async Task A_commit_is_published_once_with_its_id_headers_and_bytes()
    {
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync();
        var webhook = await outbox.RegisterAsync("orders");
        const string Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        await using var connection = await outbox.Database.OpenConnectionAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = $$"""
            SELECT set_config('rule.traceparent', '{{Trace}}', false);
            SELECT rule_webhook_publish_nats({{webhook}}, '{"b": 1.50,  "a": "ü€\"", "big": 9007199254740993}', 'order-1',
                '{"X-Tenant": "it''s", "CE-Type": "order.created"}', 'big orders', 42);
            """;
        await command.ExecuteNonQueryAsync();
        await outbox.NothingPendingAsync(relay);

        var message = Assert.Single(await outbox.AssertHistoryIsTheStreamAsync());
        Assert.Equal("webhooks.orders", message.Subject);
        Assert.Equal($"{webhook}_order-1", message.Id);
        Assert.Equal("""{"a": "ü€\"", "b": 1.50, "big": 9007199254740993}""", Encoding.UTF8.GetString(message.Body));
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(message.Body)), message.Headers[EventHeaders.BodySha256].ToString());
        Assert.Equal("WEBHOOKS", message.Headers[EventHeaders.ExpectedStream].ToString());
        Assert.Equal($"{webhook}", message.Headers[EventHeaders.WebhookId].ToString());
        Assert.Equal(message.Id, message.Headers[EventHeaders.CloudEventId].ToString());
        Assert.Equal("it's", message.Headers["X-Tenant"].ToString());
        Assert.Equal("order.created", message.Headers[EventHeaders.CloudEventType].ToString());
        Assert.Equal("42", message.Headers[EventHeaders.RuleExecutionId].ToString());
        Assert.Equal(Trace.Split('-')[1], message.Headers[EventHeaders.TraceParent].ToString().Split('-')[1]);

        var row = await outbox.ScalarAsync<string>("SELECT concat_ws(' ', stream_name, sequence_number, duplicate, success, attempts, latency_ms >= 0, stored_at IS NOT NULL) FROM rule_nats_publish_history");
        Assert.Equal("WEBHOOKS 1 f t 1 t t", row);
    }

    [Fact]
    public async Task A_rollback_and_a_rolled_back_savepoint_publish_nothing()
    {
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync();
        await outbox.StreamingAsync();
        var webhook = await outbox.RegisterAsync("orders");
        await outbox.ExecuteAsync($$"""
            DO $do$
            BEGIN
                PERFORM rule_webhook_publish_nats({{webhook}}, '{"n":"kept 1"}');
                BEGIN
                    PERFORM rule_webhook_publish_nats({{webhook}}, '{"n":"savepoint"}');
                    RAISE EXCEPTION 'back';
                EXCEPTION WHEN raise_exception THEN NULL;
                END;
                PERFORM rule_webhook_publish_nats({{webhook}}, '{"n":"kept 2"}');
            END $do$
            """);
        await using (var connection = await outbox.Database.OpenConnectionAsync())
        {
            await using var transaction = await connection.BeginTransactionAsync();
            await using var command = connection.CreateCommand();
            command.CommandText = $$"""SELECT rule_webhook_publish_nats({{webhook}}, '{"n":"rolled back"}')""";
            await command.ExecuteNonQueryAsync();
            await transaction.RollbackAsync();
        }

        // This one must arrive, and with the two that were kept it is all there is.
        var last = await outbox.PublishAsync(webhook, """{"n":"last"}""");
        await outbox.StoredAsync(last, relay);
        await outbox.NothingPendingAsync(relay);
        var messages = await outbox.AssertHistoryIsTheStreamAsync();
        Assert.Equal(["""{"n": "kept 1"}""", """{"n": "kept 2"}""", """{"n": "last"}"""], messages.Select(message => Encoding.UTF8.GetString(message.Body)));
    }

    [Fact]
    public async Task Commits_of_one_subject_keep_their_order()
    {
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync();
        await outbox.StreamingAsync();
        var webhook = await outbox.RegisterAsync("orders");
        await using var early = await outbox.Database.OpenConnectionAsync();
        await using var transaction = await early.BeginTransactionAsync();
        await using var command = early.CreateCommand();
        command.CommandText = $$"""SELECT rule_webhook_publish_nats({{webhook}}, '{"n": 1000}')""";
        await command.ExecuteNonQueryAsync();
        for (var n = 0; n < 1000; n++)
        {
            await outbox.PublishAsync(webhook, $$"""{"n": {{n}}}""");
        }

        await transaction.CommitAsync();
        await outbox.NothingPendingAsync(relay);
        var messages = await outbox.AssertHistoryIsTheStreamAsync();
        Assert.Equal(Enumerable.Range(0, 1001).Select(n => $$"""{"n": {{n}}}"""), messages.Select(message => Encoding.UTF8.GetString(message.Body)));
    }

    [Fact]
    public async Task A_late_commit_is_not_missed_and_delays_nobody()
    {
        await using var outbox = await Outbox.CreateAsync();
        var relay = await outbox.StartRelayAsync(settings: ("Relay__ScanInterval", "00:00:00.100"));
        await outbox.StreamingAsync();
        var webhook = await outbox.RegisterAsync("orders");
        await using var late = await outbox.Database.OpenConnectionAsync();
        await using var transaction = await late.BeginTransactionAsync();
        await using var command = late.CreateCommand();
        command.CommandText = $$"""SELECT rule_webhook_publish_nats({{webhook}}, '{"late": true}', 'late')""";
        await command.ExecuteNonQueryAsync();
        for (var n = 0; n < 500; n++)
        {
            await outbox.PublishAsync(webhook, $$"""{"n": {{n}}}""");
        }

        await outbox.NothingPendingAsync(relay);
        Assert.Equal(500, (await outbox.ReadStreamAsync()).Count);
        // Several scans pass while it holds its place; the slot is lost and the low-water mark is all there is to go by.
        var scanned = await outbox.ScalarAsync<DateTime>("SELECT clock_timestamp()");
        await Wait.UntilAsync(async () => await outbox.ScalarAsync<bool>("SELECT last_scan_at > $1 FROM rule_nats_relay_state", scanned), "a scan began after the last commit");
        await relay.KillAsync();
        await DropSlotAsync(outbox);
        await transaction.CommitAsync();
        await relay.RestartAsync();
        await outbox.NothingPendingAsync(relay);
        Assert.Equal(501, (await outbox.AssertHistoryIsTheStreamAsync()).Count);
    }

    [Fact]
    public async Task Rows_from_before_the_first_start_are_published()
    {
        await using var outbox = await Outbox.CreateAsync();
        var webhook = await outbox.RegisterAsync("orders");
        for (var n = 0; n < 100; n++)
        {
            await outbox.PublishAsync(webhook, $$"""{"n": {{n}}}""");
        }

        var relay = await outbox.StartRelayAsync();
        await outbox.NothingPendingAsync(relay);
        Assert.Equal(100, (await outbox.AssertHistoryIsTheStreamAsync()).Count);
    }

    [Fact]
    public async Task The_rights_of_its_role_and_replication_are_enough()
    {
        await using var postgres = await PostgresServer.StartPrivateAsync();
        await using var outbox = await Outbox.CreateAsync(postgres);
        await outbox.ExecuteAsync("CREATE ROLE relay_login LOGIN REPLICATION IN ROLE rule_relay");
        var webhook = await outbox.RegisterAsync("orders");
        await outbox.PublishAsync(webhook, """{"n": "before the slot"}""");
        var refused = await outbox.PublishAsync(await outbox.RegisterAsync("homeless", "elsewhere.orders"), """{"n": "no stream"}""");
        await outbox.ExecuteAsync("""
            INSERT INTO rule_webhook_calls (webhook_id, payload, status, created_at, completed_at)
            SELECT 1, '{}', 'success', now() - interval '8 days', now() - interval '8 days' FROM generate_series(1, 6000)
            """);
        var login = new Npgsql.NpgsqlConnectionStringBuilder(outbox.ConnectionString) { Username = "relay_login" }.ConnectionString;
        var relay = await outbox.StartRelayAsync(settings: [("ConnectionStrings__rules", login), ("Relay__MaintainInterval", "00:00:01")]);
        await outbox.StoredAsync(await outbox.PublishAsync(webhook, """{"n": "after it"}"""), relay);
        await Wait.UntilAsync(async () => await outbox.CountAsync("stored") == 2, "both are stored");
        await Wait.UntilAsync(async () => await outbox.ScalarAsync<int>("SELECT attempts FROM rule_nats_publish_history WHERE publish_id = $1", refused) > 1, "the third is tried again");
        await Wait.UntilAsync(async () => await outbox.ScalarAsync<long>("SELECT count(*) FROM rule_webhook_calls") == 0, "what is older than its retention is purged");
        Assert.True(await outbox.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'relay_login' AND backend_type = 'walsender')"));
        Assert.DoesNotContain("permission denied", relay.Output, StringComparison.Ordinal);
    }

    internal static async Task DropSlotAsync(Outbox outbox) => await Wait.UntilAsync(
        async () =>
        {
            await outbox.ExecuteAsync("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active", outbox.Slot);
            await outbox.ExecuteAsync("SELECT pg_drop_replication_slot($1)", outbox.Slot);
            return true;
        },
        "the slot is dropped");
}
