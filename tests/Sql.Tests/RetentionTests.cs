namespace RuleEngineNats.Sql.Tests;

/// <summary>I46: what is old goes, in small batches; what is not finished stays.</summary>
[Trait("Category", "Servers")]
public sealed class RetentionTests
{
    [Fact]
    public async Task I46_the_history_is_cleaned_of_what_is_finished_and_of_nothing_else()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("""
            INSERT INTO rule_nats_publish_history (webhook_id, subject, payload, nats_msg_id, state, sequence_number, stream_name, error_message, enqueued_xid, stored_at, published_at, expires_at)
            SELECT 1, 'webhooks.orders', '{}'::jsonb, 'x' || i, 'stored', i, 'WEBHOOKS', NULL, NULL::xid8, now() - interval '40 days', now() - interval '40 days', now() - interval '33 days' FROM generate_series(1, 12000) i
            UNION ALL SELECT 1, 'webhooks.orders', '{}', 'refused', 'refused', NULL, NULL, 'too large', NULL, NULL, now() - interval '40 days', now() - interval '33 days'
            UNION ALL SELECT 1, 'webhooks.orders', '{}', 'pending', 'pending', NULL, NULL, NULL, '5', NULL, now() - interval '40 days', now() - interval '33 days'
            UNION ALL SELECT 1, 'webhooks.orders', '{}', 'kept on', 'stored', 1, 'WEBHOOKS', NULL, NULL, now() - interval '1 day', now() - interval '1 day', now() + interval '6 days'
            UNION ALL SELECT 1, 'webhooks.orders', '{}', 'just stored', 'stored', 2, 'WEBHOOKS', NULL, NULL, now(), now() - interval '40 days', now() - interval '33 days'
            """);
        Assert.Equal(12000L, await database.ScalarAsync<long>("SELECT rule_nats_cleanup_old_history()"));
        Assert.Equal("refused,pending,kept on,just stored", await LeftAsync());
        Assert.Equal(1L, await database.ScalarAsync<long>("SELECT rule_nats_cleanup_expired()"));
        Assert.Equal("pending,kept on,just stored", await LeftAsync());
        Assert.Equal(1L, await database.ScalarAsync<long>("SELECT rule_nats_cleanup_old_history('0')"));
        Assert.Equal("pending,just stored", await LeftAsync());
        Assert.Equal("22023", (await database.RefusedAsync("SELECT rule_nats_cleanup_old_history('-1 day')")).SqlState);
        Assert.Equal("22023", (await database.RefusedAsync("SELECT rule_nats_cleanup_old_history(NULL)")).SqlState);

