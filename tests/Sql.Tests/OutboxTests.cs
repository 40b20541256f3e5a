using System.Text.Json;

namespace RuleEngineNats.Sql.Tests;

[Trait("Category", "Servers")]
public sealed class OutboxTests
{
    [Fact]
    public async Task Marks_are_HOT_updates_and_leave_every_index_alone()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("SELECT count(rule_webhook_publish_nats(1, jsonb_build_object('i', i, 'pad', repeat('x', 500)), 'm' || i)) FROM generate_series(1, 3000) i");
        for (var batch = 0; batch < 3000; batch += 500)
        {
            await database.ExecuteAsync("""
                SELECT rule_nats_mark_stored(array_agg(i), array_agg('WEBHOOKS'::text), array_agg(i), array_agg(false), array_agg(1.5::float8))
                  FROM generate_series($1 + 1, $1 + 490) i
                """, (long)batch);
            await database.ExecuteAsync("SELECT rule_nats_mark_refused(array_agg(i), array_agg('no'::text)) FROM generate_series($1 + 491, $1 + 495) i", (long)batch);
            await database.ExecuteAsync("SELECT rule_nats_park(array_agg(i), array_agg('later'::text), array_agg(interval '1 hour')) FROM generate_series($1 + 496, $1 + 500) i", (long)batch);
        }

