-- Change data capture as a service: what CdcRelay captures, and how it is getting on.
SET search_path TO public, pg_temp;

CREATE TABLE IF NOT EXISTS rule_cdc_captures (
    capture_name      text PRIMARY KEY,
    slot_name         text NOT NULL UNIQUE,
    publication_name  text NOT NULL UNIQUE,
    config_name       text NOT NULL DEFAULT 'default',
    stream_name       text NOT NULL DEFAULT 'postgres_replication',
    subject_prefix    text NOT NULL DEFAULT 'postgres',
    format            text NOT NULL DEFAULT 'json',
    typed_values      boolean NOT NULL DEFAULT false,
    with_transaction  boolean NOT NULL DEFAULT false,
    event_unit        text NOT NULL DEFAULT 'change',
    oversized         text NOT NULL DEFAULT 'stop',
    wal_policy        text NOT NULL DEFAULT 'alert',
    wal_limit         bigint,
    heartbeat_seconds integer NOT NULL DEFAULT 10,
    enabled           boolean NOT NULL DEFAULT true,
    paused_reason     text,
    recover           boolean NOT NULL DEFAULT false,
    captured_since    timestamptz,
    dropped_at        timestamptz,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at        timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE rule_cdc_captures IS 'Captures: each reads one slot and publishes the row changes of its tables. Changed by rule_cdc_configure, rule_cdc_pause, rule_cdc_resume, rule_cdc_recover and rule_cdc_drop; CdcRelay follows within 2 seconds.';
COMMENT ON COLUMN rule_cdc_captures.capture_name IS 'Its name: 1 to 50 of a-z, 0-9 and _.';
COMMENT ON COLUMN rule_cdc_captures.slot_name IS 'The logical replication slot, apart from the outbox''s; CdcRelay makes it when the first table is added. Slot names are unique in a server, not in a database. Default rule_cdc_<capture_name>.';
COMMENT ON COLUMN rule_cdc_captures.publication_name IS 'The publication whose tables are captured; rule_cdc_table_add makes it. Default rule_cdc_<capture_name>.';
COMMENT ON COLUMN rule_cdc_captures.config_name IS 'The NATS configuration (rule_nats_config). Default default.';
COMMENT ON COLUMN rule_cdc_captures.stream_name IS 'The JetStream stream. Default postgres_replication. One capture a stream is quickest.';
COMMENT ON COLUMN rule_cdc_captures.subject_prefix IS 'What subjects begin with: <prefix>.<schema>.<table>.<operation>. Default postgres.';
COMMENT ON COLUMN rule_cdc_captures.format IS 'How events look: json, debezium, cloudevents or protobuf. Default json. Webhooks get what is in the stream.';
COMMENT ON COLUMN rule_cdc_captures.typed_values IS 'Numbers, booleans, JSON and arrays as such rather than as PostgreSQL''s text. Default false.';
COMMENT ON COLUMN rule_cdc_captures.with_transaction IS 'Whether row events carry LSN, transaction id, commit LSN, commit time and place in the transaction. Default false.';
COMMENT ON COLUMN rule_cdc_captures.event_unit IS 'change: an event for each; transaction: one for all changes of a transaction, in parts where they are more than goes into one. Default change.';
COMMENT ON COLUMN rule_cdc_captures.oversized IS 'A change that is larger than the server takes: stop (the flow stops until the limit is raised) or dead-letter (a small event with its key goes in its place). Default stop.';
COMMENT ON COLUMN rule_cdc_captures.wal_policy IS 'When the slot is more than wal_limit behind: alert (say it), pause (stop until rule_cdc_resume; the slot stays), drop (leave the backlog out; a Gap event says so, and a snapshot follows) or spill (keep it on the relay''s disk, Changes:SpillDirectory, until it is stored). Default alert.';
COMMENT ON COLUMN rule_cdc_captures.wal_limit IS 'Bytes of WAL, 1,048,576 or more; null: half of max_slot_wal_keep_size, or 5 GiB where that is unlimited.';
COMMENT ON COLUMN rule_cdc_captures.heartbeat_seconds IS 'Between two heartbeats, which show how far behind the slot is; 0 to 3600, 0 for none. Default 10.';
COMMENT ON COLUMN rule_cdc_captures.enabled IS 'False: paused. The slot stays, and holds WAL.';
COMMENT ON COLUMN rule_cdc_captures.paused_reason IS 'Why it was paused, where wal_policy did it.';
COMMENT ON COLUMN rule_cdc_captures.recover IS 'A slot that has lost its WAL is to be replaced; CdcRelay resets it once it captures.';
COMMENT ON COLUMN rule_cdc_captures.captured_since IS 'When its slot was first read; null before. A slot that is missing after that was lost, and is made anew by rule_cdc_recover alone.';
COMMENT ON COLUMN rule_cdc_captures.dropped_at IS 'When rule_cdc_drop was called: CdcRelay drops the slot and then this row.';
COMMENT ON COLUMN rule_cdc_captures.created_at IS 'When it was made.';
COMMENT ON COLUMN rule_cdc_captures.updated_at IS 'When it was last changed.';

CREATE TABLE IF NOT EXISTS rule_cdc_tables (
    capture_name    text NOT NULL REFERENCES rule_cdc_captures ON UPDATE CASCADE ON DELETE CASCADE,
    relation        regclass NOT NULL,
    exclude_columns text[] NOT NULL DEFAULT '{}',
    hash_columns    text[] NOT NULL DEFAULT '{}',
    mask_columns    text[] NOT NULL DEFAULT '{}',
    row_filter      text,
    added_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (capture_name, relation)
);
COMMENT ON TABLE rule_cdc_tables IS 'The tables of each capture, and what is shown of them. Inserted by rule_cdc_table_add, deleted by rule_cdc_table_remove.';
COMMENT ON COLUMN rule_cdc_tables.capture_name IS 'The capture.';
COMMENT ON COLUMN rule_cdc_tables.relation IS 'The table; it may be renamed.';
COMMENT ON COLUMN rule_cdc_tables.exclude_columns IS 'Columns that are left out, name and value.';
COMMENT ON COLUMN rule_cdc_tables.hash_columns IS 'Columns whose values are replaced by their SHA-256, salted with Changes:HashSalt of CdcRelay.';
COMMENT ON COLUMN rule_cdc_tables.mask_columns IS 'Columns whose values are replaced by ***.';
COMMENT ON COLUMN rule_cdc_tables.row_filter IS 'SQL/JSON path over the row with typed values: rows for which it is true are captured, e.g. $.total > 100. null: all.';
COMMENT ON COLUMN rule_cdc_tables.added_at IS 'When it was added; changes from before are not captured.';

CREATE TABLE IF NOT EXISTS rule_cdc_reports (
    capture_name text PRIMARY KEY REFERENCES rule_cdc_captures ON UPDATE CASCADE ON DELETE CASCADE,
    state        text NOT NULL,
    reason       text,
    warning      text,
    reported_by  text NOT NULL,
    events       bigint NOT NULL,
    lag          interval,
    reported_at  timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE rule_cdc_reports IS 'What the CdcRelay that runs a capture says of it, every second. Read it in the view cdc_status.';
COMMENT ON COLUMN rule_cdc_reports.capture_name IS 'The capture.';
COMMENT ON COLUMN rule_cdc_reports.state IS 'starting, capturing, stopped (an output takes nothing: nothing is lost, WAL is held), interrupted (PostgreSQL or the slot is away for now), failed (somebody has to change something; tried again every 30 s).';
COMMENT ON COLUMN rule_cdc_reports.reason IS 'Why it does not capture; null while it does.';
COMMENT ON COLUMN rule_cdc_reports.warning IS 'What the WAL guard says of the slot; null while it has nothing to say.';
COMMENT ON COLUMN rule_cdc_reports.reported_by IS 'The process: host:pid.';
COMMENT ON COLUMN rule_cdc_reports.events IS 'Events published since this process began.';
COMMENT ON COLUMN rule_cdc_reports.lag IS 'How long the last heartbeat took from PostgreSQL through the slot; null before the first.';
COMMENT ON COLUMN rule_cdc_reports.reported_at IS 'When.';

CREATE TABLE IF NOT EXISTS rule_cdc_snapshot_requests (
    request_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    capture_name text NOT NULL REFERENCES rule_cdc_captures ON UPDATE CASCADE ON DELETE CASCADE,
    relations    regclass[] NOT NULL,
    requested_by text NOT NULL DEFAULT session_user,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE rule_cdc_snapshot_requests IS 'Snapshots that were asked for and have not begun. Inserted by rule_cdc_snapshot and rule_cdc_table_add; CdcRelay takes them out when it captures, in one statement with the mark in the WAL where they begin.';
COMMENT ON COLUMN rule_cdc_snapshot_requests.request_id IS 'In the order of asking.';
COMMENT ON COLUMN rule_cdc_snapshot_requests.capture_name IS 'The capture.';
COMMENT ON COLUMN rule_cdc_snapshot_requests.relations IS 'The tables to read.';
COMMENT ON COLUMN rule_cdc_snapshot_requests.requested_by IS 'The login that asked.';
COMMENT ON COLUMN rule_cdc_snapshot_requests.requested_at IS 'When.';

CREATE TABLE IF NOT EXISTS rule_cdc_snapshots (
    capture_name   text NOT NULL REFERENCES rule_cdc_captures ON UPDATE CASCADE ON DELETE CASCADE,
    snapshot_id    text NOT NULL,
    table_name     text NOT NULL,
    state          text NOT NULL,
    rows_read      bigint NOT NULL,
    estimated_rows bigint,
    started_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    reported_at    timestamptz NOT NULL,
    PRIMARY KEY (capture_name, snapshot_id, table_name)
) WITH (fillfactor = 50);
COMMENT ON TABLE rule_cdc_snapshots IS 'How far snapshots are, a row for each table: written every second by the CdcRelay that runs the capture.';
COMMENT ON COLUMN rule_cdc_snapshots.capture_name IS 'The capture.';
COMMENT ON COLUMN rule_cdc_snapshots.snapshot_id IS 'The snapshot, as its events name it: where in the WAL it was asked for.';
COMMENT ON COLUMN rule_cdc_snapshots.table_name IS 'The table: schema.table.';
COMMENT ON COLUMN rule_cdc_snapshots.state IS 'waiting, reading, completed or failed.';
COMMENT ON COLUMN rule_cdc_snapshots.rows_read IS 'Rows that are read and stored.';
COMMENT ON COLUMN rule_cdc_snapshots.estimated_rows IS 'How many PostgreSQL thinks there are; null where it does not know.';
COMMENT ON COLUMN rule_cdc_snapshots.started_at IS 'When it was first reported.';
COMMENT ON COLUMN rule_cdc_snapshots.reported_at IS 'When it was last.';

INSERT INTO rule_cdc_captures (capture_name, slot_name, publication_name) VALUES ('default', 'rule_cdc_default', 'rule_cdc_default') ON CONFLICT DO NOTHING;
