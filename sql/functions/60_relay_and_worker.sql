-- What CdcRelay, the reconciler and DeliveryWorker do to rows they do not own whole.
SET search_path TO public, pg_temp;

CREATE OR REPLACE FUNCTION rule_nats_mark_stored(
    p_publish_ids bigint[], p_streams text[], p_sequences bigint[], p_duplicates boolean[], p_latencies_ms double precision[])
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_marked integer;
    v_minute timestamptz := date_trunc('minute', clock_timestamp());
    v_low bigint := (SELECT min(id) FROM unnest(p_publish_ids) AS id);
BEGIN
    -- What the reconciler has to read of the history: one write a minute, and one for each batch that goes further back.
    IF NOT EXISTS (SELECT FROM rule_nats_reconcile_marks m WHERE m.minute = v_minute AND m.low_publish_id <= v_low) AND v_low IS NOT NULL THEN
        INSERT INTO rule_nats_reconcile_marks AS m (minute, low_publish_id, next_publish_id)
        SELECT v_minute, v_low, s.last_value FROM rule_nats_publish_history_publish_id_seq s
        ON CONFLICT (minute) DO UPDATE SET low_publish_id = least(m.low_publish_id, EXCLUDED.low_publish_id);
    END IF;
    UPDATE rule_nats_publish_history h
       SET state = 'stored', stream_name = m.stream, sequence_number = m.sequence, duplicate = m.duplicate,
           latency_ms = CASE WHEN m.latency BETWEEN 0 AND 9999999999 THEN m.latency::numeric(12,2) END, stored_at = clock_timestamp(), attempts = h.attempts + 1, last_error = NULL
      FROM unnest(p_publish_ids, p_streams, p_sequences, p_duplicates, p_latencies_ms) AS m(id, stream, sequence, duplicate, latency)
     WHERE h.publish_id = m.id AND h.state = 'pending';
    GET DIAGNOSTICS v_marked = ROW_COUNT;
    DELETE FROM rule_nats_relay_parked p WHERE p.publish_id = ANY (p_publish_ids);
    RETURN v_marked;
END $$;
COMMENT ON FUNCTION rule_nats_mark_stored(bigint[], text[], bigint[], boolean[], double precision[]) IS
'Marks pending events as stored, in one batch: arrays of the same length. A stream and a sequence of at least 1 are required (state_and_place_agree). Rows already finished stay as they are; returns how many were marked.';

CREATE OR REPLACE FUNCTION rule_nats_mark_refused(p_publish_ids bigint[], p_reasons text[])
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_marked integer;
BEGIN
    UPDATE rule_nats_publish_history h
       SET state = 'refused', error_message = left(coalesce(nullif(m.reason, ''), 'refused'), 2000), attempts = h.attempts + 1
      FROM unnest(p_publish_ids, p_reasons) AS m(id, reason)
     WHERE h.publish_id = m.id AND h.state = 'pending';
    GET DIAGNOSTICS v_marked = ROW_COUNT;
    DELETE FROM rule_nats_relay_parked p WHERE p.publish_id = ANY (p_publish_ids);
    RETURN v_marked;
END $$;
COMMENT ON FUNCTION rule_nats_mark_refused(bigint[], text[]) IS 'Marks pending events that can never be stored, with the reason.';

CREATE OR REPLACE FUNCTION rule_nats_park(p_publish_ids bigint[], p_errors text[], p_retry_after interval[])
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_parked integer;
BEGIN
    WITH tried AS (
        UPDATE rule_nats_publish_history h SET attempts = h.attempts + 1, last_error = left(m.error, 2000)
          FROM unnest(p_publish_ids, p_errors, p_retry_after) AS m(id, error, retry_after)
         WHERE h.publish_id = m.id AND h.state = 'pending'
        RETURNING h.publish_id, concat(h.config_id, '/', h.subject) AS destination, m.retry_after)
    INSERT INTO rule_nats_relay_parked AS p (publish_id, destination, next_attempt_at)
    SELECT t.publish_id, t.destination, clock_timestamp() + t.retry_after FROM tried t
    ON CONFLICT (publish_id) DO UPDATE SET next_attempt_at = EXCLUDED.next_attempt_at;
    GET DIAGNOSTICS v_parked = ROW_COUNT;
    RETURN v_parked;
