-- The functions that RFC-0005, RFC-0007 and upstream name: parameters in this order, with these names, types, defaults and results.
-- Further parameters may follow if all of them have defaults: every call that upstream's users have written still works.
BEGIN;

CREATE FUNCTION pg_temp.takes(p_name text, p_arguments text, p_result text) RETURNS text LANGUAGE sql AS $$
    SELECT is(
        (SELECT concat(left(a.arguments, length(p_arguments)), ' → ', pg_get_function_result(p.oid),
                       CASE WHEN p.pronargs - p.pronargdefaults > (SELECT count(*) FROM unnest(string_to_array(p_arguments, ', ')) a WHERE a !~ ' DEFAULT ')
                            THEN ', and more that must be given' END)
           FROM pg_proc p, LATERAL (SELECT regexp_replace(pg_get_function_arguments(p.oid), '::[a-z ]+', '', 'g') AS arguments) a
          WHERE p.pronamespace = 'public'::regnamespace AND p.proname = p_name),
        p_arguments || ' → ' || p_result, p_name)
$$;

SELECT plan(48);

SELECT pg_temp.takes('rule_webhook_register',
    'p_name text, p_url text, p_method text DEFAULT ''POST'', p_headers jsonb DEFAULT ''{}'', p_description text DEFAULT NULL, p_timeout_ms integer DEFAULT 5000, p_max_retries integer DEFAULT 3', 'integer');
SELECT pg_temp.takes('rule_webhook_update',
    'p_webhook_id integer, p_url text DEFAULT NULL, p_method text DEFAULT NULL, p_headers jsonb DEFAULT NULL, p_timeout_ms integer DEFAULT NULL, p_enabled boolean DEFAULT NULL', 'boolean');
SELECT pg_temp.takes('rule_webhook_delete', 'p_webhook_id integer', 'boolean');
SELECT pg_temp.takes('rule_webhook_list', 'p_enabled_only boolean DEFAULT false',
    'TABLE(webhook_id integer, webhook_name text, url text, method text, enabled boolean, total_calls bigint, success_rate numeric, created_at timestamp with time zone)');
SELECT pg_temp.takes('rule_webhook_get', 'p_identifier text', 'json');
SELECT pg_temp.takes('rule_webhook_secret_set', 'p_webhook_id integer, p_secret_name text, p_secret_value text', 'boolean');
SELECT pg_temp.takes('rule_webhook_secret_get', 'p_webhook_id integer, p_secret_name text', 'text');
SELECT pg_temp.takes('rule_webhook_secret_delete', 'p_webhook_id integer, p_secret_name text', 'boolean');
SELECT pg_temp.takes('rule_webhook_enqueue',
    'p_webhook_id integer, p_payload jsonb, p_rule_name text DEFAULT NULL, p_scheduled_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP', 'bigint');
SELECT pg_temp.takes('rule_webhook_retry', 'p_call_id bigint', 'boolean');
SELECT pg_temp.takes('rule_webhook_call', 'p_webhook_id integer, p_payload jsonb', 'json');
SELECT pg_temp.takes('rule_webhook_call_with_http', 'p_webhook_id integer, p_payload jsonb', 'json');
SELECT pg_temp.takes('rule_webhook_process_retries', '', 'TABLE(call_id bigint, webhook_name text, retry_result json)');
SELECT pg_temp.takes('rule_webhook_call_status', 'p_call_id bigint', 'json');
SELECT pg_temp.takes('rule_webhook_cleanup_old_calls', 'p_older_than interval DEFAULT ''30 days'', p_keep_failed boolean DEFAULT true', 'bigint');

SELECT pg_temp.takes('rule_nats_configure',
    'p_config_name text DEFAULT ''default'', p_nats_url text DEFAULT ''nats://localhost:4222'', p_auth_type text DEFAULT ''none'', p_jetstream_enabled boolean DEFAULT true', 'boolean');
SELECT pg_temp.takes('rule_nats_stream_create',
    'p_stream_name text, p_subjects text[], p_config_name text DEFAULT ''default'', p_retention_policy text DEFAULT ''limits'', p_max_age_seconds bigint DEFAULT 604800, p_description text DEFAULT NULL', 'integer');
