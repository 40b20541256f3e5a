-- What CdcRelay, the reconciler and DeliveryWorker do to rows they do not own whole.
SET search_path TO public, pg_temp;

CREATE OR REPLACE FUNCTION rule_nats_mark_stored(
    p_publish_ids bigint[], p_streams text[], p_sequences bigint[], p_duplicates boolean[], p_latencies_ms double precision[])
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_marked integer;
BEGIN
    UPDATE rule_nats_publish_history h
       SET state = 'stored', stream_name = m.stream, sequence_number = m.sequence, duplicate = m.duplicate,
           latency_ms = CASE WHEN m.latency BETWEEN 0 AND 9999999999 THEN m.latency::numeric(12,2) END, stored_at = clock_timestamp(), attempts = h.attempts + 1, last_error = NULL
      FROM unnest(p_publish_ids, p_streams, p_sequences, p_duplicates, p_latencies_ms) AS m(id, stream, sequence, duplicate, latency)
     WHERE h.publish_id = m.id AND h.state = 'pending';
    GET DIAGNOSTICS v_marked = ROW_COUNT;
    RETURN v_marked;
END $$;
COMMENT ON FUNCTION rule_nats_mark_stored(bigint[], text[], bigint[], boolean[], double precision[]) IS
'Marks pending events as stored, in one batch: arrays of the same length. A stream and a sequence of at least 1 are required (CHECK stored_has_place). Rows already finished stay as they are; returns how many were marked.';

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
    RETURN v_marked;
END $$;
COMMENT ON FUNCTION rule_nats_mark_refused(bigint[], text[]) IS 'Marks pending events that can never be stored, with the reason.';

CREATE OR REPLACE FUNCTION rule_nats_park(p_publish_ids bigint[], p_errors text[], p_retry_after interval)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_parked integer;
BEGIN
    UPDATE rule_nats_publish_history h SET attempts = h.attempts + 1, last_error = left(m.error, 2000)
      FROM unnest(p_publish_ids, p_errors) AS m(id, error)
     WHERE h.publish_id = m.id AND h.state = 'pending';
    INSERT INTO rule_nats_relay_parked AS p (publish_id, next_attempt_at)
    SELECT i, clock_timestamp() + p_retry_after FROM unnest(p_publish_ids) i
    ON CONFLICT (publish_id) DO UPDATE SET next_attempt_at = EXCLUDED.next_attempt_at;
    GET DIAGNOSTICS v_parked = ROW_COUNT;
    RETURN v_parked;
END $$;
COMMENT ON FUNCTION rule_nats_park(bigint[], text[], interval) IS
'Keeps events pending that could not be stored yet: counts the attempt, keeps the error, and makes them due again. Their WAL position may then be confirmed.';

CREATE OR REPLACE FUNCTION rule_nats_scan_pending(p_retry_after interval DEFAULT '5 seconds')
RETURNS TABLE (parked bigint, low_water xid8)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_horizon xid8;
    v_from xid8;
BEGIN
    SELECT r.low_water_xid INTO v_from FROM rule_nats_relay_state r WHERE r.relay_name = 'default' FOR UPDATE;
    -- Every transaction below the horizon has ended before the next statement takes its snapshot, which thus sees its rows.
    v_horizon := pg_snapshot_xmin(pg_current_snapshot());
    IF v_from > v_horizon THEN
        v_from := '0'; -- Restored into another cluster, whose transaction ids started again.
    END IF;
    INSERT INTO rule_nats_relay_parked AS p (publish_id, next_attempt_at)
    SELECT h.publish_id, clock_timestamp() + p_retry_after
      FROM rule_nats_publish_history h
     WHERE h.enqueued_xid IS NOT NULL AND h.enqueued_xid >= v_from AND h.state = 'pending'
    ON CONFLICT (publish_id) DO NOTHING;
    GET DIAGNOSTICS parked = ROW_COUNT;
    UPDATE rule_nats_relay_state r SET low_water_xid = v_horizon, last_scan_at = clock_timestamp(), updated_at = clock_timestamp()
     WHERE r.relay_name = 'default';
    low_water := v_horizon;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION rule_nats_scan_pending(interval) IS
'Parks every pending event that committed since the last scan, late commits included, and moves the low-water mark. Needed at start, after a lost slot, and every second under wal_level=replica; otherwise now and then as a safety net. p_retry_after leaves the WAL path time to finish what it is doing.';

CREATE OR REPLACE FUNCTION rule_nats_parked_due(p_limit integer DEFAULT 500, p_lease interval DEFAULT '30 seconds')
RETURNS SETOF rule_nats_publish_history
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM rule_nats_relay_parked p
     WHERE p.publish_id IN (SELECT d.publish_id FROM rule_nats_relay_parked d WHERE d.next_attempt_at <= clock_timestamp()
                             ORDER BY d.next_attempt_at LIMIT greatest(p_limit, 1) * 4 FOR UPDATE SKIP LOCKED)
       AND NOT EXISTS (SELECT FROM rule_nats_publish_history h WHERE h.publish_id = p.publish_id AND h.state = 'pending');
    RETURN QUERY
    WITH due AS (
        UPDATE rule_nats_relay_parked p SET next_attempt_at = clock_timestamp() + p_lease
         WHERE p.publish_id IN (SELECT d.publish_id FROM rule_nats_relay_parked d WHERE d.next_attempt_at <= clock_timestamp()
                                 ORDER BY d.next_attempt_at LIMIT p_limit FOR UPDATE SKIP LOCKED)
        RETURNING p.publish_id)
    SELECT h.* FROM due JOIN rule_nats_publish_history h ON h.publish_id = due.publish_id WHERE h.state = 'pending' ORDER BY h.publish_id;
END $$;
COMMENT ON FUNCTION rule_nats_parked_due(integer, interval) IS
'Up to p_limit parked events whose time has come, leased for p_lease; finished ones are forgotten. Publish each, then mark or park it.';

CREATE OR REPLACE FUNCTION rule_nats_mark_restored(p_publish_ids bigint[], p_streams text[], p_sequences bigint[])
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_marked integer;
BEGIN
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
         WHERE d.due_at <= clock_timestamp() ORDER BY d.due_at LIMIT p_limit FOR UPDATE SKIP LOCKED)
    RETURNING c.*
$$;
COMMENT ON FUNCTION rule_webhook_claim(text, integer, interval) IS
'Leases up to p_limit calls that are due: pending, retrying, or left by a worker whose lease ran out. Nobody else gets them until the lease ends.';

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

CREATE OR REPLACE FUNCTION rule_webhook_disable(p_webhook_id integer, p_reason text)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE rule_webhooks w SET enabled = false, disabled_at = clock_timestamp(), disabled_reason = left(p_reason, 500)
     WHERE w.webhook_id = p_webhook_id AND w.enabled;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION rule_webhook_disable(integer, text) IS 'Switches an endpoint off with the reason, for example when it answered 410. False when it was off or is gone.';
