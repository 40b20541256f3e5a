using System.Text;
using System.Text.Json;
using Npgsql;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>The four walkthroughs under sql/examples, each run twice.</summary>
[Trait("Category", "Servers")]
[Collection(ExampleGraphCollection.Name)]
public sealed class WalkthroughTests(ExampleGraph examples)
{
    [Fact]
    public async Task Basic_setup_publishes_an_id_once_and_shows_both_events_as_stored()
    {
        var (first, second) = await examples.RunTwiceAsync("01_basic_setup.sql", "/01");
        Assert.Contains("\"duplicate\": false", first, StringComparison.Ordinal);
        Assert.Contains("\"duplicate\": true", second, StringComparison.Ordinal);
        Assert.Contains("| stored | WEBHOOKS", first, StringComparison.Ordinal);
        Assert.DoesNotContain("| pending |", second, StringComparison.Ordinal);

        await DeliveredAsync("/01/slack", 3);
        Assert.Equal("3 3 100.00", await TextAsync(
            "SELECT concat_ws(' ', total_published, successful, success_rate_pct) FROM nats_publish_summary WHERE webhook_name = 'slack_notifications'"));
    }

    [Fact]
    public async Task Fan_out_reaches_each_endpoint_once_and_what_one_refuses_the_others_get()
    {
        var (_, second) = await examples.RunTwiceAsync("02_fanout_pattern.sql", "/02");

        // Users 1 and 2 came by the trigger, 1002 is premium, 1003 is not, 1004 is refused for the CRM, which had an event with this id.
        await DeliveredAsync("/02/slack", 6);
        await DeliveredAsync("/02/email", 6);
        await DeliveredAsync("/02/analytics", 4);
        await DeliveredAsync("/02/crm", 5);
        Assert.Equal([1, 2, 1001, 1002, 1003, 1004], Users("/02/slack"));
        Assert.Equal([1, 2, 1001, 1002, 1003, 1004], Users("/02/email"));
        Assert.Equal([1, 2, 1001, 1004], Users("/02/analytics"));
        Assert.Equal([1, 2, 1001, 1002, 1004], Users("/02/crm"));
        Assert.Contains(Bodies("/02/crm"), body => body.Contains("user.imported", StringComparison.Ordinal));
        Assert.Contains("was already published for webhook", second, StringComparison.Ordinal);
        Assert.Equal("21 21 0", await TextAsync(
            "SELECT concat_ws(' ', sum(total_published), sum(successful), sum(pending)) FROM nats_publish_summary WHERE subject LIKE 'webhooks.user.registered.%'"));
    }

    [Fact]
    public async Task Load_balancing_delivers_each_order_once_and_judges_the_workers()
    {
        var (_, second) = await examples.RunTwiceAsync("03_load_balancing.sql", "/03");
        await DeliveredAsync("/03/orders", 200);
        await DeliveredAsync("/03/compare", 400);
        Assert.Matches("webhook-worker-3 *\\| STALE.*\n *webhook-worker-2 *\\| SLOW.*\n *webhook-worker-1 *\\| HEALTHY", second);
        Assert.Contains("""  "published": 100,""", second, StringComparison.Ordinal);

        // A worker that has said goodbye comes first, and nothing divides by what nobody has done yet.
        await examples.Graph.ScalarAsync<int>("""
            UPDATE rule_nats_consumer_stats SET avg_processing_time_ms = 0, messages_acknowledged = 0, active = consumer_name <> 'webhook-worker-2'
             WHERE consumer_name LIKE 'webhook-worker-%' RETURNING consumer_id
            """, []);
        Assert.Equal("webhook-worker-2 INACTIVE 0 Restart worker", await TextAsync(
            "SELECT concat_ws(' ', consumer_name, status, health_score, recommendation) FROM monitor_worker_health() WHERE consumer_name LIKE 'webhook-worker-%' LIMIT 1"));
        Assert.Equal("", await TextAsync("SELECT coalesce(string_agg(max_msg_per_second::text, ''), '') FROM worker_throughput WHERE consumer_name LIKE 'webhook-worker-%'"));
        Assert.Equal("nats 100 queue 100", await TextAsync("SELECT string_agg(mode || ' ' || messages, ' ' ORDER BY mode) FROM compare_publish_modes()"));
    }