SELECT pg_temp.takes('rule_webhook_enable_nats',
    'p_webhook_id integer, p_nats_subject text DEFAULT NULL, p_publish_mode text DEFAULT ''both'', p_config_name text DEFAULT ''default''', 'boolean');
SELECT pg_temp.takes('rule_webhook_disable_nats', 'p_webhook_id integer', 'boolean');
SELECT pg_temp.takes('rule_nats_config_info', 'p_config_name text DEFAULT ''default''', 'json');
SELECT pg_temp.takes('rule_nats_test_connection', 'p_config_name text DEFAULT ''default''', 'json');
SELECT pg_temp.takes('rule_nats_health_check', 'config_name text', 'jsonb');
SELECT pg_temp.takes('rule_nats_webhooks_list', '',
    'TABLE(webhook_id integer, webhook_name text, nats_subject text, publish_mode text, config_name text, total_published bigint, success_rate numeric)');
SELECT pg_temp.takes('rule_nats_cleanup_expired', '', 'bigint');
SELECT pg_temp.takes('rule_nats_cleanup_old_history', 'p_older_than interval DEFAULT ''30 days'', p_keep_failed boolean DEFAULT true', 'bigint');
SELECT pg_temp.takes('rule_nats_consumer_update_stats',
    'p_stream_name text, p_consumer_name text, p_messages_delivered bigint, p_messages_acknowledged bigint, p_messages_pending bigint, p_avg_processing_time_ms numeric DEFAULT NULL', 'boolean');
SELECT pg_temp.takes('rule_nats_stats', 'p_webhook_id integer DEFAULT NULL, p_hours integer DEFAULT 24', 'json');
SELECT pg_temp.takes('rule_nats_init', 'config_name text DEFAULT ''default''', 'jsonb');
SELECT pg_temp.takes('rule_webhook_publish_nats', 'webhook_id integer, payload jsonb, message_id text DEFAULT NULL', 'jsonb');
SELECT pg_temp.takes('rule_webhook_call_unified', 'webhook_id integer, payload jsonb', 'jsonb');

-- As users call them: by position as in RFC-0007, and by name as upstream, whose rule_nats_stream_create has the description before the retention.
SELECT lives_ok($$SELECT rule_nats_configure('rfc', 'nats://localhost:4222', 'none', true)$$, 'four arguments of RFC-0007');
SELECT lives_ok($$SELECT rule_nats_configure('upstream', 'nats://localhost:4222', 'none', true, 'EVENTS', 'events')$$, 'six arguments of upstream');
SELECT lives_ok($$SELECT rule_nats_stream_create('ORDERS', ARRAY['orders.*'], 'default', 'limits', 604800)$$, 'five arguments of RFC-0007');
SELECT lives_ok($$SELECT rule_nats_stream_create(p_stream_name => 'LOGS', p_subjects => ARRAY['logs.>'], p_description => 'Logs', p_retention_policy => 'interest')$$, 'the names of upstream');
SELECT lives_ok($$SELECT rule_webhook_register('one', 'https://example.com/')$$, 'the two that have no default');
SELECT lives_ok($$SELECT rule_webhook_enable_nats(rule_webhook_register('two', 'https://example.com/'))$$, 'all defaults');
SELECT lives_ok($$SELECT rule_webhook_publish_nats(webhook_id, '{}', NULL) FROM rule_webhooks WHERE webhook_name = 'two'$$, 'no message id');
SELECT lives_ok($$SELECT rule_nats_stats(NULL, 168), rule_nats_stats(), rule_nats_init(), rule_nats_config_info()$$, 'statistics and configuration');

-- What the examples and upstream's tools select from.
SELECT has_view(v) FROM unnest(ARRAY['webhook_status_summary', 'webhook_recent_failures', 'webhook_performance_stats', 'rule_webhook_queue',
                                     'nats_publish_summary', 'nats_recent_failures', 'nats_performance_stats']::name[]) v;
SELECT col_default_is('rule_webhooks', 'publish_mode', 'queue', 'a webhook uses the queue until it is told otherwise');
SELECT col_default_is('rule_webhooks', 'timeout_ms', '5000', 'five seconds for an attempt');
SELECT col_default_is('rule_nats_config', 'max_connections', '10', 'ten connections');

SELECT * FROM finish();
ROLLBACK;
