-- Basic setup: one webhook, two events, and where to see what became of them.
--
--   psql "<the postgres URI that ./run prints>" -v ON_ERROR_STOP=1 -f sql/examples/01_basic_setup.sql
--   ... -v receiver=https://example.com/hooks    your endpoint; without one the requests go to port 9000 of this machine
--
-- May be run again: the event with an id of its own is then recognised and not published a second time.
\if :{?receiver}
\else
    \set receiver http://localhost:9000
\endif

\echo '== 1. The configuration, which the services are asked to read again'
SELECT jsonb_pretty(rule_nats_init('default')) AS nats;

\echo '== 2. A webhook that publishes to NATS'
SELECT rule_webhook_register('slack_notifications', :'receiver' || '/slack', p_description => 'Alerts for the team') AS registered
 WHERE NOT EXISTS (SELECT FROM rule_webhooks WHERE webhook_name = 'slack_notifications');
SELECT webhook_id AS slack FROM rule_webhooks WHERE webhook_name = 'slack_notifications' \gset
SELECT rule_webhook_update(:slack, p_url => :'receiver' || '/slack') AS updated,
       rule_webhook_enable_nats(:slack, 'webhooks.slack', 'nats') AS enabled;

\echo '== 3. An event with an id of its own: published once, however often it is repeated'
SELECT jsonb_pretty(rule_webhook_publish_nats(:slack, '{"text": "Deployment finished", "channel": "#releases"}', 'msg-001')) AS event;

\echo '== 4. The unified call takes the path that the webhook is set to'
SELECT jsonb_pretty(rule_webhook_call_unified(:slack, '{"text": "Disk almost full", "channel": "#alerts"}')) AS event;

-- Both are committed and on their way; a moment later they are in the stream.
DO $$
BEGIN
    FOR tenth IN 1..100 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM rule_nats_publish_history WHERE subject = 'webhooks.slack' AND state = 'pending');
        PERFORM pg_sleep(0.1);
    END LOOP;
END $$;

\echo '== 5. The last five events: stored means that JetStream has acknowledged it, at this place'
SELECT publish_id, subject, message_id, state, stream_name, sequence_number, latency_ms, error_message, last_error
  FROM rule_nats_publish_history WHERE webhook_id = :slack ORDER BY publish_id DESC LIMIT 5;

\echo '== 6. The webhook in numbers'
SELECT * FROM nats_publish_summary WHERE webhook_id = :slack;

\echo '== 7. Health of the connections, as the services report it'
SELECT jsonb_pretty(rule_nats_health_check('default')) AS health;

\echo '== 8. All webhooks that publish to NATS'
SELECT webhook_id, webhook_name, nats_subject, publish_mode, url FROM rule_webhooks WHERE nats_enabled ORDER BY webhook_id;

\echo '== 9. How long publishing takes, and what was refused'
SELECT * FROM nats_performance_stats;
SELECT * FROM nats_recent_failures LIMIT 5;