        Task<string> LeftAsync() => database.ScalarAsync<string>("SELECT string_agg(nats_msg_id, ',' ORDER BY publish_id) FROM rule_nats_publish_history");
    }

    [Fact]
    public async Task I46_calls_and_attempts_go_by_their_webhook_in_batches_and_unfinished_ones_stay()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("SELECT rule_webhook_register('short', 'https://example.com/'), rule_webhook_register('remembers', 'https://example.com/')");
        await database.ExecuteAsync("UPDATE rule_webhooks SET retain_for = '1 hour', deduplicate_for = '0' WHERE webhook_id = 2");
        await database.ExecuteAsync("UPDATE rule_webhooks SET deduplicate_for = '30 days' WHERE webhook_id = 3");
        await database.ExecuteAsync("""
            INSERT INTO rule_webhook_calls (webhook_id, payload, status, created_at, completed_at, next_retry_at, event_id)
            SELECT 1, '{}'::jsonb, 'success', now() - interval '8 days', now() - interval '8 days', NULL::timestamptz, 'old' || i FROM generate_series(1, 30) i
            UNION ALL SELECT 1, '{}', 'failed', now() - interval '8 days', now() - interval '8 days', NULL, 'failed'
            UNION ALL SELECT 1, '{}', 'success', now() - interval '8 days', now(), NULL, 'finished late'
            UNION ALL SELECT 1, '{}', 'retrying', now() - interval '8 days', NULL, now(), 'retrying'
            UNION ALL SELECT 2, '{}', 'success', now() - interval '2 hours', now() - interval '2 hours', NULL, 'short'
            UNION ALL SELECT 3, '{}', 'success', now() - interval '8 days', now() - interval '8 days', NULL, 'remembered'
            UNION ALL SELECT 99, '{}', 'success', now() - interval '8 days', now() - interval '8 days', NULL, 'deleted'
            UNION ALL SELECT 99, '{}', 'success', now() - interval '6 days', now() - interval '6 days', NULL, 'deleted, newer'
            """);
        await database.ExecuteAsync("""
            INSERT INTO rule_webhook_call_history (call_id, webhook_id, event_id, outcome, started_at)
            SELECT c.call_id, c.webhook_id, c.event_id, 'failed', c.created_at FROM rule_webhook_calls c
            UNION ALL SELECT NULL::bigint, 1, 'stream' || i, 'delivered', now() - interval '8 days' FROM generate_series(1, 30) i
            """);

        var batches = 0;
        bool more;
        do
        {
            more = await database.ScalarAsync<bool>("SELECT (p ->> 'more')::boolean AND (p ->> 'calls')::int <= 10 AND (p ->> 'attempts')::int <= 10 FROM rule_webhook_purge_expired(10) p");
            batches++;
        }
        while (more);

        Assert.InRange(batches, 6, 8);
        Assert.Equal("deleted, newer,finished late,remembered,retrying", await database.ScalarAsync<string>("SELECT string_agg(event_id, ',' ORDER BY event_id) FROM rule_webhook_calls"));
        // The attempt of a call that finished late is as old as it is; that of one still under way stays with it.
        Assert.Equal("deleted, newer,remembered,retrying", await database.ScalarAsync<string>("SELECT string_agg(event_id, ',' ORDER BY event_id) FROM rule_webhook_call_history"));
        Assert.Equal("{\"keys\": 0, \"more\": false, \"calls\": 0, \"attempts\": 0}", await database.ScalarAsync<string>("SELECT rule_webhook_purge_expired()::text"));
        Assert.Equal("22023", (await database.RefusedAsync("SELECT rule_webhook_purge_expired(5001)")).SqlState);
        Assert.Equal("23514", (await database.RefusedAsync("UPDATE rule_webhooks SET retain_for = '1 minute'")).SqlState);
    }

    // By the statistics of an empty table all that has expired would be read and sorted for each batch: 50 times as long.
    [Fact]
    public async Task I46_a_purge_reads_little_more_than_it_deletes_though_the_statistics_are_stale()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("""
            ALTER TABLE rule_webhook_calls SET (autovacuum_enabled = off);
            ALTER TABLE rule_webhook_call_history SET (autovacuum_enabled = off);
            INSERT INTO rule_webhook_calls (webhook_id, payload, status, created_at, completed_at)
            SELECT 1, '{}', 'success', now() - interval '8 days', now() - interval '8 days' FROM generate_series(1, 20000);
            INSERT INTO rule_webhook_call_history (webhook_id, event_id, outcome, started_at)
            SELECT 1, 'e' || i, 'delivered', now() - interval '8 days' FROM generate_series(1, 20000) i;
            """);
        await using var connection = await database.Source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await database.ExecuteAsync(connection, "SELECT rule_webhook_purge_expired(100)");
        await using var read = new Npgsql.NpgsqlCommand(
            "SELECT sum(seq_tup_read + idx_tup_fetch)::bigint FROM pg_stat_xact_user_tables WHERE relname IN ('rule_webhook_calls', 'rule_webhook_call_history')", connection);
        Assert.InRange((long)(await read.ExecuteScalarAsync())!, 400, 1000);
    }

    [Fact]
    public async Task The_purge_waits_for_nobody_and_forgets_keys_faster_than_they_come_and_workers_that_are_gone()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("""
            INSERT INTO rule_webhook_calls (webhook_id, payload, status, created_at, completed_at) SELECT 1, '{}', 'success', now() - interval '8 days', now() - interval '8 days' FROM generate_series(1, 3);
            INSERT INTO rule_nats_message_keys SELECT 1, 'm' || i, '', i, now() - interval '1 second' FROM generate_series(1, 7000) i;
            INSERT INTO rule_nats_consumer_stats (stream_name, consumer_name, last_active_at) VALUES ('WEBHOOKS', 'died', now() - interval '8 days'), ('WEBHOOKS', 'idle', now() - interval '6 days');
            """);
        await using var reader = await database.Source.OpenConnectionAsync();
        await using var transaction = await reader.BeginTransactionAsync();
        await database.ExecuteAsync(reader, "SELECT FROM rule_webhook_calls WHERE call_id = 2 FOR UPDATE");
        Assert.Equal("{\"keys\": 5000, \"more\": true, \"calls\": 2, \"attempts\": 0}", await database.ScalarAsync<string>("SELECT rule_webhook_purge_expired()::text"));
        await transaction.CommitAsync();
        Assert.Equal("idle", await database.ScalarAsync<string>("SELECT string_agg(consumer_name, ',') FROM rule_nats_consumer_stats"));
        Assert.Equal("{\"keys\": 2000, \"more\": false, \"calls\": 1, \"attempts\": 0}", await database.ScalarAsync<string>("SELECT rule_webhook_purge_expired()::text"));
    }

    [Fact]
    public async Task Lists_and_views_are_right_on_empty_tables_and_while_events_are_pending()
    {
        await using var database = await SqlDatabase.CreateAsync();
        Assert.Equal("0|0|0|0|0|0|0|0", await database.ScalarAsync<string>("""
            SELECT concat_ws('|', (SELECT count(*) FROM rule_nats_webhooks_list()), (SELECT count(*) FROM rule_webhook_list()), (SELECT count(*) FROM webhook_status_summary),
                   (SELECT count(*) FROM webhook_recent_failures), (SELECT count(*) FROM webhook_performance_stats), (SELECT count(*) FROM nats_publish_summary),
                   (SELECT count(*) FROM nats_recent_failures), (SELECT count(*) FROM nats_performance_stats))
            """));
        Assert.Equal("0|0|0|0", await database.ScalarAsync<string>(
            "SELECT concat_ws('|', s ->> 'total_published', s ->> 'pending', s ->> 'unique_subjects', s ->> 'success_rate_pct', s ->> 'avg_latency_ms', rule_nats_cleanup_expired()) FROM rule_nats_stats() s"));

        await database.ExecuteAsync("SELECT rule_webhook_register('orders', 'https://example.com/', p_enable_nats => true), rule_webhook_register('queued', 'https://example.com/')");
        const string List = "SELECT concat_ws('|', webhook_id, webhook_name, nats_subject, publish_mode, config_name, total_published, success_rate) FROM rule_nats_webhooks_list()";
        Assert.Equal("1|orders|webhooks.orders|both|default|0", await database.ScalarAsync<string>(List));
        await database.ExecuteAsync("SELECT rule_webhook_publish_nats(1, '{}') FROM generate_series(1, 3)");
        Assert.Equal("1|orders|webhooks.orders|both|default|3", await database.ScalarAsync<string>(List));
        await database.ExecuteAsync("SELECT rule_nats_mark_stored('{1}', '{WEBHOOKS}', '{7}', '{false}', '{1}'), rule_nats_mark_refused('{2}', '{no}')");
        Assert.Equal("1|orders|webhooks.orders|both|default|3|50.00", await database.ScalarAsync<string>(List));
    }
}
