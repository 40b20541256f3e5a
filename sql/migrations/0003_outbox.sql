-- The publish history, which is the outbox: a row is inserted as pending in the caller's transaction and marked later.
--
-- Why it looks like this:
--   * Marks are HOT updates: no index names a column that a mark changes, and a page keeps more than half its space free.
--   * Partitions by publish_id are dropped whole when expired; a mass DELETE would cost more than the inserts did.
--   * enqueued_xid finds every pending row from a low-water mark on: ids and times miss transactions that commit late.
--   * No foreign key: deleting an endpoint erases neither its history nor its pending events.
SET search_path TO public, pg_temp;

CREATE SEQUENCE IF NOT EXISTS rule_nats_publish_history_publish_id_seq AS bigint;

CREATE TABLE IF NOT EXISTS rule_nats_publish_history (
    publish_id        bigint NOT NULL DEFAULT nextval('rule_nats_publish_history_publish_id_seq'),
    webhook_id        integer,
    subject           text NOT NULL,
    payload           jsonb NOT NULL,
    headers           jsonb,
    published_at      timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    message_id        text,
    sequence_number   bigint,
    success           boolean GENERATED ALWAYS AS (CASE state WHEN 'stored' THEN true WHEN 'refused' THEN false END) STORED,
    error_message     text,
    latency_ms        numeric(12,2),
    triggered_by      text,
    rule_execution_id bigint,
    expires_at        timestamptz DEFAULT CURRENT_TIMESTAMP + interval '7 days',
    state             text NOT NULL DEFAULT 'pending',
    stream_name       text,
    duplicate         boolean,
    attempts          integer NOT NULL DEFAULT 0,
    last_error        text,
    stored_at         timestamptz,
    enqueued_xid      xid8 DEFAULT pg_current_xact_id(),
    body              bytea,
    body_sha256       bytea,
    nats_msg_id       text NOT NULL,
    config_id         integer,
    call_id           bigint,
    trace_parent      text,
    superseded        jsonb,
    CONSTRAINT rule_nats_publish_history_pkey PRIMARY KEY (publish_id),
    -- One constraint and not five: each is compiled anew by every INSERT statement, which was 40 % of a publish.
    CONSTRAINT state_and_place_agree CHECK (CASE state
        WHEN 'pending' THEN sequence_number IS NULL AND enqueued_xid IS NOT NULL
        WHEN 'stored' THEN sequence_number IS NOT NULL AND sequence_number >= 1 AND stream_name IS NOT NULL
        WHEN 'refused' THEN sequence_number IS NULL AND error_message IS NOT NULL
        ELSE false END)
) PARTITION BY RANGE (publish_id);
ALTER SEQUENCE rule_nats_publish_history_publish_id_seq OWNED BY rule_nats_publish_history.publish_id;

CREATE INDEX IF NOT EXISTS idx_nats_publish_webhook ON rule_nats_publish_history (webhook_id, published_at DESC);
CREATE INDEX IF NOT EXISTS idx_nats_publish_subject ON rule_nats_publish_history (subject);
CREATE INDEX IF NOT EXISTS idx_nats_publish_time ON rule_nats_publish_history USING brin (published_at);
CREATE INDEX IF NOT EXISTS idx_nats_publish_expires ON rule_nats_publish_history USING brin (expires_at);
-- Rows that are written after their ack leave enqueued_xid null and cost this index nothing.
CREATE INDEX IF NOT EXISTS idx_nats_publish_xid ON rule_nats_publish_history (enqueued_xid) WHERE enqueued_xid IS NOT NULL;

COMMENT ON TABLE rule_nats_publish_history IS 'Every event handed to NATS, and the outbox of those that are not stored yet. See sql/README.md for states and owners.';
COMMENT ON COLUMN rule_nats_publish_history.success IS 'true = stored, false = refused, null = pending. Derived from state.';
COMMENT ON COLUMN rule_nats_publish_history.stream_name IS 'While pending: the stream of the configuration (the relay expects the definition that has the subject, where there is another). When stored: the stream of the PubAck.';
COMMENT ON COLUMN rule_nats_publish_history.duplicate IS 'The PubAck said duplicate: an earlier attempt had stored it.';
COMMENT ON COLUMN rule_nats_publish_history.body IS 'The exact bytes published; null means the UTF-8 text of payload.';
COMMENT ON COLUMN rule_nats_publish_history.nats_msg_id IS 'Nats-Msg-Id, ce-id and webhook-id of this event: rule_nats_msg_id(webhook_id, message_id), or p<database>_<publish_id>.';
COMMENT ON COLUMN rule_nats_publish_history.latency_ms IS 'To the PubAck, as measured by the component that published: from the publish (PublishService) or from the commit (CdcRelay).';
COMMENT ON COLUMN rule_nats_publish_history.triggered_by IS 'Who published: the session user for SQL, the service for gRPC and REST.';
COMMENT ON COLUMN rule_nats_publish_history.call_id IS 'The rule_webhook_calls row of the same event under publish_mode both.';
COMMENT ON COLUMN rule_nats_publish_history.superseded IS 'Earlier places of a message that the reconciler had to publish again: [{"stream","sequence","stored_at"}].';

