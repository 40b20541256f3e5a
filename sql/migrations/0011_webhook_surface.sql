-- What the functions of sql/functions need beyond the first ten migrations; functions that get further arguments are dropped here.
SET search_path TO public, pg_temp;

ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS queue_grace interval NOT NULL DEFAULT '30 seconds'
    CONSTRAINT valid_queue_grace CHECK (queue_grace BETWEEN interval '0' AND interval '1 hour');
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS retain_for interval NOT NULL DEFAULT '7 days'
    CONSTRAINT valid_retain_for CHECK (retain_for BETWEEN interval '1 hour' AND interval '3650 days');
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS webhook_url text GENERATED ALWAYS AS (url) STORED;
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS http_method text GENERATED ALWAYS AS (method) STORED;
COMMENT ON COLUMN rule_webhooks.queue_grace IS 'Under publish_mode both: how long the queue leaves an event to JetStream before it sends it itself. 0 to 1 hour.';
COMMENT ON COLUMN rule_webhooks.retain_for IS 'How long finished calls and attempts are kept, 1 hour to 3,650 days; at least deduplicate_for. Deleted webhooks: 7 days. Purged every minute, by rule_webhook_purge_expired.';
COMMENT ON COLUMN rule_webhooks.webhook_url IS 'url, under the name that the NATS examples use. Read only: write url.';
COMMENT ON COLUMN rule_webhooks.http_method IS 'method, under the name that the NATS examples use. Read only: write method.';

DROP FUNCTION IF EXISTS rule_webhook_headers_check(jsonb);
DROP FUNCTION IF EXISTS rule_webhook_register(text, text, text, jsonb, text, integer, integer);
DROP FUNCTION IF EXISTS rule_webhook_update(integer, text, text, jsonb, integer, boolean);
-- rule_nats_accept(integer, jsonb, text, boolean, interval) stays where it is: a publish that waits for this transaction goes on in its old body and
-- calls it. A later migration drops it.
DROP FUNCTION IF EXISTS rule_webhook_publish_nats(integer, jsonb, text);
DROP FUNCTION IF EXISTS rule_webhook_call_unified(integer, jsonb, text);
