-- Calls that were given up, and events that are taken from a stream once more.
SET search_path TO public, pg_temp;

CREATE TABLE IF NOT EXISTS rule_webhook_replays (
    replay_id      bigserial PRIMARY KEY,
    webhook_id     integer NOT NULL,
    config_name    text NOT NULL,
    streams        text[] NOT NULL,
    position       integer NOT NULL DEFAULT 1,
    from_time      timestamptz,
    to_time        timestamptz,
    from_sequence  bigint,
    to_sequence    bigint,
    status         text[],
    dry_run        boolean NOT NULL DEFAULT false,
    rate           numeric,
    state          text NOT NULL DEFAULT 'requested' CONSTRAINT valid_replay_state CHECK (state IN ('requested', 'running', 'done', 'cancelled', 'failed')),
    start_sequence bigint,
    next_sequence  bigint,
    end_sequence   bigint,
    scanned        bigint NOT NULL DEFAULT 0,
    matched        bigint NOT NULL DEFAULT 0,
    enqueued       bigint NOT NULL DEFAULT 0,
    skipped        bigint NOT NULL DEFAULT 0,
    error          text,
    requested_by   text NOT NULL DEFAULT session_user,
    requested_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at     timestamptz,
    finished_at    timestamptz,
    leased_by      text,
    lease_until    timestamptz
) WITH (fillfactor = 50);
CREATE INDEX IF NOT EXISTS idx_webhook_replays_open ON rule_webhook_replays (replay_id) WHERE state IN ('requested', 'running');
COMMENT ON TABLE rule_webhook_replays IS 'Replays: events of a stream that a webhook is to get once more. Inserted by rule_webhook_replay, carried out by one delivery worker at a time; a finished one is kept for 30 days.';
COMMENT ON COLUMN rule_webhook_replays.replay_id IS 'Its id, which deliveries carry as webhook-replay.';
COMMENT ON COLUMN rule_webhook_replays.webhook_id IS 'The webhook. No foreign key: what was replayed outlives it.';
COMMENT ON COLUMN rule_webhook_replays.config_name IS 'The NATS configuration whose streams are read.';
COMMENT ON COLUMN rule_webhook_replays.streams IS 'The streams, in the order in which they are read.';
COMMENT ON COLUMN rule_webhook_replays.position IS 'Which of streams is being read, from 1; one beyond the last when all are.';
COMMENT ON COLUMN rule_webhook_replays.from_time IS 'Only events stored at this time or later; null: from the first.';
COMMENT ON COLUMN rule_webhook_replays.to_time IS 'Only events stored before; null: to the last.';
COMMENT ON COLUMN rule_webhook_replays.from_sequence IS 'Only events from this sequence of the stream on; null: from the first.';
COMMENT ON COLUMN rule_webhook_replays.to_sequence IS 'Only events up to this sequence; null: to the last that is stored when reading begins.';
COMMENT ON COLUMN rule_webhook_replays.status IS 'Only events whose last outcome at the webhook is one of these: delivered, failed (an attempt of unknown outcome too), cancelled (it was off), missing (nothing is recorded); null: all.';
COMMENT ON COLUMN rule_webhook_replays.dry_run IS 'Counts and sends nothing.';
COMMENT ON COLUMN rule_webhook_replays.rate IS 'Most events a second, 0.01 to 100,000; null: no limit but that of the webhook.';
COMMENT ON COLUMN rule_webhook_replays.state IS 'requested (no worker has it yet), running, done, cancelled, failed (error says why).';
COMMENT ON COLUMN rule_webhook_replays.start_sequence IS 'Where reading of the present stream began; null before.';
COMMENT ON COLUMN rule_webhook_replays.next_sequence IS 'Where it goes on: everything below is counted, and its calls are in the queue.';
COMMENT ON COLUMN rule_webhook_replays.end_sequence IS 'Where it ends.';
COMMENT ON COLUMN rule_webhook_replays.scanned IS 'Events read.';
COMMENT ON COLUMN rule_webhook_replays.matched IS 'Of these, those that the webhook takes and status selects.';
COMMENT ON COLUMN rule_webhook_replays.enqueued IS 'Of these, those that were put into the queue.';
COMMENT ON COLUMN rule_webhook_replays.skipped IS 'Of these, those whose call was due already, or that were in the stream twice.';
COMMENT ON COLUMN rule_webhook_replays.error IS 'Why it failed, or what it is waiting for.';
COMMENT ON COLUMN rule_webhook_replays.requested_by IS 'The login that asked for it.';
COMMENT ON COLUMN rule_webhook_replays.requested_at IS 'When it was asked for.';
COMMENT ON COLUMN rule_webhook_replays.started_at IS 'When a worker first had it.';
COMMENT ON COLUMN rule_webhook_replays.finished_at IS 'When it was done, cancelled or failed.';
COMMENT ON COLUMN rule_webhook_replays.leased_by IS 'The worker that has it.';
COMMENT ON COLUMN rule_webhook_replays.lease_until IS 'When another worker may go on with it.';

ALTER TABLE rule_webhook_calls ADD COLUMN IF NOT EXISTS replay_id bigint;
COMMENT ON COLUMN rule_webhook_calls.replay_id IS 'The last replay that opened the call or began it anew; its attempts carry webhook-replay. Null without one.';
CREATE INDEX IF NOT EXISTS idx_webhook_calls_due_of_replay ON rule_webhook_calls (replay_id) WHERE replay_id IS NOT NULL AND due_at IS NOT NULL;

-- Calls that were given up: of one webhook by time, of all by id.
CREATE INDEX IF NOT EXISTS idx_webhook_calls_dead ON rule_webhook_calls (webhook_id, completed_at) WHERE status = 'failed';
CREATE INDEX IF NOT EXISTS idx_webhook_calls_dead_by_id ON rule_webhook_calls (call_id) WHERE status = 'failed';