END $$;
COMMENT ON FUNCTION rule_nats_park(bigint[], text[], interval[]) IS
'Keeps events pending that could not be stored yet: counts the attempt, keeps the error, and makes each due again after its pause. Their WAL position may then be confirmed.';

CREATE OR REPLACE FUNCTION rule_nats_scan_pending(
    p_snapshot pg_snapshot DEFAULT pg_current_snapshot(), p_in_flight bigint[] DEFAULT '{}', p_limit integer DEFAULT 20000)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_from xid8;
    v_parked integer;
BEGIN
    SELECT r.low_water_xid INTO v_from FROM rule_nats_relay_state r WHERE r.relay_name = 'default';
    IF v_from > pg_snapshot_xmax(p_snapshot) THEN
        v_from := '0'; -- Restored into another cluster, whose transaction ids started again.
    END IF;
    INSERT INTO rule_nats_relay_parked (publish_id, destination)
    SELECT h.publish_id, concat(h.config_id, '/', h.subject)
      FROM rule_nats_publish_history h
     WHERE h.enqueued_xid IS NOT NULL AND h.enqueued_xid >= v_from AND h.enqueued_xid < pg_snapshot_xmax(p_snapshot)
       AND pg_visible_in_snapshot(h.enqueued_xid, p_snapshot)
       AND h.state = 'pending' AND h.publish_id <> ALL (p_in_flight)
       AND NOT EXISTS (SELECT FROM rule_nats_relay_parked p WHERE p.publish_id = h.publish_id)
     LIMIT p_limit
    ON CONFLICT (publish_id) DO NOTHING;
    GET DIAGNOSTICS v_parked = ROW_COUNT;
    RETURN v_parked;
END $$;
COMMENT ON FUNCTION rule_nats_scan_pending(pg_snapshot, bigint[], integer) IS
'Parks up to p_limit pending events of transactions from the low-water mark on that p_snapshot sees as finished, and that are not in flight; returns how many. Repeat until it returns less than p_limit. Its cost is that of the rows since the mark, which the relay moves.';

CREATE OR REPLACE FUNCTION rule_nats_parked_destinations()
RETURNS SETOF text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    -- Jumps from one to the next in the index, whatever the number of rows of each.
    WITH RECURSIVE d AS (
        (SELECT p.destination FROM rule_nats_relay_parked p ORDER BY p.destination LIMIT 1)
        UNION ALL
        SELECT (SELECT p.destination FROM rule_nats_relay_parked p WHERE p.destination > d.destination ORDER BY p.destination LIMIT 1)
          FROM d WHERE d.destination IS NOT NULL)
    SELECT d.destination FROM d WHERE d.destination IS NOT NULL
$$;
COMMENT ON FUNCTION rule_nats_parked_destinations() IS 'The destinations that have parked events.';

CREATE OR REPLACE FUNCTION rule_nats_parked_due(p_destination text, p_in_flight bigint[] DEFAULT '{}', p_limit integer DEFAULT 500)
RETURNS SETOF rule_nats_publish_history
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_due bigint[];
BEGIN
    v_due := ARRAY(SELECT p.publish_id FROM rule_nats_relay_parked p
                    WHERE p.destination = p_destination AND p.next_attempt_at <= clock_timestamp() AND p.publish_id <> ALL (p_in_flight)
                    ORDER BY p.next_attempt_at, p.publish_id LIMIT p_limit);
    DELETE FROM rule_nats_relay_parked p
     WHERE p.publish_id = ANY (v_due)
       AND NOT EXISTS (SELECT FROM rule_nats_publish_history h WHERE h.publish_id = p.publish_id AND h.state = 'pending');
    RETURN QUERY SELECT h.* FROM rule_nats_publish_history h WHERE h.publish_id = ANY (v_due) AND h.state = 'pending' ORDER BY h.publish_id;
END $$;
COMMENT ON FUNCTION rule_nats_parked_due(text, bigint[], integer) IS
'Up to p_limit parked events of one destination whose time has come and that are not in flight; finished ones are forgotten. Publish each, then mark or park it.';

