-- What the services see of NATS, told by themselves; rule_nats_configure gets further arguments.
SET search_path TO public, pg_temp;

-- Not logged: it is worth nothing after a crash, and the relay's slot need not read it.
CREATE UNLOGGED TABLE IF NOT EXISTS rule_nats_service_reports (
    service_name        text NOT NULL,
    instance_id         text NOT NULL,
    config_name         text NOT NULL,
    connected           boolean NOT NULL,
    nats_url            text,
    server_id           text,
    server_name         text,
    server_version      text,
    total_connections   integer NOT NULL DEFAULT 0,
    healthy_connections integer NOT NULL DEFAULT 0,
    requests_served     bigint NOT NULL DEFAULT 0,
    config_updated_at   timestamptz,
    loaded_at           timestamptz,
    error               text,
    reported_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (service_name, instance_id, config_name)
) WITH (fillfactor = 50);
COMMENT ON TABLE rule_nats_service_reports IS 'What each running service sees of each NATS configuration, by its own report: every 5 seconds and at each change. One older than 30 seconds does not count. Written by rule_nats_service_report alone.';
COMMENT ON COLUMN rule_nats_service_reports.service_name IS 'PublishService, CdcRelay, DeliveryWorker or ConfigService.';
COMMENT ON COLUMN rule_nats_service_reports.instance_id IS 'Host name and process id of the instance.';
COMMENT ON COLUMN rule_nats_service_reports.config_name IS 'The NATS configuration.';
COMMENT ON COLUMN rule_nats_service_reports.connected IS 'Whether at least one connection can publish.';
COMMENT ON COLUMN rule_nats_service_reports.nats_url IS 'The URLs that the service uses, without user and password; for ''default'' its ConnectionStrings__nats where it has one.';
COMMENT ON COLUMN rule_nats_service_reports.server_id IS 'Id of the nats-server that it is connected to.';
COMMENT ON COLUMN rule_nats_service_reports.server_name IS 'Name of that server.';
COMMENT ON COLUMN rule_nats_service_reports.server_version IS 'Version of that server.';
COMMENT ON COLUMN rule_nats_service_reports.total_connections IS 'Connections that its pool has opened.';
COMMENT ON COLUMN rule_nats_service_reports.healthy_connections IS 'Those that can publish.';
COMMENT ON COLUMN rule_nats_service_reports.requests_served IS 'Publishes handed to the pool since it was opened, repeated attempts included.';
COMMENT ON COLUMN rule_nats_service_reports.config_updated_at IS 'rule_nats_config.updated_at of the version that it works with.';
COMMENT ON COLUMN rule_nats_service_reports.loaded_at IS 'When its connections were made.';
COMMENT ON COLUMN rule_nats_service_reports.error IS 'Why a connection is missing; null while all are there.';
COMMENT ON COLUMN rule_nats_service_reports.reported_at IS 'When the report was written, by the database''s clock.';

COMMENT ON COLUMN rule_nats_config.auth_token IS 'Token for auth_type token. The services'' own Messaging:Credentials take its place.';
COMMENT ON COLUMN rule_nats_config.auth_nkey_seed IS 'Seed (SU…) for auth_type nkey. The services'' own Messaging:Credentials take its place.';
COMMENT ON COLUMN rule_nats_config.connection_timeout_ms IS 'Time for one attempt to connect, in milliseconds.';
COMMENT ON COLUMN rule_nats_config.reconnect_delay_ms IS 'Longest pause between two attempts to connect, in milliseconds; the first follow each other sooner, from 100 ms on.';
COMMENT ON COLUMN rule_nats_config.max_reconnect_attempts IS 'Attempts in a row before a connection is left alone until the configuration is read again (every 30 seconds, or by rule_nats_init); -1 or 0 for no limit.';
COMMENT ON COLUMN rule_nats_config.max_connections IS 'Most connections of each service''s pool.';
COMMENT ON COLUMN rule_nats_config.updated_at IS 'When the row was last changed; services report which version they work with.';

DROP FUNCTION IF EXISTS rule_nats_configure(text, text, text, boolean, text, text);
