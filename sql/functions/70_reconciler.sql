-- The reconciler, which is a part of CdcRelay: what it asks of the database, and what an operator asks of it.
SET search_path TO public, pg_temp;

CREATE OR REPLACE FUNCTION rule_nats_reconcile(p_stream text DEFAULT NULL, p_horizon interval DEFAULT NULL)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_run bigint;
BEGIN
    IF p_stream IS NOT NULL AND NOT EXISTS (SELECT FROM rule_nats_streams s WHERE s.stream_name = p_stream)
       AND NOT EXISTS (SELECT FROM rule_nats_config c WHERE c.stream_name = p_stream) THEN
        RAISE EXCEPTION 'Stream not found: %', left(p_stream, 100) USING ERRCODE = 'P0002';
    END IF;
    IF p_horizon IS NOT NULL AND NOT (p_horizon > interval '0' AND p_horizon <= interval '30 days') THEN
        RAISE EXCEPTION 'p_horizon: % is not between 0 and 30 days', p_horizon
            USING ERRCODE = '22023', HINT = 'Leave it out to go back to the horizon before the last verified moment.';
    END IF;
    -- The same request twice is one.
    SELECT r.run_id INTO v_run FROM rule_nats_reconcile_runs r
     WHERE r.started_at IS NULL AND r.stream_name IS NOT DISTINCT FROM p_stream AND r.horizon IS NOT DISTINCT FROM p_horizon;
    IF v_run IS NULL THEN
        INSERT INTO rule_nats_reconcile_runs (reason, stream_name, horizon, requested_by, requested_at)
        VALUES ('requested', p_stream, p_horizon, session_user, clock_timestamp()) RETURNING run_id INTO v_run;
    END IF;
    RETURN jsonb_build_object(
        'request_id', v_run,
        'relay', (SELECT CASE WHEN s.lease_until > clock_timestamp() THEN s.leased_by END FROM rule_nats_relay_state s WHERE s.relay_name = 'default'),
        'runs', coalesce((SELECT jsonb_agg(to_jsonb(l) ORDER BY l.run_id DESC)
                            FROM (SELECT r.* FROM rule_nats_reconcile_runs r WHERE r.started_at IS NOT NULL ORDER BY r.run_id DESC LIMIT 10) l), '[]'));
END $$;
COMMENT ON FUNCTION rule_nats_reconcile(text, interval) IS
'Asks the relay to compare the history with a stream now (null: every stream), as far back as p_horizon (null: 5 minutes before the last verified moment; at most 30 days), and to publish again what is lost. Begins within a second of the commit. Returns request_id, relay (who will do it; null: none is running, and the request waits) and the last 10 runs; watch rule_nats_reconcile_runs where run_id = request_id. Errors: P0002 no such stream, 22023 horizon.';

CREATE OR REPLACE FUNCTION rule_nats_stored_since(p_since timestamptz)
RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    -- Marked since then: low_publish_id of its minutes, and of the one before for a statement that crossed the boundary. Inserted as
    -- stored since then: above the sequence of an earlier minute, two earlier for a publisher whose clock is behind.
    SELECT least(
        (SELECT min(m.low_publish_id) FROM rule_nats_reconcile_marks m WHERE m.minute >= date_trunc('minute', p_since) - interval '1 minute'),
        coalesce((SELECT m.next_publish_id FROM rule_nats_reconcile_marks m WHERE m.minute <= date_trunc('minute', p_since) - interval '2 minutes'
                   ORDER BY m.minute DESC LIMIT 1), 0))
$$;
COMMENT ON FUNCTION rule_nats_stored_since(timestamptz) IS
'A publish_id below which no row of the history was stored at p_since or later; 0 where that is not known. stored_at has no index, which would make every mark dearer.';

CREATE OR REPLACE FUNCTION rule_nats_consumer_restart(p_config_name text, p_stream text, p_start_sequence bigint)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO rule_nats_consumer_restarts AS r (config_name, stream_name, start_sequence, requested_at)
    VALUES (p_config_name, p_stream, p_start_sequence, clock_timestamp())
    ON CONFLICT (config_name, stream_name) DO UPDATE
       SET start_sequence = CASE WHEN r.done_at IS NULL THEN least(r.start_sequence, EXCLUDED.start_sequence) ELSE EXCLUDED.start_sequence END,
           requested_at = EXCLUDED.requested_at, done_at = NULL;
    PERFORM pg_notify('rule_config_changed', 'rule_nats_consumer_restarts');
END $$;
COMMENT ON FUNCTION rule_nats_consumer_restart(text, text, bigint) IS
'The reconciler''s word to the delivery workers: from this sequence on the stream''s sequences are used again, so a consumer that is past it has to begin there once more.';

CREATE OR REPLACE FUNCTION rule_nats_reconcile_maintain()
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO rule_nats_reconcile_marks (minute, low_publish_id, next_publish_id)
    SELECT date_trunc('minute', clock_timestamp()), s.last_value, s.last_value FROM rule_nats_publish_history_publish_id_seq s
    ON CONFLICT (minute) DO NOTHING;
    -- One that is older than a day stays: what was inserted since then lies above it.
    DELETE FROM rule_nats_reconcile_marks m
     WHERE m.minute < (SELECT max(o.minute) FROM rule_nats_reconcile_marks o WHERE o.minute < clock_timestamp() - interval '1 day');
    DELETE FROM rule_nats_reconcile_runs r
     WHERE r.finished_at IS NOT NULL AND r.reason <> 'requested' AND r.missing = 0 AND r.duplicates = 0 AND r.error IS NULL
       AND EXISTS (SELECT FROM rule_nats_reconcile_runs n WHERE n.config_name = r.config_name AND n.stream_name = r.stream_name AND n.run_id > r.run_id AND n.reason <> 'requested');
    DELETE FROM rule_nats_reconcile_runs r
     WHERE r.run_id <= (SELECT o.run_id FROM rule_nats_reconcile_runs o ORDER BY o.run_id DESC OFFSET 1000 LIMIT 1);
END $$;
COMMENT ON FUNCTION rule_nats_reconcile_maintain() IS
'Notes where the history stands in this minute and forgets what is no longer needed: marks older than a day, runs that found nothing but for the last of each stream, runs beyond 1,000. The relay calls it every 30 seconds.';
