using System.Text;
using System.Text.Json;
using Npgsql;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>The walkthroughs under sql/examples, each run twice.</summary>
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
    public async Task Fan_out_reaches_each_endpoint_once()
    {
        await examples.RunTwiceAsync("02_fanout_pattern.sql", "/02");

        // Users 1 and 2 came by the trigger, 1002 is premium, 1003 is not; the CRM's 1004 is another event.
        await DeliveredAsync("/02/slack", 6);
        await DeliveredAsync("/02/email", 6);
        await DeliveredAsync("/02/analytics", 4);
        await DeliveredAsync("/02/crm", 5);
        Assert.Equal([1, 2, 1001, 1002, 1003, 1004], Users("/02/slack"));
        Assert.Equal([1, 2, 1001, 1002, 1003, 1004], Users("/02/email"));
        Assert.Equal([1, 2, 1001, 1004], Users("/02/analytics"));
        Assert.Equal([1, 2, 1001, 1002, 1004], Users("/02/crm"));
        Assert.Equal("21 21 0", await TextAsync("""
            SELECT concat_ws(' ', sum(total_published), sum(successful), sum(pending)) FROM nats_publish_summary WHERE subject LIKE 'webhooks.user.registered.%'
            """));
    }

    [Fact]
    public async Task Bug_B7_one_refused_event_aborted_the_whole_fan_out()
    {
        var (_, second) = await examples.RunTwiceAsync("02_fanout_pattern.sql", "/02");
        Assert.Contains("was already published for webhook", second, StringComparison.Ordinal);
        await DeliveredAsync("/02/crm", 5);
        await DeliveredAsync("/02/analytics", 4);
        Assert.Contains("user.imported", Assert.Single(Bodies("/02/crm"), body => body.Contains("1004", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.Contains("user.registered", Assert.Single(Bodies("/02/analytics"), body => body.Contains("1004", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Load_balancing_delivers_each_order_once_and_judges_the_workers()
    {
        var (_, second) = await examples.RunTwiceAsync("03_load_balancing.sql", "/03");
        await DeliveredAsync("/03/orders", 200);
        await DeliveredAsync("/03/compare", 400);
        Assert.Matches("webhook-worker-3 *\\| STALE.*\n *webhook-worker-2 *\\| SLOW.*\n *webhook-worker-1 *\\| HEALTHY", second);
        Assert.Contains("""  "published": 100,""", second, StringComparison.Ordinal);
        Assert.Matches("nats *\\| *100 .*\n *queue *\\| *100 ", second);
    }

    [Fact]
    public async Task Bug_B7_the_workers_statistics_divided_by_zero_and_had_the_wrong_type()
    {
        await examples.RunTwiceAsync("03_load_balancing.sql", "/03");
        var script = await File.ReadAllTextAsync(Repository.Path("sql", "examples", "03_load_balancing.sql"));
        var shares = script.Split("== 5. Who has done how much'\n")[1].Split(';')[0];
        Assert.Equal("INACTIVE 0 Restart worker, no throughput, no shares", await RolledBackAsync($"""
            UPDATE rule_nats_consumer_stats SET avg_processing_time_ms = 0, messages_acknowledged = 0, active = consumer_name <> 'webhook-worker-2'
             WHERE consumer_name LIKE 'webhook-worker-%';
            SELECT (SELECT concat_ws(' ', status, health_score, recommendation) FROM monitor_worker_health() WHERE consumer_name = 'webhook-worker-2')
                || (SELECT CASE count(max_msg_per_second) WHEN 0 THEN ', no throughput' END FROM worker_throughput WHERE consumer_name LIKE 'webhook-worker-%')
                || (SELECT CASE count(share_pct) WHEN 0 THEN ', no shares' END FROM ({shares}) s)
            """));
    }

    [Fact]
    public async Task Bug_B7_a_batch_that_fails_was_counted_as_published_and_as_failed()
    {
        await examples.RunTwiceAsync("03_load_balancing.sql", "/03");
        Assert.Equal("85 10 85", await RolledBackAsync("""
            CREATE FUNCTION refuse_15() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN
                IF NEW.payload ->> 'order_id' = '15' THEN RAISE EXCEPTION 'no order 15'; END IF; RETURN NEW; END $f$;
            CREATE TRIGGER refuse_15 BEFORE INSERT ON rule_nats_publish_history FOR EACH ROW EXECUTE FUNCTION refuse_15();
            CREATE TEMP TABLE before AS SELECT count(*) AS n FROM rule_nats_publish_history WHERE subject = 'webhooks.orders.created';
            CREATE TEMP TABLE result AS SELECT generate_order_events(95, 10) AS said;
            SELECT concat_ws(' ', said -> 'published', said -> 'failed',
                             (SELECT count(*) FROM rule_nats_publish_history WHERE subject = 'webhooks.orders.created') - (SELECT n FROM before)) FROM result
            """));
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
        Assert.Equal("both 30000 5 2000: 6 4", await TextAsync("""
            SELECT concat_ws(' ', w.publish_mode, w.timeout_ms, w.max_retries, w.retry_delay_ms || ':', c.nats_messages, c.queue_messages)
              FROM hybrid_mode_costs c JOIN rule_webhooks w USING (webhook_name) WHERE webhook_name = 'critical_payment_notification'
            """));
    }

    [Fact]
    public async Task Bug_B7_a_smart_publish_changed_the_webhook_for_everybody()
    {
        await examples.RunTwiceAsync("04_hybrid_mode.sql", "/04");
        Assert.Equal("unchanged", await RolledBackAsync("""
            CREATE TEMP TABLE before AS SELECT w.xmin AS version, w.ctid AS place, w.* FROM rule_webhooks w WHERE webhook_name = 'critical_payment_notification';
            DO $$ BEGIN PERFORM smart_webhook_publish(webhook_id, '{}', true), smart_webhook_publish(webhook_id, '{}') FROM before; END $$;
            SELECT 'unchanged' FROM (SELECT w.xmin, w.ctid, w.* FROM rule_webhooks w INTERSECT SELECT * FROM before) same
            """));

        var refusal = await Assert.ThrowsAsync<PostgresException>(
            () => TextAsync("SELECT smart_webhook_publish(webhook_id, '{}', true) FROM rule_webhooks WHERE webhook_name = 'legacy_orders'"));
        Assert.Equal(PostgresErrorCodes.ObjectNotInPrerequisiteState, refusal.SqlState);
    }

    [Fact]
    public async Task Row_changes_arrive_masked_and_filtered_with_the_rows_that_were_there()
    {
        var (first, second) = await examples.RunTwiceAsync("05_row_changes.sql", "/05");
        Assert.Matches(@" default *\| capturing *\| +1 ", first);
        Assert.Contains("| completed |", second, StringComparison.Ordinal);
        await examples.Graph.Receiver.WaitForAsync(received => Bodies("Insert").Count() == 2 && Bodies("Update").Count() == 3 && Bodies("Read").Count() >= 3, "the changes of both runs");
        var requests = examples.Graph.Receiver.At("/05/order-changes").ToArray();
        Assert.Equal(requests.Length, requests.DistinctBy(request => request.Id).Count());
        Assert.All(Bodies("Insert").Concat(Bodies("Read")), body => Assert.Contains("\"card\":\"***\"", body, StringComparison.Ordinal));
        Assert.DoesNotContain(Bodies(""), body => body.Contains("\"total\":\"20\"", StringComparison.Ordinal) || body.Contains("4222", StringComparison.Ordinal));

        IEnumerable<string> Bodies(string kind)
            => examples.Graph.Receiver.At("/05/order-changes").Select(request => Encoding.UTF8.GetString(request.Body)).Where(body => body.StartsWith($"{{\"{kind}", StringComparison.Ordinal));
    }

    private async Task DeliveredAsync(string path, int count)
    {
        await examples.Graph.Receiver.WaitForAsync(received => received.At(path).Count() >= count, $"{count} requests at {path}");
        Assert.Equal(count, examples.Graph.Receiver.At(path).Count());
        Assert.Equal(count, examples.Graph.Receiver.At(path).DistinctBy(request => request.Id).Count());
    }

    private async Task<object?> RolledBackAsync(string sql)
    {
        await using var connection = await examples.Graph.Database.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync();
    }

    private Task<string> TextAsync(string sql) => examples.Graph.ScalarAsync<string>($"SELECT t::text FROM ({sql}) q(t)", []);

    private IEnumerable<string> Bodies(string path) => examples.Graph.Receiver.At(path).Select(request => Encoding.UTF8.GetString(request.Body));

    private IEnumerable<int> Users(string path) => Bodies(path).Select(body => JsonDocument.Parse(body).RootElement.GetProperty("user_id").GetInt32()).Order();
}
