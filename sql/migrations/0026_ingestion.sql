-- Ingestion: where each document is, what each batch had, and how many there were.
SET search_path TO public, pg_temp;

CREATE TABLE IF NOT EXISTS message_status (
    message_id      uuid PRIMARY KEY,
    received_at     timestamptz NOT NULL,
    processed_at    timestamptz,
    retry_count     integer NOT NULL DEFAULT 0,
    body_sha256     bytea,
    status          varchar(20) NOT NULL CONSTRAINT status_is_known CHECK (status IN ('accepted', 'processing', 'completed', 'failed', 'dlq')),
    entity_type     varchar(255),
    source          varchar(255),
    error_code      text,
    error_message   text,
    stream_sequence bigint,
    dlq_sequence    bigint,
    resubmitted_as  uuid
);
CREATE INDEX IF NOT EXISTS idx_message_status_received ON message_status (received_at, message_id);
-- Most rows are completed, and nobody asks for all of them.
CREATE INDEX IF NOT EXISTS idx_message_status_open ON message_status (status, received_at, message_id) WHERE status <> 'completed';
COMMENT ON TABLE message_status IS 'Where each ingested document is: accepted, processing, completed, failed or dlq. A worker writes the row, in the common case in the transaction that stores the document; an id that was returned and has no row is accepted.';
COMMENT ON COLUMN message_status.message_id IS 'The id that the API returned.';
COMMENT ON COLUMN message_status.received_at IS 'When the API accepted it.';
COMMENT ON COLUMN message_status.processed_at IS 'When it was completed, or became a dead letter; null before.';
COMMENT ON COLUMN message_status.retry_count IS 'Deliveries to a worker beyond the first.';
COMMENT ON COLUMN message_status.body_sha256 IS 'SHA-256 of the document as it was sent: the same idempotency key with another body is told by it.';
COMMENT ON COLUMN message_status.status IS 'accepted, processing, completed (final), failed (tried again) or dlq (final).';
COMMENT ON COLUMN message_status.entity_type IS 'The entity it was stored as, or was sent as; null when neither is known.';
COMMENT ON COLUMN message_status.source IS 'Where it came from, as the API was told; null when it was not.';
COMMENT ON COLUMN message_status.error_code IS 'Of the last failure, for programs; null when there was none. A completed row has none.';
COMMENT ON COLUMN message_status.error_message IS 'Of the last failure, for people; never a part of the document.';
COMMENT ON COLUMN message_status.stream_sequence IS 'Its place in the stream MESSAGES.';
COMMENT ON COLUMN message_status.dlq_sequence IS 'Of a dead letter: its place in the stream MESSAGESDLQ.';
COMMENT ON COLUMN message_status.resubmitted_as IS 'Of a dead letter that was sent again: the id it has since.';

CREATE TABLE IF NOT EXISTS ingest_batches (
    batch_id    uuid PRIMARY KEY,
    received_at timestamptz NOT NULL,
    lines       integer NOT NULL,
    accepted    integer NOT NULL,
    rejected    integer NOT NULL,
    unavailable integer NOT NULL,
    complete    boolean NOT NULL
);
CREATE INDEX IF NOT EXISTS idx_ingest_batches_received ON ingest_batches USING brin (received_at);
COMMENT ON TABLE ingest_batches IS 'What each batch had, as the API answered it: one row a batch, written when its last line was read. The ids of its lines follow from its own.';
COMMENT ON COLUMN ingest_batches.batch_id IS 'The id that the API returned.';
COMMENT ON COLUMN ingest_batches.received_at IS 'When its first line was read.';
COMMENT ON COLUMN ingest_batches.lines IS 'The highest number of a line that has a verdict; blank lines count.';
COMMENT ON COLUMN ingest_batches.accepted IS 'Lines that are stored in the stream.';
COMMENT ON COLUMN ingest_batches.rejected IS 'Lines that were refused for what they are.';
COMMENT ON COLUMN ingest_batches.unavailable IS 'Lines that could not be stored; they are to be sent again.';
COMMENT ON COLUMN ingest_batches.complete IS 'False: the connection ended before the batch did.';

CREATE TABLE IF NOT EXISTS ingest_totals (
    worker_name text NOT NULL,
    entity_type text NOT NULL,
    completed   bigint NOT NULL DEFAULT 0,
    dlq         bigint NOT NULL DEFAULT 0,
    entity_rows bigint NOT NULL DEFAULT 0,
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (worker_name, entity_type)
) WITH (fillfactor = 50);
COMMENT ON TABLE ingest_totals IS 'How many documents have been stored and given up, by worker and entity: written in the transaction that stores them, so that their sum is exact and costs nothing to ask for.';
COMMENT ON COLUMN ingest_totals.worker_name IS 'The worker that counted. Workers with the same name share a row.';
COMMENT ON COLUMN ingest_totals.entity_type IS 'The entity; empty where none was known.';
COMMENT ON COLUMN ingest_totals.completed IS 'Documents that were completed.';
COMMENT ON COLUMN ingest_totals.dlq IS 'Documents that became dead letters.';
COMMENT ON COLUMN ingest_totals.entity_rows IS 'Rows written to entity tables, those that replaced older ones included.';
COMMENT ON COLUMN ingest_totals.updated_at IS 'When the row was last written.';
