-- The RFC-0005 base: endpoints, their secrets, the call queue and the record of every attempt.
-- Forward-only and re-runnable: a second run changes nothing.
SET search_path TO public, pg_temp;

CREATE TABLE IF NOT EXISTS schema_migrations (
    version     text PRIMARY KEY,
    description text,
    applied_at  timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);
ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS checksum text;
COMMENT ON TABLE schema_migrations IS 'Which migrations were applied, when, and the SHA-256 of the text that was applied.';

CREATE TABLE IF NOT EXISTS rule_webhooks (
    webhook_id               serial PRIMARY KEY,
    webhook_name             text NOT NULL UNIQUE,
    description              text,
    url                      text NOT NULL,
    method                   text DEFAULT 'POST',
    headers                  jsonb DEFAULT '{}'::jsonb,
    timeout_ms               integer DEFAULT 5000,
    retry_enabled            boolean DEFAULT true,
    max_retries              integer DEFAULT 3,
    retry_delay_ms           integer DEFAULT 1000,
    retry_backoff_multiplier numeric DEFAULT 2.0,
    enabled                  boolean DEFAULT true,
    created_at               timestamptz DEFAULT CURRENT_TIMESTAMP,
    updated_at               timestamptz DEFAULT CURRENT_TIMESTAMP,
    created_by               text DEFAULT CURRENT_USER,
    tags                     text[] DEFAULT '{}',
    CONSTRAINT rule_webhooks_method_check CHECK (method IN ('GET', 'POST', 'PUT', 'PATCH', 'DELETE')),
    CONSTRAINT rule_webhooks_timeout_ms_check CHECK (timeout_ms > 0 AND timeout_ms <= 60000),
    CONSTRAINT rule_webhooks_max_retries_check CHECK (max_retries >= 0 AND max_retries <= 10),
    CONSTRAINT rule_webhooks_retry_delay_ms_check CHECK (retry_delay_ms >= 0),
    CONSTRAINT rule_webhooks_retry_backoff_multiplier_check CHECK (retry_backoff_multiplier >= 1.0)
);
-- A receiver that answers 410 is switched off; these two columns say so to the operator.
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS disabled_at timestamptz;
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS disabled_reason text;
COMMENT ON TABLE rule_webhooks IS 'One row per endpoint. Inserted and changed by the rule_webhook_* functions and ConfigService; the delivery worker only switches one off.';

CREATE TABLE IF NOT EXISTS rule_webhook_secrets (
    secret_id    serial PRIMARY KEY,
    webhook_id   integer REFERENCES rule_webhooks(webhook_id) ON DELETE CASCADE,
    secret_name  text NOT NULL,
    secret_value text NOT NULL,
    created_at   timestamptz DEFAULT CURRENT_TIMESTAMP,
    created_by   text DEFAULT CURRENT_USER,
    UNIQUE (webhook_id, secret_name)
);
ALTER TABLE rule_webhook_secrets ADD COLUMN IF NOT EXISTS key_id text;
ALTER TABLE rule_webhook_secrets ADD COLUMN IF NOT EXISTS expires_at timestamptz;
COMMENT ON COLUMN rule_webhook_secrets.secret_value IS 'Plain text while key_id is null, else ciphertext (with its nonce) under the key of that name.';
COMMENT ON COLUMN rule_webhook_secrets.expires_at IS 'End of a rotated secret''s grace time; null for a secret that stays.';

