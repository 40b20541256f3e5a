-- The reconciler: what a server acknowledged and lost is found by comparing the history with the stream, and published again.
SET search_path TO public, pg_temp;

-- Marks must not touch an index, so none names stored_at. These few rows bound the part of the history that has to be read instead.
CREATE TABLE IF NOT EXISTS rule_nats_reconcile_marks (
    minute          timestamptz PRIMARY KEY,
    low_publish_id  bigint NOT NULL,
    next_publish_id bigint NOT NULL
);
COMMENT ON TABLE rule_nats_reconcile_marks IS 'Per minute, where in the history the rows stored since then lie: see rule_nats_stored_since. About a day is kept.';
COMMENT ON COLUMN rule_nats_reconcile_marks.minute IS 'Beginning of the minute, by the database''s clock.';
COMMENT ON COLUMN rule_nats_reconcile_marks.low_publish_id IS 'The lowest publish_id that was marked stored in this minute: low where a backlog was published.';
COMMENT ON COLUMN rule_nats_reconcile_marks.next_publish_id IS 'The publish_id sequence as it was in this minute: rows that are inserted already stored lie above.';
-- What was published before there was a reconciler counts as well.
INSERT INTO rule_nats_reconcile_marks (minute, low_publish_id, next_publish_id)
SELECT date_trunc('minute', now()) - interval '1 hour', low, low
  FROM (SELECT coalesce((SELECT min(publish_id) FROM rule_nats_publish_history WHERE published_at > now() - interval '1 hour'),
                        (SELECT last_value FROM rule_nats_publish_history_publish_id_seq)) AS low) AS recent
 WHERE NOT EXISTS (SELECT FROM rule_nats_reconcile_marks);

CREATE TABLE IF NOT EXISTS rule_nats_reconcile_state (
    config_name    text NOT NULL,
    stream_name    text NOT NULL,
    server_ids     text[] NOT NULL,
    stream_created timestamptz NOT NULL,
    last_sequence  bigint NOT NULL,
    floor_sequence bigint NOT NULL,
    floor_at       timestamptz NOT NULL,
    verified_at    timestamptz NOT NULL,
    PRIMARY KEY (config_name, stream_name)
);
COMMENT ON TABLE rule_nats_reconcile_state IS 'How each stream was when it was last known to hold what the history says. Written by CdcRelay only.';
COMMENT ON COLUMN rule_nats_reconcile_state.config_name IS 'The NATS configuration (rule_nats_config.config_name) whose servers have the stream.';
COMMENT ON COLUMN rule_nats_reconcile_state.stream_name IS 'The stream.';
COMMENT ON COLUMN rule_nats_reconcile_state.server_ids IS 'server_id of the nats-servers the relay was connected to: each start of a server has a new one.';
COMMENT ON COLUMN rule_nats_reconcile_state.stream_created IS 'When the stream was made: another time is another stream. A power cut does not change it.';
COMMENT ON COLUMN rule_nats_reconcile_state.last_sequence IS 'last_seq of the stream. Less than this means that its tail is lost.';
COMMENT ON COLUMN rule_nats_reconcile_state.floor_sequence IS 'first_seq of the stream at floor_at: what had been stored below it by then was removed on purpose.';
COMMENT ON COLUMN rule_nats_reconcile_state.floor_at IS 'When floor_sequence was seen.';
COMMENT ON COLUMN rule_nats_reconcile_state.verified_at IS 'When that was. The next comparison goes back to the horizon before it.';