    [Fact]
    public async Task Bug_B7_a_batch_that_fails_was_counted_as_published_and_as_failed()
    {
        await examples.RunTwiceAsync("03_load_balancing.sql", "/03");
        await using var connection = await examples.Graph.Database.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var command = new NpgsqlCommand("""
            CREATE FUNCTION refuse_15() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN
                IF NEW.payload ->> 'order_id' = '15' THEN RAISE EXCEPTION 'no order 15'; END IF; RETURN NEW; END $f$;
            CREATE TRIGGER refuse_15 BEFORE INSERT ON rule_nats_publish_history FOR EACH ROW EXECUTE FUNCTION refuse_15();
            CREATE TEMP TABLE before AS SELECT count(*) AS n FROM rule_nats_publish_history WHERE subject = 'webhooks.orders.created';
            CREATE TEMP TABLE result AS SELECT generate_order_events(95, 10) AS said;
            SELECT concat_ws(' ', said -> 'published', said -> 'failed',
                             (SELECT count(*) FROM rule_nats_publish_history WHERE subject = 'webhooks.orders.created') - (SELECT n FROM before)) FROM result
            """, connection);
        Assert.Equal("85 10 85", await command.ExecuteScalarAsync());
        await transaction.RollbackAsync();
    }

    [Fact]
    public async Task Hybrid_mode_delivers_once_over_two_paths_and_leaves_the_webhook_as_it_is()
    {
        var (_, second) = await examples.RunTwiceAsync("04_hybrid_mode.sql", "/04");
        Assert.Contains("| {nats,success}", second, StringComparison.Ordinal);
        Assert.Contains("| {nats,queue,success}", second, StringComparison.Ordinal);
        Assert.Matches(" NATS *\\| default", second);
        Assert.Matches(" Queue *\\| postgresql", second);
        Assert.Matches(" legacy_orders *\\| nats *\\| webhooks.legacy_orders", second);

        await DeliveredAsync("/04/payments", 6);
        await Wait.UntilAsync(
            async () => await TextAsync("""
                SELECT string_agg(DISTINCT status, ',') || ' ' || count(*) FROM rule_webhook_calls c JOIN rule_webhooks w USING (webhook_id)
                 WHERE w.webhook_name = 'critical_payment_notification'
                """) == "success 4",
            "the queue knows that JetStream has delivered its four calls");
        Assert.Equal("both 30000 5 2000", await TextAsync(
            "SELECT concat_ws(' ', publish_mode, timeout_ms, max_retries, retry_delay_ms) FROM rule_webhooks WHERE webhook_name = 'critical_payment_notification'"));
        Assert.Equal("6 4", await TextAsync("SELECT concat_ws(' ', nats_messages, queue_messages) FROM hybrid_mode_costs WHERE webhook_name = 'critical_payment_notification'"));
    }

    [Fact]
    public async Task Bug_B7_a_smart_publish_changed_the_webhook_for_everybody()
    {
        await examples.RunTwiceAsync("04_hybrid_mode.sql", "/04");
        await using var connection = await examples.Graph.Database.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var command = new NpgsqlCommand("""
            CREATE TEMP TABLE before AS SELECT w.xmin AS version, w.ctid AS place, w.* FROM rule_webhooks w WHERE webhook_name = 'critical_payment_notification';
            DO $$ BEGIN PERFORM smart_webhook_publish(webhook_id, '{}', true), smart_webhook_publish(webhook_id, '{}') FROM before; END $$;
            SELECT count(*) FROM (SELECT w.xmin, w.ctid, w.* FROM rule_webhooks w INTERSECT SELECT * FROM before) unchanged
            """, connection);
        Assert.Equal(1L, await command.ExecuteScalarAsync());
        await transaction.RollbackAsync();

        var refusal = await Assert.ThrowsAsync<PostgresException>(
            () => TextAsync("SELECT smart_webhook_publish(webhook_id, '{}', true) FROM rule_webhooks WHERE webhook_name = 'legacy_orders'"));
        Assert.Equal(PostgresErrorCodes.ObjectNotInPrerequisiteState, refusal.SqlState);
    }

    private async Task DeliveredAsync(string path, int count)
    {
        await examples.Graph.Receiver.WaitForAsync(received => received.At(path).Count() >= count, $"{count} requests at {path}");
        Assert.Equal(count, examples.Graph.Receiver.At(path).Count());
        Assert.Equal(count, examples.Graph.Receiver.At(path).DistinctBy(request => request.Id).Count());
    }

    private Task<string> TextAsync(string sql) => examples.Graph.ScalarAsync<string>($"SELECT t::text FROM ({sql}) q(t)", []);

    private IEnumerable<string> Bodies(string path) => examples.Graph.Receiver.At(path).Select(request => Encoding.UTF8.GetString(request.Body));

    private IEnumerable<int> Users(string path) => Bodies(path).Select(body => JsonDocument.Parse(body).RootElement.GetProperty("user_id").GetInt32()).Order();
}