CREATE OR REPLACE FUNCTION rule_nats_event_body(p_nats_msg_id text, p_body_sha256 bytea, p_published_at timestamptz)
RETURNS bytea LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_body bytea;
BEGIN
    -- A derived id has the key of its row. Any other is looked for among the rows of two minutes: nothing is indexed by it.
    IF p_nats_msg_id ~ '^p[0-9a-f]{12}_[0-9]{1,18}$' THEN
        SELECT coalesce(h.body, convert_to(h.payload::text, 'UTF8')) INTO v_body FROM rule_nats_publish_history h
         WHERE h.publish_id = split_part(p_nats_msg_id, '_', 2)::bigint AND h.nats_msg_id = p_nats_msg_id AND h.body_sha256 = p_body_sha256;
    ELSE
        SELECT coalesce(h.body, convert_to(h.payload::text, 'UTF8')) INTO v_body FROM rule_nats_publish_history h
         WHERE h.published_at BETWEEN p_published_at - interval '1 minute' AND p_published_at + interval '1 minute'
           AND h.nats_msg_id = p_nats_msg_id AND h.body_sha256 = p_body_sha256
         LIMIT 1;
    END IF;
    RETURN v_body;
END $$;
COMMENT ON FUNCTION rule_nats_event_body(text, bytea, timestamptz) IS
'Internal: the exact bytes of an event by its Nats-Msg-Id, the SHA-256 of its body and (needed unless the id is a derived one, p<database>_<publish_id>) its ce-time; null when the history has it not or no more. For a body that the Object Store has lost.';

CREATE OR REPLACE FUNCTION rule_nats_mark_restored(p_publish_ids bigint[], p_streams text[], p_sequences bigint[])
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_marked integer;
    v_low bigint := (SELECT min(id) FROM unnest(p_publish_ids) AS id);
BEGIN
    INSERT INTO rule_nats_reconcile_marks AS m (minute, low_publish_id, next_publish_id)
    SELECT date_trunc('minute', clock_timestamp()), v_low, s.last_value FROM rule_nats_publish_history_publish_id_seq s WHERE v_low IS NOT NULL
    ON CONFLICT (minute) DO UPDATE SET low_publish_id = least(m.low_publish_id, EXCLUDED.low_publish_id);
    UPDATE rule_nats_publish_history h
       SET superseded = coalesce(h.superseded, '[]'::jsonb)
               || jsonb_build_object('stream', h.stream_name, 'sequence', h.sequence_number, 'stored_at', h.stored_at),
           stream_name = m.stream, sequence_number = m.sequence, stored_at = clock_timestamp()
      FROM unnest(p_publish_ids, p_streams, p_sequences) AS m(id, stream, sequence)
     WHERE h.publish_id = m.id AND h.state = 'stored';
    GET DIAGNOSTICS v_marked = ROW_COUNT;
    RETURN v_marked;
END $$;
COMMENT ON FUNCTION rule_nats_mark_restored(bigint[], text[], bigint[]) IS
'The reconciler''s mark: a stored event that the server had lost was published again, at this place. The old place is kept in superseded.';

CREATE OR REPLACE FUNCTION rule_webhook_claim(p_worker text, p_limit integer DEFAULT 32, p_lease interval DEFAULT '60 seconds')
RETURNS SETOF rule_webhook_calls
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    UPDATE rule_webhook_calls c
       SET status = 'processing', leased_by = p_worker, lease_until = clock_timestamp() + p_lease, started_at = clock_timestamp(),
           attempts = c.attempts + 1
     WHERE c.call_id IN (
        SELECT d.call_id FROM rule_webhook_calls d
         WHERE d.due_at <= clock_timestamp() AND d.order_key IS NULL ORDER BY d.due_at LIMIT p_limit FOR UPDATE SKIP LOCKED)
    RETURNING c.*
$$;
COMMENT ON FUNCTION rule_webhook_claim(text, integer, interval) IS
'Leases up to p_limit calls that are due: pending, retrying, or left by a worker whose lease ran out. Nobody else gets them until the lease ends. Not those of ordered webhooks, whose turn only DeliveryWorker knows.';

CREATE OR REPLACE FUNCTION rule_webhook_lease(p_call_id bigint, p_worker text, p_lease interval DEFAULT '60 seconds')
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE rule_webhook_calls c
       SET status = 'processing', leased_by = p_worker, lease_until = clock_timestamp() + p_lease, started_at = clock_timestamp(),
           attempts = c.attempts + 1
     WHERE c.call_id = p_call_id AND (c.status = 'pending' OR (c.status = 'processing' AND c.lease_until < clock_timestamp()));
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION rule_webhook_lease(bigint, text, interval) IS
'Leases the call of an event that came with rule-call-id. False: the queue path has it or has finished it, so acknowledge without sending.';
