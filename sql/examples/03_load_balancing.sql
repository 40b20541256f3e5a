-- Load balancing: the workers of a queue group share the events; each is delivered by one of them.
--
--   psql "<the postgres URI that ./run prints>" -v ON_ERROR_STOP=1 -f sql/examples/03_load_balancing.sql
--   ... -v receiver=https://example.com/hooks    your endpoint; without one the requests go to port 9000 of this machine
--
-- Our own delivery workers share one consumer of the stream: start another one, and it takes its part; kill one, and the others go on with
-- what it had in hand. Workers in other languages do the same under the name of their QUEUE_GROUP. May be run again.
\if :{?receiver}
\else
    \set receiver http://localhost:9000
\endif

\echo '== 1. A webhook for orders'
SELECT rule_webhook_register('order_processing', :'receiver' || '/orders') AS registered
 WHERE NOT EXISTS (SELECT FROM rule_webhooks WHERE webhook_name = 'order_processing');
SELECT webhook_id AS orders FROM rule_webhooks WHERE webhook_name = 'order_processing' \gset
SELECT rule_webhook_update(:orders, p_url => :'receiver' || '/orders') AS updated,
       rule_webhook_enable_nats(:orders, 'webhooks.orders.created', 'nats') AS enabled;

\echo '== 2. Three workers that have not reported yet'
INSERT INTO rule_nats_consumer_stats (stream_name, consumer_name, queue_group, ack_policy)
SELECT 'WEBHOOKS', 'webhook-worker-' || n, 'webhook-workers', 'explicit' FROM generate_series(1, 3) n
    ON CONFLICT (stream_name, consumer_name) DO NOTHING;

-- Publishes p_count orders. Each batch has one savepoint: if an order is refused, its batch is not published and counts as failed.
CREATE OR REPLACE FUNCTION generate_order_events(p_count integer DEFAULT 100, p_batch_size integer DEFAULT 10) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_webhook integer := (SELECT webhook_id FROM rule_webhooks WHERE webhook_name = 'order_processing');
    v_start timestamptz := clock_timestamp();
    v_run text := to_char(v_start, 'YYYYMMDDHH24MISSUS'); -- Orders of another run are other orders.
    v_seconds numeric;
    v_last integer;
    v_published integer := 0;
    v_failed integer := 0;
BEGIN
    FOR v_first IN 1 .. p_count BY p_batch_size LOOP
        v_last := least(v_first + p_batch_size - 1, p_count);
        BEGIN
            PERFORM rule_webhook_publish_nats(v_webhook, jsonb_build_object('order_id', i, 'amount', i * 10), format('order-%s-%s', v_run, i))
               FROM generate_series(v_first, v_last) i;
            v_published := v_published + v_last - v_first + 1;
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'orders % to % were not published: %', v_first, v_last, SQLERRM;
            v_failed := v_failed + v_last - v_first + 1;
        END;
    END LOOP;
    v_seconds := extract(epoch FROM clock_timestamp() - v_start);
    RETURN jsonb_build_object('published', v_published, 'failed', v_failed, 'duration_seconds', round(v_seconds, 3),
                              'messages_per_second', round(v_published / nullif(v_seconds, 0), 2));
END $$;

\echo '== 3. A hundred orders'
SELECT jsonb_pretty(generate_order_events(100, 10)) AS load;

-- What a worker can do at most, by the time it needs for one message.
CREATE OR REPLACE VIEW worker_throughput AS
SELECT consumer_name, messages_acknowledged, avg_processing_time_ms, round(1000 / nullif(avg_processing_time_ms, 0), 2) AS max_msg_per_second,
       last_active_at, round(extract(epoch FROM now() - last_active_at)) AS seconds_since_active
  FROM rule_nats_consumer_stats WHERE active ORDER BY messages_acknowledged DESC, consumer_name;

CREATE OR REPLACE FUNCTION monitor_worker_health()
RETURNS TABLE (consumer_name text, status text, messages_processed bigint, avg_latency_ms numeric, health_score integer, recommendation text)
LANGUAGE sql STABLE AS $$
    SELECT s.consumer_name, h.status, s.messages_acknowledged, s.avg_processing_time_ms, h.score, h.recommendation
      FROM rule_nats_consumer_stats s, LATERAL (
           SELECT * FROM (VALUES
               ('INACTIVE', 0, 'Restart worker', s.active IS NOT TRUE),
               ('STALE', 25, 'Check worker logs', coalesce(s.last_active_at < now() - interval '1 minute', true)),
               ('SLOW', 50, 'Investigate slow performance', coalesce(s.avg_processing_time_ms > 1000, false)),
               ('HEALTHY', 100, 'All good', true)) c(status, score, recommendation, applies)
            WHERE c.applies ORDER BY c.score LIMIT 1) h
     ORDER BY h.score, s.consumer_name
$$;

\echo '== 4. Reports, as a worker makes them: the first is well, the second is slow, the third has said nothing yet'
SELECT rule_nats_consumer_update_stats('WEBHOOKS', 'webhook-worker-1', 60, 60, 0, 12.5) AS first,
       rule_nats_consumer_update_stats('WEBHOOKS', 'webhook-worker-2', 40, 38, 2, 1500) AS second;
SELECT * FROM worker_throughput WHERE consumer_name LIKE 'webhook-worker-%';
SELECT * FROM monitor_worker_health() WHERE consumer_name LIKE 'webhook-worker-%';

\echo '== 5. Who has done how much'
SELECT consumer_name, messages_acknowledged, round(100.0 * messages_acknowledged / nullif(sum(messages_acknowledged) OVER (), 0), 1) AS share_pct
  FROM rule_nats_consumer_stats WHERE queue_group = 'webhook-workers' ORDER BY consumer_name;

-- The same 100 calls by either path: what it costs the transaction that publishes. The subject is one that a stream has.
SELECT w.name, rule_webhook_register(w.name, :'receiver' || '/compare') AS registered FROM (VALUES ('test_nats'), ('test_queue')) w(name)
 WHERE NOT EXISTS (SELECT FROM rule_webhooks r WHERE r.webhook_name = w.name);
SELECT rule_webhook_enable_nats(webhook_id, 'webhooks.test.nats', 'nats') AS enabled FROM rule_webhooks WHERE webhook_name = 'test_nats';

CREATE OR REPLACE FUNCTION compare_publish_modes()
RETURNS TABLE (mode text, messages integer, duration_seconds numeric, messages_per_second numeric) LANGUAGE plpgsql AS $$
DECLARE
    v_webhook record;
    v_start timestamptz;
BEGIN
    FOR v_webhook IN SELECT webhook_id, publish_mode FROM rule_webhooks WHERE webhook_name IN ('test_nats', 'test_queue') ORDER BY webhook_name LOOP
        v_start := clock_timestamp();
        PERFORM rule_webhook_call_unified(v_webhook.webhook_id, jsonb_build_object('test', true, 'n', n)) FROM generate_series(1, 100) n;
        mode := v_webhook.publish_mode;
        messages := 100;
        duration_seconds := round(extract(epoch FROM clock_timestamp() - v_start), 4);
        messages_per_second := round(messages / nullif(duration_seconds, 0), 2);
        RETURN NEXT;
    END LOOP;
END $$;

\echo '== 6. NATS and queue'
SELECT * FROM compare_publish_modes();
