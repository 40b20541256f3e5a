-- How deliveries to one webhook are repeated, kept apart and recorded, and what is known of how they go.
SET search_path TO public, pg_temp;

ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS retry_schedule integer[];
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS max_concurrency integer NOT NULL DEFAULT 8;
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS rate_limit numeric;
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS rate_burst integer;
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS breaker_failures integer NOT NULL DEFAULT 10;
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS breaker_failure_pct integer NOT NULL DEFAULT 70;
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS breaker_probe_seconds integer NOT NULL DEFAULT 30;
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS disable_after_seconds integer DEFAULT 432000;
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS recovery_probe_seconds integer DEFAULT 3600;
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS backlog_threshold integer DEFAULT 10000;
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS response_headers_kept text[] NOT NULL
    DEFAULT '{content-type,content-length,date,retry-after,server,x-request-id}';
-- Who switched it off: 'user', '410' (the receiver is gone) or 'failures' (which a probe may undo).
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS disabled_by text
    CONSTRAINT valid_disabled_by CHECK (disabled_by IN ('user', '410', 'failures'));

COMMENT ON COLUMN rule_webhooks.retry_schedule IS 'Seconds from each failed attempt to the next, 1 to 20 of 0 to 604,800; one more attempt than entries. Null: the schedule of Standard Webhooks (5 s, 5 min, 30 min, 2, 5, 10, 14, 20, 24 h) while max_retries, retry_delay_ms and retry_backoff_multiplier have their defaults, otherwise retry_delay_ms × retry_backoff_multiplier^n, max_retries times.';
COMMENT ON COLUMN rule_webhooks.max_concurrency IS 'Most requests to it at once from one worker process, 1 to 256. What comes beyond waits in rule_webhook_calls and holds nobody up.';
COMMENT ON COLUMN rule_webhooks.rate_limit IS 'Most attempts a second over all workers, 0.01 to 100,000; null for no limit.';
COMMENT ON COLUMN rule_webhooks.rate_burst IS 'How many attempts of the rate limit may come at once after a pause, 1 to 100,000; null: as many as in one second, at least 1.';
COMMENT ON COLUMN rule_webhooks.breaker_failures IS 'Failures in a row that open the circuit breaker, 1 to 1,000; 0 switches it off.';
COMMENT ON COLUMN rule_webhooks.breaker_failure_pct IS 'Share of failures among at least 10 attempts of the last 60 s that opens it, 1 to 100.';
COMMENT ON COLUMN rule_webhooks.breaker_probe_seconds IS 'While it is open one attempt is made this often, 1 to 86,400; a success closes it.';
COMMENT ON COLUMN rule_webhooks.disable_after_seconds IS 'The webhook is switched off after nothing but failures for this long and at least 20 of them, 60 to 31,536,000; null: never. Default 5 days.';
COMMENT ON COLUMN rule_webhooks.recovery_probe_seconds IS 'A webhook that failures switched off is tried this often with one of its calls and switched on by a success, 1 to 86,400; null: never. Default 1 hour.';
COMMENT ON COLUMN rule_webhooks.backlog_threshold IS 'Calls waiting for it above which events.webhooks.backlog is published, 1 to 100,000,000; null: never.';
COMMENT ON COLUMN rule_webhooks.response_headers_kept IS 'Names of the answer''s headers that are kept with an attempt, lower case, at most 32. Never set-cookie or a header with credentials.';
COMMENT ON COLUMN rule_webhooks.disabled_by IS 'Who switched it off: user, 410 (the receiver is gone) or failures; null while it is on, or was off before this was recorded.';

ALTER TABLE rule_webhook_call_history ADD COLUMN IF NOT EXISTS worker text;
ALTER TABLE rule_webhook_call_history ADD COLUMN IF NOT EXISTS remote_address text;
ALTER TABLE rule_webhook_call_history ADD COLUMN IF NOT EXISTS response_headers jsonb;
ALTER TABLE rule_webhook_call_history ADD COLUMN IF NOT EXISTS connect_ms numeric;
ALTER TABLE rule_webhook_call_history ADD COLUMN IF NOT EXISTS tls_ms numeric;
ALTER TABLE rule_webhook_call_history ADD COLUMN IF NOT EXISTS first_byte_ms numeric;
COMMENT ON COLUMN rule_webhook_call_history.worker IS 'The process that made the attempt: host:pid:instance.';
COMMENT ON COLUMN rule_webhook_call_history.remote_address IS 'The IP address and port it went to; null if it got to none.';
COMMENT ON COLUMN rule_webhook_call_history.response_headers IS 'Those of the answer''s headers that response_headers_kept names.';
COMMENT ON COLUMN rule_webhook_call_history.connect_ms IS 'Name resolution and TCP, in ms; null on a connection that was open already.';
COMMENT ON COLUMN rule_webhook_call_history.tls_ms IS 'The TLS handshake, in ms; null without one.';
COMMENT ON COLUMN rule_webhook_call_history.first_byte_ms IS 'From the start of the attempt to the answer''s headers, in ms; null without an answer.';

CREATE TABLE IF NOT EXISTS rule_webhook_health (
    webhook_id           integer PRIMARY KEY REFERENCES rule_webhooks (webhook_id) ON DELETE CASCADE,
    circuit              text NOT NULL DEFAULT 'closed' CONSTRAINT valid_circuit CHECK (circuit IN ('closed', 'open')),
    opened_at            timestamptz,
    next_probe_at        timestamptz,
    reason               text,
    consecutive_failures bigint NOT NULL DEFAULT 0,
    failing_since        timestamptz,
    last_success_at      timestamptz,
    last_failure_at      timestamptz,
    tokens               double precision,
    tokens_at            timestamptz,
    backlog              bigint,
    backlog_since        timestamptz
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
COMMENT ON TABLE rule_webhook_health IS 'How deliveries to each webhook go, over all workers. Written by the delivery workers; a row appears with the first failure or rate limit.';
COMMENT ON COLUMN rule_webhook_health.webhook_id IS 'The webhook.';
COMMENT ON COLUMN rule_webhook_health.circuit IS 'closed: deliveries are made. open: none but one probe at next_probe_at.';
COMMENT ON COLUMN rule_webhook_health.opened_at IS 'When the circuit opened; null while it is closed.';
COMMENT ON COLUMN rule_webhook_health.next_probe_at IS 'When one attempt may be made although the circuit is open, or failures have switched the webhook off.';
COMMENT ON COLUMN rule_webhook_health.reason IS 'Why it opened: the last error.';
COMMENT ON COLUMN rule_webhook_health.consecutive_failures IS 'Failed attempts since the last success.';
COMMENT ON COLUMN rule_webhook_health.failing_since IS 'The first of them.';
COMMENT ON COLUMN rule_webhook_health.last_success_at IS 'The last delivery that is known to this table: written with a failure before or after it, not with each.';
COMMENT ON COLUMN rule_webhook_health.last_failure_at IS 'The last failed attempt.';
COMMENT ON COLUMN rule_webhook_health.tokens IS 'What is left of the rate limit at tokens_at; workers take from it in portions.';
COMMENT ON COLUMN rule_webhook_health.tokens_at IS 'When tokens was counted.';
COMMENT ON COLUMN rule_webhook_health.backlog IS 'Calls waiting when it was last above backlog_threshold; null when it is below.';
COMMENT ON COLUMN rule_webhook_health.backlog_since IS 'Since when.';

DROP FUNCTION IF EXISTS rule_webhook_disable(integer, text);