-- Inserts never fail for want of a partition; it is empty as long as rule_nats_history_maintain runs.
CREATE TABLE IF NOT EXISTS rule_nats_publish_history_default PARTITION OF rule_nats_publish_history DEFAULT WITH (fillfactor = 45);

-- Uniqueness over all partitions, and past JetStream's duplicate window.
CREATE TABLE IF NOT EXISTS rule_nats_message_keys (
    webhook_id  integer NOT NULL,
    message_id  text NOT NULL,
    body_sha256 bytea NOT NULL,
    publish_id  bigint,
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (webhook_id, message_id)
);
CREATE INDEX IF NOT EXISTS idx_nats_message_keys_expires ON rule_nats_message_keys (expires_at);
COMMENT ON TABLE rule_nats_message_keys IS 'Which message_id was used with which body, until expires_at. webhook_id 0 is a publish by subject.';

CREATE TABLE IF NOT EXISTS rule_nats_relay_state (
    relay_name       text PRIMARY KEY,
    database_id      text NOT NULL,
    cluster_id       bigint,
    low_water_xid    xid8 NOT NULL DEFAULT '0',
    confirmed_lsn    pg_lsn,
    leased_by        text,
    lease_token      bigint NOT NULL DEFAULT 0,
    lease_until      timestamptz,
    last_scan_at     timestamptz,
    updated_at       timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);
COMMENT ON TABLE rule_nats_relay_state IS 'One row, ''default'': the scan''s low-water mark and the relay''s lease. Written by CdcRelay only.';
COMMENT ON COLUMN rule_nats_relay_state.database_id IS 'Part of derived message ids, together with the database''s name, so that two databases on one stream never use the same one.';
COMMENT ON COLUMN rule_nats_relay_state.cluster_id IS 'The cluster that database_id was made in: a copy of the database in another one gets its own.';
COMMENT ON COLUMN rule_nats_relay_state.low_water_xid IS 'Every transaction before this one is finished and its pending rows are known (parked or marked): the next scan begins here.';
INSERT INTO rule_nats_relay_state (relay_name, database_id, cluster_id)
SELECT 'default', replace(gen_random_uuid()::text, '-', ''), (SELECT system_identifier FROM pg_control_system())
 WHERE NOT EXISTS (SELECT FROM rule_nats_relay_state WHERE relay_name = 'default');

