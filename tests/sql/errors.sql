-- The errors that upstream documents, in its words, with a SQLSTATE that says what kind it is.
BEGIN;
SELECT plan(29);

SELECT rule_webhook_register('orders', 'https://example.com/') AS orders \gset
SELECT rule_webhook_register('off', 'https://example.com/') AS off \gset
SELECT rule_webhook_update(:off, p_enabled => false) \gset _

SELECT throws_ok($$SELECT rule_webhook_register('ftp', 'ftp://example.com/')$$, '22023', 'Invalid URL format. Must start with http:// or https://', 'no http URL');
SELECT throws_ok($$SELECT rule_webhook_register('none', NULL)$$, '22023', 'Invalid URL format. Must start with http:// or https://', 'no URL');
SELECT throws_ok($$SELECT rule_webhook_register('patchy', 'https://example.com/', 'FETCH')$$, '23514', NULL, 'a method that is none');
SELECT throws_ok($$SELECT rule_webhook_register('orders', 'https://example.com/')$$, '23505', NULL, 'a name that exists');
SELECT is(rule_webhook_update(0, p_enabled => true), false, 'no webhook to update');
SELECT is(rule_webhook_get('nobody') ->> 'error', 'Webhook not found', 'no webhook to get');
SELECT throws_ok($$SELECT rule_webhook_enqueue(0, '{}')$$, 'P0002', 'Webhook not found: 0', 'no webhook to queue for');
SELECT throws_ok(format('SELECT rule_webhook_enqueue(%s, ''{}'')', :off), '55000', 'Webhook is disabled: off', 'nothing is queued for a disabled webhook');
SELECT is(rule_webhook_call(0, '{}') ->> 'error', 'Webhook not found', 'no webhook to call, as a value');
SELECT is(rule_webhook_call_status(0) ->> 'error', 'Call not found', 'no call to show');
SELECT throws_ok($$SELECT rule_webhook_retry(0)$$, 'P0002', 'Call not found: 0', 'no call to retry');

SELECT throws_ok($$SELECT rule_nats_configure('x', '')$$, '22023', 'NATS URL cannot be empty', 'no NATS URL');
SELECT throws_ok($$SELECT rule_nats_configure('x', 'http://localhost')$$, '22023', 'NATS URL must start with nats:// or tls://', 'another scheme');
SELECT throws_ok($$SELECT rule_nats_configure('x', p_auth_type => 'magic')$$, '22023', 'Invalid auth_type: magic. Must be: none, token, credentials, or nkey', 'an auth_type that is none');
SELECT throws_ok($$SELECT rule_nats_stream_create('', ARRAY['a'])$$, '22023', 'Stream name cannot be empty', 'no stream name');
SELECT throws_ok($$SELECT rule_nats_stream_create('A', '{}')$$, '22023', 'Subjects array cannot be empty', 'no subjects');
SELECT throws_ok($$SELECT rule_nats_stream_create('A', ARRAY['a'], 'default', 'forever')$$, '22023', 'Invalid retention_policy: forever. Must be: limits, interest, or workqueue', 'a retention policy that is none');
SELECT throws_ok($$SELECT rule_nats_stream_create('A', ARRAY['a'], 'nowhere')$$, 'P0002', 'NATS config nowhere not found', 'no configuration for a stream');
SELECT throws_ok($$SELECT rule_nats_config_info('nowhere')$$, 'P0002', 'NATS config nowhere not found', 'no configuration to show');
SELECT throws_ok($$SELECT rule_nats_init('nowhere')$$, 'P0002', 'NATS configuration not found or disabled', 'no configuration to read');

SELECT throws_ok(format('SELECT rule_webhook_enable_nats(%s, NULL, ''fast'')', :orders), '22023', 'Invalid publish_mode: fast. Must be: queue, nats, or both', 'a mode that is none');
SELECT throws_ok(format('SELECT rule_webhook_enable_nats(%s, p_config_name => ''nowhere'')', :orders), 'P0002', 'NATS config nowhere not found or disabled', 'no configuration for a webhook');
SELECT throws_ok($$SELECT rule_webhook_enable_nats(0)$$, 'P0002', 'Webhook 0 not found', 'no webhook to enable');
SELECT throws_ok($$SELECT rule_webhook_disable_nats(0)$$, 'P0002', 'Webhook 0 not found', 'no webhook to disable');

-- A subject is checked for its syntax and for names that the server keeps for itself. Whether a stream has it is seen when it is published.
SELECT throws_ok(format('SELECT rule_webhook_enable_nats(%s, ''two words'')', :orders), '22023', 'subject: whitespace at byte 3', 'no subject');
SELECT throws_ok(format('SELECT rule_webhook_enable_nats(%s, ''$JS.API.INFO'')', :orders), '22023', 'subject: reserved at byte 0', 'a reserved subject');

SELECT throws_ok(format('SELECT rule_webhook_publish_nats(%s, ''{}'')', :orders), 'P0002', 'Webhook not found or NATS not enabled', 'NATS is not enabled');
SELECT throws_ok($$SELECT rule_webhook_call_unified(0, '{}')$$, 'P0002', 'Webhook not found', 'no webhook to call');
UPDATE rule_webhooks SET nats_enabled = true WHERE webhook_id = :orders;
SELECT throws_ok(format('SELECT rule_webhook_publish_nats(%s, ''{}'')', :orders), '55000', 'NATS subject not configured', 'no subject to publish to');

SELECT * FROM finish();
ROLLBACK;
