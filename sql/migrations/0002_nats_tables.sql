-- The RFC-0007 configuration tables and the columns they add to rule_webhooks.
SET search_path TO public, pg_temp;

CREATE TABLE IF NOT EXISTS rule_nats_config (
    config_id              serial PRIMARY KEY,
    config_name            text NOT NULL UNIQUE DEFAULT 'default',
    nats_url               text NOT NULL DEFAULT 'nats://localhost:4222',
    nats_cluster_urls      text[],
    auth_type              text DEFAULT 'none',
    auth_token             text,
    auth_credentials_file  text,
    auth_nkey_seed         text,
    tls_enabled            boolean DEFAULT false,
    tls_cert_file          text,
    tls_key_file           text,
    tls_ca_file            text,
    max_connections        integer DEFAULT 10,
    connection_timeout_ms  integer DEFAULT 5000,
    reconnect_delay_ms     integer DEFAULT 2000,
    max_reconnect_attempts integer DEFAULT -1,
    jetstream_enabled      boolean DEFAULT true,
    stream_name            text DEFAULT 'WEBHOOKS',
    subject_prefix         text DEFAULT 'webhooks',
    enabled                boolean DEFAULT true,
    created_at             timestamptz DEFAULT CURRENT_TIMESTAMP,
    updated_at             timestamptz DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT valid_auth_type CHECK (auth_type IN ('none', 'token', 'credentials', 'nkey'))
);
COMMENT ON TABLE rule_nats_config IS 'Named NATS configurations. ConnectionStrings__nats overrides the URL of ''default''. Inserted and changed by rule_nats_configure and ConfigService.';
COMMENT ON COLUMN rule_nats_config.auth_token IS 'Kept for compatibility. Services take credentials from their own configuration; no service role can read this column.';
COMMENT ON COLUMN rule_nats_config.auth_nkey_seed IS 'Kept for compatibility. Services take credentials from their own configuration; no service role can read this column.';

CREATE TABLE IF NOT EXISTS rule_nats_streams (
    stream_id                serial PRIMARY KEY,
    config_id                integer NOT NULL REFERENCES rule_nats_config(config_id) ON DELETE CASCADE,
    stream_name              text NOT NULL,
    subjects                 text[] NOT NULL,
    description              text,
    storage_type             text DEFAULT 'file',
    max_messages             bigint DEFAULT 1000000,
    max_bytes                bigint DEFAULT 1073741824,
    max_age_seconds          bigint DEFAULT 604800,
    retention_policy         text DEFAULT 'limits',
    discard_policy           text DEFAULT 'old',
    replicas                 integer DEFAULT 1,
    duplicate_window_seconds integer DEFAULT 120,
    enabled                  boolean DEFAULT true,
    created_at               timestamptz DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (config_id, stream_name),
    CONSTRAINT valid_storage CHECK (storage_type IN ('memory', 'file')),
    CONSTRAINT valid_retention CHECK (retention_policy IN ('limits', 'interest', 'workqueue')),
    CONSTRAINT valid_discard CHECK (discard_policy IN ('old', 'new'))
);
-- What the provisioner found on the server.
ALTER TABLE rule_nats_streams ADD COLUMN IF NOT EXISTS server_state text NOT NULL DEFAULT 'unknown'
    CONSTRAINT valid_server_state CHECK (server_state IN ('unknown', 'created', 'exists', 'differs', 'failed'));
ALTER TABLE rule_nats_streams ADD COLUMN IF NOT EXISTS server_detail text;
ALTER TABLE rule_nats_streams ADD COLUMN IF NOT EXISTS checked_at timestamptz;
CREATE INDEX IF NOT EXISTS idx_nats_streams_config ON rule_nats_streams (config_id);
CREATE INDEX IF NOT EXISTS idx_nats_streams_enabled ON rule_nats_streams (enabled) WHERE enabled;
COMMENT ON TABLE rule_nats_streams IS 'Definitions of JetStream streams. The stream provisioner creates them on the server and writes server_state, server_detail and checked_at.';
COMMENT ON COLUMN rule_nats_streams.server_state IS 'unknown, created (by us), exists (and covers the definition), differs (see server_detail), failed (see server_detail).';

CREATE TABLE IF NOT EXISTS rule_nats_consumer_stats (
    consumer_id            serial PRIMARY KEY,
    stream_name            text NOT NULL,
    consumer_name          text NOT NULL,
    queue_group            text,
    ack_policy             text,
    max_deliver            integer,
    messages_delivered     bigint DEFAULT 0,
    messages_acknowledged  bigint DEFAULT 0,
    messages_pending       bigint DEFAULT 0,
    messages_redelivered   bigint DEFAULT 0,
    avg_processing_time_ms numeric(10,2),
    last_active_at         timestamptz,
    active                 boolean DEFAULT true,
    created_at             timestamptz DEFAULT CURRENT_TIMESTAMP,
    updated_at             timestamptz DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (stream_name, consumer_name)
);
CREATE INDEX IF NOT EXISTS idx_nats_consumer_stream ON rule_nats_consumer_stats (stream_name);
CREATE INDEX IF NOT EXISTS idx_nats_consumer_active ON rule_nats_consumer_stats (active) WHERE active;
COMMENT ON TABLE rule_nats_consumer_stats IS 'One row per worker, written by that worker.';

ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS nats_enabled boolean DEFAULT false;
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS nats_subject text;
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS nats_config_id integer REFERENCES rule_nats_config(config_id);
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS publish_mode text DEFAULT 'queue'
    CONSTRAINT valid_publish_mode CHECK (publish_mode IN ('queue', 'nats', 'both'));
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS subject_filter text;
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS deduplicate_for interval DEFAULT '24 hours'
    CONSTRAINT valid_deduplicate_for CHECK (deduplicate_for BETWEEN interval '0' AND interval '30 days');
CREATE INDEX IF NOT EXISTS idx_webhooks_nats_enabled ON rule_webhooks (nats_enabled) WHERE nats_enabled;
COMMENT ON COLUMN rule_webhooks.nats_subject IS 'The literal subject that a publish through this webhook goes to.';
COMMENT ON COLUMN rule_webhooks.subject_filter IS 'Which messages this endpoint receives; * and > are allowed. Null means its nats_subject.';
COMMENT ON COLUMN rule_webhooks.deduplicate_for IS 'How long a message_id of this webhook is remembered: a repeat is answered with the first result, another body is refused. Null or zero leaves only JetStream''s duplicate window (2 minutes).';

INSERT INTO rule_nats_config (config_name, nats_url)
SELECT 'default', 'nats://localhost:4222'
 WHERE NOT EXISTS (SELECT FROM rule_nats_config WHERE config_name = 'default');

-- Ours refuse when full instead of discarding what nobody has delivered yet, and have no message limit: RFC-0007's
-- 1,000,000 messages with discard 'old' silently lose undelivered events. Its subjects cover more than one token.
INSERT INTO rule_nats_streams (config_id, stream_name, subjects, description, max_messages, max_bytes, discard_policy)
SELECT c.config_id, 'WEBHOOKS', ARRAY['webhooks.>', 'events.>'], 'Events for webhooks', -1, -1, 'new'
  FROM rule_nats_config c
 WHERE c.config_name = 'default'
   AND NOT EXISTS (SELECT FROM rule_nats_streams s WHERE s.config_id = c.config_id AND s.stream_name = 'WEBHOOKS');