-- Pending rows that the WAL path did not finish: found by the scan, or tried in vain. Small, so a retry costs the same
-- whatever the history has grown to. By destination, so that the backlog of one that is unavailable hides none of another.
CREATE TABLE IF NOT EXISTS rule_nats_relay_parked (
    publish_id      bigint PRIMARY KEY,
    destination     text NOT NULL,
    parked_at       timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    next_attempt_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS idx_nats_relay_parked_due ON rule_nats_relay_parked (destination, next_attempt_at, publish_id);
COMMENT ON TABLE rule_nats_relay_parked IS 'Pending history rows the relay has to try again. Written by CdcRelay only.';
COMMENT ON COLUMN rule_nats_relay_parked.destination IS '<config_id>/<subject> of the history row: rows of one destination are retried in one turn, each destination in its own.';

-- DDL takes no parameters, so this one function composes statements: identifiers through %I from constants, bounds are bigint.
CREATE OR REPLACE FUNCTION rule_nats_history_maintain(p_partition_rows bigint DEFAULT 5000000, p_ahead integer DEFAULT 2)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    v_next bigint;
    v_from bigint;
    v_name text;
    v_part record;
    v_finished boolean;
    v_created integer := 0;
    v_dropped integer := 0;
    v_keys bigint;
BEGIN
    IF p_partition_rows < 1 OR p_ahead NOT BETWEEN 1 AND 100 THEN
        RAISE EXCEPTION 'p_partition_rows must be positive and p_ahead 1..100' USING ERRCODE = '22023';
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('rule_nats_history_maintain', 0)) THEN
        RETURN jsonb_build_object('created', 0, 'dropped', 0, 'keys_expired', 0, 'busy', true);
    END IF;
    -- Restored into another cluster: derived message ids must differ from those of the original from now on.
    UPDATE rule_nats_relay_state r
       SET database_id = replace(gen_random_uuid()::text, '-', ''), cluster_id = c.system_identifier, low_water_xid = '0', updated_at = now()
      FROM pg_control_system() c
     WHERE r.relay_name = 'default' AND r.cluster_id IS DISTINCT FROM c.system_identifier;
    IF FOUND THEN
        -- Transaction ids started again, so the scan cannot tell which of the restored rows it has seen: all are tried again.
        INSERT INTO rule_nats_relay_parked (publish_id, destination)
        SELECT h.publish_id, concat(h.config_id, '/', h.subject) FROM rule_nats_publish_history h WHERE h.state = 'pending'
        ON CONFLICT (publish_id) DO NOTHING;
    END IF;

    SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END INTO v_next FROM rule_nats_publish_history_publish_id_seq;

    -- The first range that no partition has yet and that no row in the default partition lies in or above.
    SELECT greatest(
               coalesce((SELECT max((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''(\d+)''\)'))[1]::bigint)
                           FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                          WHERE i.inhparent = 'rule_nats_publish_history'::regclass), 0),
               coalesce((SELECT (max(publish_id) / p_partition_rows + 1) * p_partition_rows FROM rule_nats_publish_history_default), 0),
               v_next / p_partition_rows * p_partition_rows)
      INTO v_from;
    WHILE v_from < (v_next / p_partition_rows + 1 + p_ahead) * p_partition_rows LOOP
        v_name := 'rule_nats_publish_history_p' || v_from;
        -- Made apart and then attached: CREATE ... PARTITION OF would lock every reader and writer out of the whole table.
        EXECUTE format('CREATE TABLE public.%I (LIKE rule_nats_publish_history INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS INCLUDING STORAGE,
                        CONSTRAINT in_range CHECK (publish_id >= %s AND publish_id < %s)) WITH (fillfactor = 45)',
                       v_name, v_from, v_from + p_partition_rows);
        EXECUTE format('ALTER TABLE rule_nats_publish_history ATTACH PARTITION public.%I FOR VALUES FROM (%s) TO (%s)',
                       v_name, v_from, v_from + p_partition_rows);
        EXECUTE format('ALTER TABLE public.%I DROP CONSTRAINT in_range', v_name);
        v_created := v_created + 1;
        v_from := v_from + p_partition_rows;
    END LOOP;

    -- A partition goes when its whole range is used, every row is finished and every row has expired.
    FOR v_part IN
        SELECT c.relname
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'rule_nats_publish_history'::regclass
           AND (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''(\d+)''\)'))[1]::bigint <= v_next
    LOOP
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM public.%I WHERE expires_at IS NULL OR expires_at > now() OR state = ''pending'')', v_part.relname)
           INTO v_finished;
        IF v_finished THEN
            BEGIN
                EXECUTE format('DROP TABLE public.%I', v_part.relname);
                v_dropped := v_dropped + 1;
            EXCEPTION WHEN lock_not_available THEN
                NULL; -- Somebody is reading it: the next call drops it.
            END;
        END IF;
    END LOOP;

    DELETE FROM rule_nats_message_keys k
     WHERE (k.webhook_id, k.message_id) IN (
        SELECT e.webhook_id, e.message_id FROM rule_nats_message_keys e WHERE e.expires_at < now()
         ORDER BY e.expires_at LIMIT 5000 FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS v_keys = ROW_COUNT;
    RETURN jsonb_build_object('created', v_created, 'dropped', v_dropped, 'keys_expired', v_keys, 'busy', false);
END $$;
COMMENT ON FUNCTION rule_nats_history_maintain(bigint, integer) IS
'Creates the next partitions of rule_nats_publish_history, drops those that are wholly finished and expired, and forgets up to 5,000 expired message keys. Cheap and safe to call at any time from any number of places; CdcRelay calls it every minute.';

SELECT rule_nats_history_maintain();

-- The relay's WAL feed. Marks are updates and therefore not in it; rows written after their ack are filtered out.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = 'rule_nats_outbox') THEN
        CREATE PUBLICATION rule_nats_outbox FOR TABLE rule_nats_publish_history WHERE (state = 'pending')
            WITH (publish = 'insert', publish_via_partition_root = true);
    END IF;
END $$;
