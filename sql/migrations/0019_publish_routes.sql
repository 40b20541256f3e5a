-- What a publish has to know of its webhook, in one narrow row. Reading it from three tables and composing the answer from them was a third of a publish.
SET search_path TO public, pg_temp;

CREATE TABLE IF NOT EXISTS rule_nats_routes (
    webhook_id  integer PRIMARY KEY REFERENCES rule_webhooks (webhook_id) ON DELETE CASCADE,
    subject     text NOT NULL,
    config_id   integer,
    stream_name text,
    unified     boolean NOT NULL,
    database_id text NOT NULL,
    answer      jsonb NOT NULL
);
COMMENT ON TABLE rule_nats_routes IS 'What a publish has to know of each webhook that has NATS enabled and a subject. Derived from rule_webhooks, rule_nats_config and rule_nats_relay_state by their triggers; written by nobody else.';
COMMENT ON COLUMN rule_nats_routes.webhook_id IS 'The webhook.';
COMMENT ON COLUMN rule_nats_routes.subject IS 'Its nats_subject.';
COMMENT ON COLUMN rule_nats_routes.config_id IS 'Its configuration, or the one named default.';
COMMENT ON COLUMN rule_nats_routes.stream_name IS 'The stream of that configuration.';
COMMENT ON COLUMN rule_nats_routes.unified IS 'Its publish_mode is nats: rule_webhook_call_unified does the same as rule_webhook_publish_nats.';
COMMENT ON COLUMN rule_nats_routes.database_id IS 'That of rule_nats_relay_state: part of derived message ids.';
COMMENT ON COLUMN rule_nats_routes.answer IS 'The part of a publish''s answer that is the same for every event.';