        await using var connection = await database.Source.OpenConnectionAsync();
        await database.ExecuteAsync(connection, "SELECT pg_stat_force_next_flush()");
        await Wait.UntilAsync(
            async () => await database.ScalarAsync<long>(connection, "SELECT sum(n_tup_upd)::bigint FROM pg_stat_user_tables WHERE relname LIKE 'rule_nats_publish_history%'") == 3000,
            "the statistics of the updates arrive");
        Assert.Equal(3000L, await database.ScalarAsync<long>("SELECT sum(n_tup_hot_upd)::bigint FROM pg_stat_user_tables WHERE relname LIKE 'rule_nats_publish_history%'"));
    }

    [Fact]
    public async Task No_index_names_a_column_that_a_mark_changes()
    {
        await using var database = await SqlDatabase.CreateAsync();
        Assert.Null(await database.ScalarAsync<string>("""
            SELECT string_agg(indexdef, '; ') FROM pg_indexes WHERE tablename LIKE 'rule_nats_publish_history%'
               AND indexdef ~ '\m(state|success|sequence_number|stream_name|duplicate|latency_ms|stored_at|error_message|attempts|last_error|superseded)\M'
            """));
        Assert.Equal(0L, await database.ScalarAsync<long>("""
            SELECT count(*) FROM pg_class WHERE relname LIKE 'rule\_nats\_publish\_history\_%' AND relkind = 'r' AND NOT coalesce(reloptions @> ARRAY['fillfactor=45'], false)
            """));
    }

    [Fact]
    public async Task A_mark_is_taken_once_and_a_strange_latency_stops_no_batch()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("SELECT count(rule_webhook_publish_nats(1, '{}')) FROM generate_series(1, 4)");
        Assert.Equal(3, await database.ScalarAsync<int>(
            "SELECT rule_nats_mark_stored('{1,2,3}', '{WEBHOOKS,WEBHOOKS,WEBHOOKS}', '{7,8,9}', '{false,true,NULL}', '{NaN,1e30,NULL}')"));
        Assert.Equal(0, await database.ScalarAsync<int>("SELECT rule_nats_mark_stored('{1}', '{OTHER}', '{70}', '{false}', '{1}')"));
        Assert.Equal(0, await database.ScalarAsync<int>("SELECT rule_nats_mark_refused('{1}', '{late}')"));
        Assert.Equal(1, await database.ScalarAsync<int>("SELECT rule_nats_mark_refused('{4}', '{}')"));
        Assert.Equal(
            "1 stored 7 t;2 stored 8 t;3 stored 9 t;4 refused f",
            await database.ScalarAsync<string>("SELECT string_agg(concat_ws(' ', publish_id, state, sequence_number, success), ';' ORDER BY publish_id) FROM rule_nats_publish_history"));
    }

    [Fact]
    public async Task A_message_published_again_by_the_reconciler_keeps_its_old_place_on_record()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("SELECT rule_webhook_publish_nats(1, '{}')");
        await database.ExecuteAsync("SELECT rule_nats_mark_stored('{1}', '{WEBHOOKS}', '{7}', '{false}', '{1}')");
        Assert.Equal(1, await database.ScalarAsync<int>("SELECT rule_nats_mark_restored('{1}', '{WEBHOOKS}', '{3}')"));
        Assert.Equal("3|7", await database.ScalarAsync<string>("SELECT concat_ws('|', sequence_number, superseded -> 0 ->> 'sequence') FROM rule_nats_publish_history"));
    }

    [Fact]
    public async Task Partitions_are_made_ahead_and_inserts_never_wait_for_one()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        // Far past everything prepared: the default partition takes the row, later ones get partitions of their own again.
        await database.ExecuteAsync("SELECT setval('rule_nats_publish_history_publish_id_seq', 99999999)");
        await database.ExecuteAsync("SELECT rule_webhook_publish_nats(1, '{}')");
        Assert.Equal("rule_nats_publish_history_default", await PartitionOfAsync(database, 100_000_000));

        using var made = JsonDocument.Parse(await database.ScalarAsync<string>("SELECT rule_nats_history_maintain()::text"));
        Assert.True(made.RootElement.GetProperty("created").GetInt32() >= 1);
        await database.ExecuteAsync("SELECT setval('rule_nats_publish_history_publish_id_seq', 104999999)");
        await database.ExecuteAsync("SELECT rule_webhook_publish_nats(1, '{}')");
        Assert.Equal("rule_nats_publish_history_p105000000", await PartitionOfAsync(database, 105_000_000));
        using var again = JsonDocument.Parse(await database.ScalarAsync<string>("SELECT rule_nats_history_maintain()::text"));
        Assert.Equal(1, again.RootElement.GetProperty("created").GetInt32());
    }

    [Fact]
    public async Task A_partition_goes_when_all_of_it_is_finished_and_expired_and_not_before()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("SELECT rule_webhook_publish_nats(1, '{}', 'first'), rule_webhook_publish_nats(1, '{}', 'second')");
        await database.ExecuteAsync("SELECT setval('rule_nats_publish_history_publish_id_seq', 5000001)");
        await database.ExecuteAsync("SELECT rule_nats_mark_stored('{1}', '{WEBHOOKS}', '{7}', '{false}', '{1}')");
        await database.ExecuteAsync("UPDATE rule_nats_publish_history SET expires_at = now() - interval '1 day'");
        await database.ExecuteAsync("UPDATE rule_nats_message_keys SET expires_at = now() - interval '1 day'");

        Assert.Equal("0 2", await MaintainAsync(database)); // The second event is still pending.
        await database.ExecuteAsync("SELECT rule_nats_mark_refused('{2}', '{gone}')");
        Assert.Equal("1 0", await MaintainAsync(database));
        Assert.Equal(0L, await database.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history"));
        await database.ExecuteAsync("SELECT rule_webhook_publish_nats(1, '{}', 'first')");
        Assert.Equal(1L, await database.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history"));
    }

    [Fact]
    public async Task The_publication_has_pending_inserts_of_the_whole_table_and_nothing_else()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        Assert.Equal("rule_nats_publish_history (state = 'pending'::text)", await database.ScalarAsync<string>(
            "SELECT string_agg(tablename || ' ' || rowfilter, ',') FROM pg_publication_tables WHERE pubname = 'rule_nats_outbox'"));
        await database.ExecuteAsync("SELECT pg_create_logical_replication_slot('outbox_test', 'pgoutput')");
        try
        {
            await database.ExecuteAsync("SELECT rule_webhook_publish_nats(1, '{\"seen\": 1}')");
            await database.ExecuteAsync("SELECT rule_nats_mark_stored('{1}', '{WEBHOOKS}', '{7}', '{false}', '{1}')");
            await database.ExecuteAsync("""
                INSERT INTO rule_nats_publish_history (subject, payload, nats_msg_id, state, sequence_number, stream_name, enqueued_xid)
                VALUES ('webhooks.orders', '{"unseen": 1}', 'x', 'stored', 8, 'WEBHOOKS', NULL)
                """);
            var messages = await database.ScalarAsync<string>("""
                SELECT string_agg(chr(get_byte(data, 0)), '') FROM pg_logical_slot_peek_binary_changes('outbox_test', NULL, NULL,
                    'proto_version', '1', 'publication_names', 'rule_nats_outbox')
                """);
            Assert.Equal(1, messages.Count(kind => kind == 'I'));
            Assert.DoesNotContain('U', messages);
            Assert.True(await database.ScalarAsync<bool>("""
                SELECT bool_or(position(convert_to('{"seen": 1}', 'UTF8') IN data) > 0 AND position(convert_to('rule_nats_publish_history_p', 'UTF8') IN data) = 0)
                  FROM pg_logical_slot_peek_binary_changes('outbox_test', NULL, NULL, 'proto_version', '1', 'publication_names', 'rule_nats_outbox')
                """));
        }
        finally
        {
            await database.ExecuteAsync("SELECT pg_drop_replication_slot('outbox_test')");
        }
    }

    [Fact]
    public async Task Bug_I9_the_scan_finds_what_commits_late_and_delays_nothing_else()
    {
        // A server of its own: no other test's slot can start while a transaction is prepared.
        await using var server = await PostgresServer.StartPrivateAsync();
        await using var database = await SqlDatabase.WithWebhookAsync(server: server);
        await using var late = await database.Source.OpenConnectionAsync();
        await using var transaction = await late.BeginTransactionAsync();
        await database.ExecuteAsync(late, "SELECT rule_webhook_publish_nats(1, '\"late\"')");
        await using var prepared = await database.Source.OpenConnectionAsync();
        await database.ExecuteAsync(prepared, "BEGIN; SELECT rule_webhook_publish_nats(1, '\"prepared\"'); PREPARE TRANSACTION 'two-phase'");
        await database.ExecuteAsync("SELECT rule_webhook_publish_nats(1, '\"early\"')");

        Assert.Equal("\"early\"", await ScanAsync(database));
        await transaction.CommitAsync();
        Assert.Equal("\"late\"", await ScanAsync(database));
        await database.ExecuteAsync("COMMIT PREPARED 'two-phase'");
        Assert.Equal("\"prepared\"", await ScanAsync(database));
        Assert.Null(await ScanAsync(database));
    }

    [Fact]
    public async Task A_parked_event_is_due_after_its_pause_and_forgotten_once_marked()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await database.ExecuteAsync("SELECT rule_webhook_publish_nats(1, to_jsonb(i)) FROM generate_series(1, 3) i");
        await database.ExecuteAsync("SELECT rule_nats_park('{1,2,3}', '{no responders,full,full}', ARRAY[interval '0', interval '0', interval '1 hour'])");
        const string Due = "SELECT string_agg(publish_id::text, ',') FROM rule_nats_parked_due('1/webhooks.orders')";
        Assert.Equal("1/webhooks.orders", await database.ScalarAsync<string>("SELECT string_agg(d, ',') FROM rule_nats_parked_destinations() d"));
        Assert.Equal("1,2", await database.ScalarAsync<string>(Due));
        Assert.Equal("no responders|1|pending", await database.ScalarAsync<string>("SELECT concat_ws('|', last_error, attempts, state) FROM rule_nats_publish_history WHERE publish_id = 1"));
        await database.ExecuteAsync("SELECT rule_nats_mark_stored('{1}', '{WEBHOOKS}', '{1}', '{false}', '{1}'), rule_nats_mark_refused('{2}', '{never}')");
        Assert.Null(await database.ScalarAsync<string>(Due));
        Assert.Equal("3", await database.ScalarAsync<string>("SELECT string_agg(publish_id::text, ',') FROM rule_nats_relay_parked"));
    }

    // As the relay does: one snapshot decides what is scanned and how far the mark moves.
    private static async Task<string?> ScanAsync(SqlDatabase database)
    {
        await database.ExecuteAsync("""
            WITH snapshot AS MATERIALIZED (SELECT pg_current_snapshot() AS s), scanned AS MATERIALIZED (SELECT rule_nats_scan_pending(s) FROM snapshot)
            UPDATE rule_nats_relay_state SET low_water_xid = pg_snapshot_xmin(s) FROM snapshot, scanned
            """);
        var found = await database.ScalarAsync<string?>(
            "SELECT string_agg(h.payload::text, ',') FROM rule_nats_publish_history h JOIN rule_nats_relay_parked p USING (publish_id)");
        await database.ExecuteAsync("SELECT rule_nats_mark_refused(array_agg(publish_id), array_agg('seen'::text)) FROM rule_nats_relay_parked");
        return found;
    }

    private static Task<string> PartitionOfAsync(SqlDatabase database, long publishId)
        => database.ScalarAsync<string>("SELECT tableoid::regclass::text FROM rule_nats_publish_history WHERE publish_id = $1", publishId);

    private static Task<string> MaintainAsync(SqlDatabase database)
        => database.ScalarAsync<string>("SELECT concat_ws(' ', m ->> 'dropped', m ->> 'keys_expired') FROM rule_nats_history_maintain() m");
}