CREATE TABLE IF NOT EXISTS rule_nats_reconcile_runs (
    run_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reason        text NOT NULL CHECK (reason IN ('reconnect', 'interval', 'regress', 'server_changed', 'requested')),
    config_name   text,
    stream_name   text,
    horizon       interval CHECK (horizon > interval '0'),
    requested_by  text,
    requested_at  timestamptz,
    started_at    timestamptz,
    finished_at   timestamptz,
    checked       bigint NOT NULL DEFAULT 0,
    missing       bigint NOT NULL DEFAULT 0,
    republished   bigint NOT NULL DEFAULT 0,
    duplicates    bigint NOT NULL DEFAULT 0,
    unrecoverable bigint NOT NULL DEFAULT 0,
    error         text
);
COMMENT ON TABLE rule_nats_reconcile_runs IS 'Comparisons of the history with the streams: the last of each stream, those that were asked for and those that found something; at most 1,000.';
COMMENT ON COLUMN rule_nats_reconcile_runs.run_id IS 'Also the request_id that rule_nats_reconcile returns.';
COMMENT ON COLUMN rule_nats_reconcile_runs.reason IS 'reconnect: the relay (re)connected. server_changed: to a server that was started anew. regress: last_seq went back, or the stream is another one. interval: the regular check. requested: rule_nats_reconcile.';
COMMENT ON COLUMN rule_nats_reconcile_runs.config_name IS 'The NATS configuration; null in a request: all.';
COMMENT ON COLUMN rule_nats_reconcile_runs.stream_name IS 'The stream; null in a request: all.';
COMMENT ON COLUMN rule_nats_reconcile_runs.horizon IS 'How far back a request wants to look; null: as far as the relay would.';
COMMENT ON COLUMN rule_nats_reconcile_runs.requested_by IS 'The user who asked.';
COMMENT ON COLUMN rule_nats_reconcile_runs.requested_at IS 'When the user asked.';
COMMENT ON COLUMN rule_nats_reconcile_runs.started_at IS 'Null: not begun.';
COMMENT ON COLUMN rule_nats_reconcile_runs.finished_at IS 'Null: under way, or its relay ended.';
COMMENT ON COLUMN rule_nats_reconcile_runs.checked IS 'Rows compared; 0 where one look at the stream showed that nothing had changed.';
COMMENT ON COLUMN rule_nats_reconcile_runs.missing IS 'Rows whose message was lost: neither at its place nor removed on purpose.';
COMMENT ON COLUMN rule_nats_reconcile_runs.republished IS 'Of these, published again.';
COMMENT ON COLUMN rule_nats_reconcile_runs.duplicates IS 'Rows whose message was found at another place, which was then recorded.';
COMMENT ON COLUMN rule_nats_reconcile_runs.unrecoverable IS 'Of the missing, those the stream refused or could not take; error has the first reason.';
COMMENT ON COLUMN rule_nats_reconcile_runs.error IS 'Why the run could not do all of its work.';
CREATE INDEX IF NOT EXISTS idx_nats_reconcile_requests ON rule_nats_reconcile_runs (run_id) WHERE started_at IS NULL;

CREATE TABLE IF NOT EXISTS rule_nats_consumer_restarts (
    config_name    text NOT NULL,
    stream_name    text NOT NULL,
    start_sequence bigint NOT NULL CHECK (start_sequence >= 1),
    requested_at   timestamptz NOT NULL,
    done_at        timestamptz,
    PRIMARY KEY (config_name, stream_name)
);
COMMENT ON TABLE rule_nats_consumer_restarts IS 'Streams that lost their tail, so that sequences are used again. nats-server keeps the consumer''s place and would skip them: a worker makes the consumer anew. One row per stream. Asked for by CdcRelay, done by DeliveryWorker.';
COMMENT ON COLUMN rule_nats_consumer_restarts.config_name IS 'The NATS configuration.';
COMMENT ON COLUMN rule_nats_consumer_restarts.stream_name IS 'The stream.';
COMMENT ON COLUMN rule_nats_consumer_restarts.start_sequence IS 'The first sequence that was used again. A consumer that has come this far begins here once more; recorded outcomes keep it from delivering twice.';
COMMENT ON COLUMN rule_nats_consumer_restarts.requested_at IS 'When the relay asked for it.';
COMMENT ON COLUMN rule_nats_consumer_restarts.done_at IS 'When a worker had done it; null: not yet.';