-- call_id is bigint: upstream's serial ends after 2,147,483,647 calls.
-- There is no foreign key to rule_webhooks: deleting an endpoint must not erase what was sent to it.
CREATE TABLE IF NOT EXISTS rule_webhook_calls (
    call_id           bigserial PRIMARY KEY,
    webhook_id        integer NOT NULL,
    status            text NOT NULL DEFAULT 'pending',
    payload           jsonb NOT NULL,
    rule_name         text,
    rule_execution_id bigint,
    scheduled_at      timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    started_at        timestamptz,
    completed_at      timestamptz,
    retry_count       integer NOT NULL DEFAULT 0,
    next_retry_at     timestamptz,
    response_status   integer,
    response_body     text,
    response_headers  jsonb,
    error_message     text,
    execution_time_ms numeric,
    created_at        timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    event_id          text NOT NULL DEFAULT 'evt_' || replace(gen_random_uuid()::text, '-', ''),
    subject           text,
    body              bytea,
    request_headers   jsonb,
    trace_parent      text,
    publish_id        bigint,
    attempts          integer NOT NULL DEFAULT 0,
    leased_by         text,
    lease_until       timestamptz,
    -- When a worker has to look at this row next; null once it is finished. One partial index serves every claim, and
    -- its size is that of the work outstanding, whatever the table has grown to.
    due_at            timestamptz GENERATED ALWAYS AS (
        CASE status WHEN 'pending' THEN scheduled_at WHEN 'retrying' THEN next_retry_at WHEN 'processing' THEN lease_until END
    ) STORED,
    CONSTRAINT rule_webhook_calls_status_check CHECK (status IN ('pending', 'processing', 'success', 'failed', 'retrying')),
    CONSTRAINT rule_webhook_calls_event_id_check CHECK (length(event_id) BETWEEN 1 AND 128 AND position('.' IN event_id) = 0),
    CONSTRAINT rule_webhook_calls_retrying_check CHECK (status <> 'retrying' OR next_retry_at IS NOT NULL),
    -- A redelivered event finds the row of its first delivery instead of making a second one.
    CONSTRAINT rule_webhook_calls_event_webhook_key UNIQUE (event_id, webhook_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX IF NOT EXISTS idx_webhook_calls_due ON rule_webhook_calls (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_webhook_calls_webhook ON rule_webhook_calls (webhook_id, created_at DESC);
COMMENT ON TABLE rule_webhook_calls IS 'The PostgreSQL queue and the fate of each queued or retried call. See sql/README.md for who writes which column.';
COMMENT ON COLUMN rule_webhook_calls.event_id IS 'The webhook-id header: the same for every attempt, and equal to the Nats-Msg-Id of an event that also went through JetStream. Never contains a dot (Standard Webhooks).';
COMMENT ON COLUMN rule_webhook_calls.body IS 'The exact bytes to send and sign; null means the UTF-8 text of payload.';
COMMENT ON COLUMN rule_webhook_calls.request_headers IS 'Headers of the event (not of the endpoint) that go with every attempt.';
COMMENT ON COLUMN rule_webhook_calls.attempts IS 'HTTP attempts made so far, over both paths; retry_count counts only those scheduled again.';

-- Every HTTP attempt of both paths. No foreign key: the record outlives the call and the endpoint.
CREATE TABLE IF NOT EXISTS rule_webhook_call_history (
    history_id        bigserial PRIMARY KEY,
    call_id           bigint,
    attempt_number    integer NOT NULL DEFAULT 1,
    started_at        timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    completed_at      timestamptz,
    response_status   integer,
    response_body     text,
    error_message     text,
    execution_time_ms numeric,
    event_id          text,
    webhook_id        integer,
    outcome           text,
    subject           text,
    stream            text,
    stream_sequence   bigint,
    CONSTRAINT rule_webhook_call_history_outcome_check CHECK (outcome IN ('delivered', 'failed', 'blocked', 'cancelled', 'unknown')),
    CONSTRAINT rule_webhook_call_history_response_body_check CHECK (octet_length(response_body) <= 16384)
);
CREATE INDEX IF NOT EXISTS idx_webhook_call_history_event ON rule_webhook_call_history (event_id, webhook_id);
CREATE INDEX IF NOT EXISTS idx_webhook_call_history_call ON rule_webhook_call_history (call_id) WHERE call_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_webhook_call_history_webhook ON rule_webhook_call_history (webhook_id, started_at DESC);
COMMENT ON TABLE rule_webhook_call_history IS 'One row per HTTP attempt: the queue path has a call_id, a first attempt from JetStream has one only when a retry was scheduled.';
COMMENT ON COLUMN rule_webhook_call_history.outcome IS 'delivered (2xx), failed (this attempt; the call row says whether another follows), blocked (egress guard), cancelled (endpoint off or gone), unknown (the worker died during the request).';

CREATE INDEX IF NOT EXISTS idx_webhooks_enabled ON rule_webhooks (enabled) WHERE enabled;

-- What is still due for an endpoint that is deleted is kept, as failed with the reason.
CREATE OR REPLACE FUNCTION rule_webhooks_after_delete() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE rule_webhook_calls c
       SET status = 'failed', completed_at = clock_timestamp(), lease_until = NULL, leased_by = NULL,
           error_message = concat_ws(': ', 'Webhook deleted', c.error_message)
     WHERE c.webhook_id = OLD.webhook_id AND c.due_at IS NOT NULL;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION rule_webhooks_after_delete() IS 'Keeps the due calls of a deleted endpoint as failed, with the reason.';
CREATE OR REPLACE TRIGGER rule_webhooks_after_delete AFTER DELETE ON rule_webhooks
    FOR EACH ROW EXECUTE FUNCTION rule_webhooks_after_delete();
