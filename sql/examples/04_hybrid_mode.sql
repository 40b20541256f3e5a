-- Hybrid mode: a critical event takes both paths, the queue in PostgreSQL and NATS, and is delivered once, by the one that gets there first.
--
--   psql "<the postgres URI that ./run prints>" -v ON_ERROR_STOP=1 -f sql/examples/04_hybrid_mode.sql
--   ... -v receiver=https://example.com/hooks    your endpoint; without one the requests go to port 9000 of this machine
--
-- To see the failover, stop nats-server and publish: after 30 seconds the queue delivers. Nothing has to be done when NATS is back: its event is
-- stored then, and the worker, which finds the call finished, does not send it again. May be run again.
\if :{?receiver}
\else
    \set receiver http://localhost:9000
\endif

\echo '== 1. A webhook for payments: both paths, five retries, the first after two seconds'
SELECT rule_webhook_register('critical_payment_notification', :'receiver' || '/payments', p_timeout_ms => 30000, p_max_retries => 5) AS registered
 WHERE NOT EXISTS (SELECT FROM rule_webhooks WHERE webhook_name = 'critical_payment_notification');
SELECT webhook_id AS payments FROM rule_webhooks WHERE webhook_name = 'critical_payment_notification' \gset
UPDATE rule_webhooks SET url = :'receiver' || '/payments', retry_delay_ms = 2000 WHERE webhook_id = :payments;
SELECT rule_webhook_enable_nats(:payments, 'webhooks.payments.critical', 'both') AS enabled;

\echo '== 2. One event, two paths'
SELECT jsonb_pretty(rule_webhook_call_unified(:payments, '{"payment_id": 1, "amount": 9999.99, "status": "failed"}')) AS event;

-- Ordinary events take the one path, critical ones both. The choice is made by the function that is called, so no row of rule_webhooks changes hands
-- between two callers, and what the webhook is set to stays what it says.
CREATE OR REPLACE FUNCTION smart_webhook_publish(p_webhook_id integer, p_payload jsonb, p_is_critical boolean DEFAULT false)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_mode text := (SELECT publish_mode FROM rule_webhooks WHERE webhook_id = p_webhook_id);
BEGIN
    IF p_is_critical AND v_mode IS DISTINCT FROM 'both' THEN
        RAISE EXCEPTION 'webhook % has publish_mode %: a critical event needs both', p_webhook_id, coalesce(v_mode, 'none') USING ERRCODE = '55000';
    ELSIF v_mode = 'both' AND NOT p_is_critical THEN
        RETURN jsonb_build_object('success', true, 'nats', rule_webhook_publish_nats(p_webhook_id, p_payload));
    END IF;
    RETURN rule_webhook_call_unified(p_webhook_id, p_payload);
END $$;

\echo '== 3. By importance: the keys of the answer are the paths taken'
SELECT 'ordinary' AS event, ARRAY(SELECT jsonb_object_keys(smart_webhook_publish(:payments, '{"payment_id": 2, "status": "ok"}'))) AS answer
UNION ALL
SELECT 'critical', ARRAY(SELECT jsonb_object_keys(smart_webhook_publish(:payments, '{"payment_id": 3, "status": "failed"}', true)));

DO $$
BEGIN
    FOR tenth IN 1..100 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM rule_nats_publish_history WHERE subject = 'webhooks.payments.critical' AND state = 'pending');
        PERFORM pg_sleep(0.1);
    END LOOP;
END $$;

\echo '== 4. Both records of the same events'
SELECT h.publish_id, h.payload ->> 'payment_id' AS payment, h.state AS nats, c.status AS queue, h.nats_msg_id AS event_id
  FROM rule_nats_publish_history h LEFT JOIN rule_webhook_calls c ON c.call_id = h.call_id
 WHERE h.webhook_id = :payments ORDER BY h.publish_id DESC LIMIT 3;

-- workers_active: somebody reported or sent something within the last minute. health_percentage: of what was finished within the last hour; null without any.
CREATE OR REPLACE VIEW webhook_system_health AS
SELECT 'NATS' AS system, c.config_name,
       EXISTS (SELECT FROM rule_nats_consumer_stats s WHERE s.active AND s.last_active_at > now() - interval '1 minute')
           OR EXISTS (SELECT FROM rule_webhook_call_history a WHERE a.stream IS NOT NULL AND a.started_at > now() - interval '1 minute') AS workers_active,
       (SELECT round(100.0 * count(*) FILTER (WHERE h.state = 'stored') / nullif(count(*) FILTER (WHERE h.state <> 'pending'), 0), 2)
          FROM rule_nats_publish_history h WHERE h.config_id = c.config_id AND h.published_at > now() - interval '1 hour') AS health_percentage
  FROM rule_nats_config c WHERE c.enabled
UNION ALL
SELECT 'Queue', 'postgresql',
       EXISTS (SELECT FROM rule_webhook_calls q WHERE q.status = 'processing' AND q.started_at > now() - interval '1 minute')
           OR EXISTS (SELECT FROM rule_webhook_call_history a WHERE a.stream IS NULL AND a.started_at > now() - interval '1 minute'),
       (SELECT round(100.0 * count(*) FILTER (WHERE q.status = 'success') / nullif(count(*) FILTER (WHERE q.status IN ('success', 'failed')), 0), 2)
          FROM rule_webhook_calls q WHERE q.created_at > now() - interval '1 hour');

CREATE OR REPLACE VIEW hybrid_mode_costs AS
SELECT w.webhook_name, n.messages AS nats_messages, q.messages AS queue_messages,
       pg_size_pretty(n.bytes) AS nats_storage, pg_size_pretty(q.bytes) AS queue_storage, n.latency AS nats_avg_latency, q.latency AS queue_avg_latency
  FROM rule_webhooks w,
       LATERAL (SELECT count(*) AS messages, coalesce(sum(pg_column_size(h.payload)), 0)::bigint AS bytes, round(avg(h.latency_ms), 2) AS latency
                  FROM rule_nats_publish_history h WHERE h.webhook_id = w.webhook_id) n,
       LATERAL (SELECT count(*) AS messages, coalesce(sum(pg_column_size(c.payload)), 0)::bigint AS bytes, round(avg(c.execution_time_ms), 2) AS latency
                  FROM rule_webhook_calls c WHERE c.webhook_id = w.webhook_id) q
 WHERE w.publish_mode = 'both';

\echo '== 5. Health of the two systems, and what the second path costs'
SELECT * FROM webhook_system_health;
SELECT * FROM hybrid_mode_costs;

\echo '== 6. From the queue to NATS: both for a day or two, then NATS alone (docs/migrating-from-polling.md)'
SELECT rule_webhook_register('legacy_orders', :'receiver' || '/legacy') AS registered
 WHERE NOT EXISTS (SELECT FROM rule_webhooks WHERE webhook_name = 'legacy_orders');
SELECT webhook_id AS legacy FROM rule_webhooks WHERE webhook_name = 'legacy_orders' \gset
UPDATE rule_webhooks SET publish_mode = 'both', nats_enabled = true, nats_subject = 'webhooks.' || lower(webhook_name) WHERE webhook_id = :legacy;
SELECT webhook_name, nats_messages, queue_messages FROM hybrid_mode_costs WHERE webhook_name = 'legacy_orders';
UPDATE rule_webhooks SET publish_mode = 'nats' WHERE webhook_id = :legacy;
SELECT webhook_name, publish_mode, nats_subject FROM rule_webhooks WHERE webhook_id = :legacy;
