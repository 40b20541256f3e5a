-- Calls that were given up, and replays of a webhook from its streams.
SET search_path TO public, pg_temp;

CREATE OR REPLACE VIEW rule_webhook_dead_letters AS
SELECT c.call_id, c.webhook_id, coalesce(w.webhook_name, 'deleted webhook ' || c.webhook_id) AS webhook_name, c.event_id, c.subject, c.attempts,
       c.response_status, c.error_message, c.created_at, c.completed_at
  FROM rule_webhook_calls c LEFT JOIN rule_webhooks w ON w.webhook_id = c.webhook_id
 WHERE c.status = 'failed';
COMMENT ON VIEW rule_webhook_dead_letters IS 'The calls that were given up, without their payloads. They stay until they are redriven or discarded, or retain_for is over.';
COMMENT ON COLUMN rule_webhook_dead_letters.call_id IS 'The call.';
COMMENT ON COLUMN rule_webhook_dead_letters.webhook_id IS 'Its webhook.';
COMMENT ON COLUMN rule_webhook_dead_letters.webhook_name IS 'Its name, or ''deleted webhook <id>''.';
COMMENT ON COLUMN rule_webhook_dead_letters.event_id IS 'The webhook-id of every attempt.';
COMMENT ON COLUMN rule_webhook_dead_letters.subject IS 'The subject of the event; null for a call that was queued without one.';
COMMENT ON COLUMN rule_webhook_dead_letters.attempts IS 'HTTP attempts that were made.';
COMMENT ON COLUMN rule_webhook_dead_letters.response_status IS 'What the receiver answered last; null if it did not.';
COMMENT ON COLUMN rule_webhook_dead_letters.error_message IS 'Why it was given up, and the last error.';
COMMENT ON COLUMN rule_webhook_dead_letters.created_at IS 'When the call was made.';
COMMENT ON COLUMN rule_webhook_dead_letters.completed_at IS 'When it was given up.';

CREATE OR REPLACE FUNCTION rule_webhook_dead_letter_ids(p_webhook_id integer, p_filter jsonb, p_after bigint, p_limit integer)
RETURNS SETOF bigint LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_key text;
    v_from timestamptz;
    v_to timestamptz;
    v_status integer;
BEGIN
    IF jsonb_typeof(coalesce(p_filter, '{}')) <> 'object' THEN
        RAISE EXCEPTION 'p_filter: must be a JSON object' USING ERRCODE = '22023';
    END IF;
    FOR v_key IN SELECT jsonb_object_keys(p_filter) LOOP
        IF v_key NOT IN ('from', 'to', 'response_status', 'error', 'subject') THEN
            RAISE EXCEPTION 'p_filter: there is no key %; the keys are from, to, response_status, error, subject', quote_ident(left(v_key, 64)) USING ERRCODE = '22023';
        ELSIF jsonb_typeof(p_filter -> v_key) <> (CASE v_key WHEN 'response_status' THEN 'number' ELSE 'string' END) THEN
            RAISE EXCEPTION 'p_filter: % must be a %', v_key, CASE v_key WHEN 'response_status' THEN 'number' ELSE 'string' END USING ERRCODE = '22023';
        END IF;
        BEGIN
            CASE v_key
                WHEN 'from' THEN v_from := p_filter ->> v_key;
                WHEN 'to' THEN v_to := p_filter ->> v_key;
                WHEN 'response_status' THEN v_status := p_filter ->> v_key;
                WHEN 'subject' THEN PERFORM rule_nats_subject_check(p_filter ->> v_key, true);
                ELSE NULL;
            END CASE;
        EXCEPTION WHEN data_exception THEN
            RAISE EXCEPTION 'p_filter: %: %', v_key, left(SQLERRM, 200) USING ERRCODE = '22023';
        END;
    END LOOP;
    RETURN QUERY
        SELECT c.call_id FROM rule_webhook_calls c
         WHERE c.status = 'failed' AND c.call_id > coalesce(p_after, 0) AND (p_webhook_id IS NULL OR c.webhook_id = p_webhook_id)
           AND (v_from IS NULL OR c.completed_at >= v_from) AND (v_to IS NULL OR c.completed_at < v_to)
           AND (v_status IS NULL OR c.response_status = v_status)
           AND (p_filter ->> 'error' IS NULL OR strpos(c.error_message, p_filter ->> 'error') > 0)
           AND (p_filter ->> 'subject' IS NULL OR rule_nats_subject_covers(p_filter ->> 'subject', c.subject))
         ORDER BY c.call_id LIMIT p_limit;
END $$;
COMMENT ON FUNCTION rule_webhook_dead_letter_ids(integer, jsonb, bigint, integer) IS
'Internal: the next p_limit dead letters beyond p_after, of one webhook or (null) of all, that p_filter selects. 22023 names what is wrong with p_filter.';

CREATE OR REPLACE FUNCTION rule_webhook_dead_letter_list(
    p_webhook_id integer DEFAULT NULL, p_filter jsonb DEFAULT '{}', p_after bigint DEFAULT 0, p_limit integer DEFAULT 100)
RETURNS SETOF rule_webhook_dead_letters LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF p_limit IS NULL OR p_limit NOT BETWEEN 1 AND 1001 THEN
        RAISE EXCEPTION 'p_limit: must be 1 to 1001' USING ERRCODE = '22023';
    END IF;
    RETURN QUERY SELECT d.* FROM rule_webhook_dead_letters d
                  WHERE d.call_id IN (SELECT rule_webhook_dead_letter_ids(p_webhook_id, p_filter, p_after, p_limit)) ORDER BY d.call_id;
END $$;
COMMENT ON FUNCTION rule_webhook_dead_letter_list(integer, jsonb, bigint, integer) IS
'Dead letters in the order of their call_id, a page at a time: those beyond p_after, at most p_limit (1 to 1001), of one webhook or of all. p_filter as in rule_webhook_redrive_all.';

CREATE OR REPLACE FUNCTION rule_webhook_dead_letter(p_call_id bigint)
RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_letter rule_webhook_dead_letters%ROWTYPE;
BEGIN
    SELECT * INTO v_letter FROM rule_webhook_dead_letters d WHERE d.call_id = p_call_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Dead letter not found: %', p_call_id USING ERRCODE = 'P0002';
    END IF;
    RETURN (to_jsonb(v_letter) || jsonb_build_object('attempts_made', v_letter.attempts) || (
        SELECT jsonb_build_object('payload', s -> 'payload', 'response_body', s -> 'response_body', 'attempts', s -> 'attempts')
          FROM (SELECT rule_webhook_call_status(p_call_id)::jsonb) c(s)))::json;
END $$;
COMMENT ON FUNCTION rule_webhook_dead_letter(bigint) IS
'A dead letter with its payload: the columns of rule_webhook_dead_letters, payload, response_body, attempts_made, and attempts[] as in rule_webhook_call_status. P0002 when there is none. For rule_admin.';

CREATE OR REPLACE FUNCTION rule_webhook_redrive(p_call_id bigint)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_status text;
    v_webhook_id integer;
BEGIN
    SELECT c.status, c.webhook_id INTO v_status, v_webhook_id FROM rule_webhook_calls c WHERE c.call_id = p_call_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Call not found: %', p_call_id USING ERRCODE = 'P0002';
    ELSIF v_status <> 'failed' THEN
        RETURN false;
    END IF;
    PERFORM FROM rule_webhooks w WHERE w.webhook_id = v_webhook_id FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Webhook was deleted: %', v_webhook_id USING ERRCODE = '55000', HINT = 'Nobody is left to send call ' || p_call_id || ' to. Discard it, or let another webhook replay the event.';
    END IF;
    UPDATE rule_webhook_calls c
       SET status = 'pending', scheduled_at = clock_timestamp(), retry_count = 0, next_retry_at = NULL, completed_at = NULL
     WHERE c.call_id = p_call_id;
    RETURN true;
END $$;
COMMENT ON FUNCTION rule_webhook_redrive(bigint) IS
'Makes a dead letter due again, with all its retries before it: the same webhook-id and bytes, a new timestamp and signature; attempts are counted on. True; false when the call is not failed. P0002 for an unknown call, 55000 when its webhook was deleted. Where the webhook is off the call waits until it is on.';

CREATE OR REPLACE FUNCTION rule_webhook_redrive_all(p_webhook_id integer, p_filter jsonb DEFAULT '{}', p_limit integer DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    c_batch constant integer := 5000;
    v_ids bigint[];
    v_after bigint := 0;
    v_batch integer;
    v_redriven bigint := 0;
BEGIN
    IF p_limit < 1 THEN
        RAISE EXCEPTION 'p_limit: must be 1 or more' USING ERRCODE = '22023';
    END IF;
    PERFORM FROM rule_webhooks w WHERE w.webhook_id = p_webhook_id FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Webhook not found: %', p_webhook_id USING ERRCODE = 'P0002';
    END IF;
    LOOP
        v_ids := ARRAY(SELECT rule_webhook_dead_letter_ids(p_webhook_id, p_filter, v_after, least(c_batch, p_limit - v_redriven)::integer));
        EXIT WHEN v_ids = '{}';
        UPDATE rule_webhook_calls c
           SET status = 'pending', scheduled_at = clock_timestamp(), retry_count = 0, next_retry_at = NULL, completed_at = NULL
         WHERE c.call_id = ANY (v_ids) AND c.status = 'failed';
        GET DIAGNOSTICS v_batch = ROW_COUNT;
        v_redriven := v_redriven + v_batch;
        v_after := v_ids[cardinality(v_ids)];
        EXIT WHEN v_redriven >= p_limit;
    END LOOP;
    RETURN v_redriven;
END $$;
COMMENT ON FUNCTION rule_webhook_redrive_all(integer, jsonb, integer) IS
'Redrives the dead letters of a webhook that p_filter selects, the oldest first, at most p_limit (null: all), in batches of 5,000; returns how many. Keys of p_filter, all optional: from and to (completed_at: from ≤ it < to), response_status, error (a part of error_message), subject (* and > allowed). 22023 names what is wrong, P0002 an unknown webhook.';

CREATE OR REPLACE FUNCTION rule_webhook_discard(p_call_id bigint)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_status text;
BEGIN
    SELECT c.status INTO v_status FROM rule_webhook_calls c WHERE c.call_id = p_call_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Call not found: %', p_call_id USING ERRCODE = 'P0002';
    ELSIF v_status <> 'failed' THEN
        RETURN false;
    END IF;
    DELETE FROM rule_webhook_calls c WHERE c.call_id = p_call_id;
    RETURN true;
END $$;
COMMENT ON FUNCTION rule_webhook_discard(bigint) IS
'Deletes a dead letter with its payload; the history of its attempts stays for retain_for. True; false when the call is not failed, P0002 for an unknown call.';

CREATE OR REPLACE FUNCTION rule_webhook_discard_all(p_webhook_id integer, p_filter jsonb DEFAULT '{}', p_limit integer DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    c_batch constant integer := 5000;
    v_ids bigint[];
    v_after bigint := 0;
    v_batch integer;
    v_discarded bigint := 0;
BEGIN
    IF p_limit < 1 THEN
        RAISE EXCEPTION 'p_limit: must be 1 or more' USING ERRCODE = '22023';
    ELSIF p_webhook_id IS NULL THEN
        RAISE EXCEPTION 'p_webhook_id: must not be null' USING ERRCODE = '22023';
    END IF;
    LOOP
        v_ids := ARRAY(SELECT rule_webhook_dead_letter_ids(p_webhook_id, p_filter, v_after, least(c_batch, p_limit - v_discarded)::integer));
        EXIT WHEN v_ids = '{}';
        DELETE FROM rule_webhook_calls c WHERE c.call_id = ANY (v_ids) AND c.status = 'failed';
        GET DIAGNOSTICS v_batch = ROW_COUNT;
        v_discarded := v_discarded + v_batch;
        v_after := v_ids[cardinality(v_ids)];
        EXIT WHEN v_discarded >= p_limit;
    END LOOP;
    RETURN v_discarded;
END $$;
COMMENT ON FUNCTION rule_webhook_discard_all(integer, jsonb, integer) IS
'Discards the dead letters of a webhook, which may be deleted, that p_filter selects as in rule_webhook_redrive_all, at most p_limit (null: all); returns how many. The history of their attempts stays.';

CREATE OR REPLACE FUNCTION rule_webhook_replay_check(
    p_from timestamptz, p_to timestamptz, p_from_sequence bigint, p_to_sequence bigint, p_status text[], p_rate numeric)
RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_problem text := CASE
        WHEN NOT isfinite(p_from) THEN 'p_from: is no point in time'
        WHEN NOT isfinite(p_to) THEN 'p_to: is no point in time'
        WHEN p_to <= p_from THEN 'p_to: must be later than p_from'
        WHEN p_from_sequence < 1 THEN 'p_from_sequence: must be 1 or more'
        WHEN p_from_sequence IS NOT NULL AND p_from IS NOT NULL THEN 'p_from_sequence: not together with p_from'
        WHEN p_to_sequence < coalesce(p_from_sequence, 1) THEN 'p_to_sequence: must be 1 or more, and not less than p_from_sequence'
        WHEN p_to_sequence IS NOT NULL AND p_to IS NOT NULL THEN 'p_to_sequence: not together with p_to'
        WHEN p_status = '{}' OR NOT p_status <@ ARRAY['delivered', 'failed', 'cancelled', 'missing'] OR array_position(p_status, NULL) IS NOT NULL
            THEN 'p_status: must be one or more of delivered, failed, cancelled, missing, or null for all'
        WHEN p_rate NOT BETWEEN 0.01 AND 100000 THEN 'p_rate: ' || p_rate || ' is not 0.01 to 100000' END;
BEGIN
    IF v_problem IS NOT NULL THEN
        RAISE EXCEPTION '%', v_problem USING ERRCODE = '22023';
    END IF;
END $$;
COMMENT ON FUNCTION rule_webhook_replay_check(timestamptz, timestamptz, bigint, bigint, text[], numeric) IS 'Internal: refuses arguments of rule_webhook_replay that cannot be, by name.';

CREATE OR REPLACE FUNCTION rule_webhook_replay(
    p_webhook_id integer, p_from timestamptz DEFAULT NULL, p_to timestamptz DEFAULT NULL, p_from_sequence bigint DEFAULT NULL, p_to_sequence bigint DEFAULT NULL,
    p_status text[] DEFAULT NULL, p_dry_run boolean DEFAULT false, p_rate numeric DEFAULT NULL, p_stream text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_webhook rule_webhooks%ROWTYPE;
    v_config rule_nats_config%ROWTYPE;
    v_filter text;
    v_streams text[];
    v_replay_id bigint;
BEGIN
    PERFORM rule_webhook_replay_check(p_from, p_to, p_from_sequence, p_to_sequence, p_status, p_rate);
    SELECT * INTO v_webhook FROM rule_webhooks w WHERE w.webhook_id = p_webhook_id FOR KEY SHARE;
    v_filter := CASE WHEN v_webhook.nats_enabled THEN coalesce(v_webhook.subject_filter, v_webhook.nats_subject) END;
    IF v_webhook.webhook_id IS NULL THEN
        RAISE EXCEPTION 'Webhook not found: %', p_webhook_id USING ERRCODE = 'P0002';
    ELSIF v_webhook.enabled IS NOT TRUE THEN
        RAISE EXCEPTION 'Webhook is disabled: %', v_webhook.webhook_name USING ERRCODE = '55000';
    ELSIF v_filter IS NULL THEN
        RAISE EXCEPTION 'Webhook takes no events from streams: %', v_webhook.webhook_name USING ERRCODE = '55000', HINT = 'See rule_webhook_enable_nats.';
    END IF;
    SELECT * INTO v_config FROM rule_nats_config c
     WHERE CASE WHEN v_webhook.nats_config_id IS NULL THEN c.config_name = 'default' ELSE c.config_id = v_webhook.nats_config_id END;
    IF v_config.enabled IS NOT TRUE OR v_config.jetstream_enabled IS NOT TRUE THEN
        RAISE EXCEPTION 'The NATS configuration % of webhook % is off', v_config.config_name, v_webhook.webhook_name USING ERRCODE = '55000';
    ELSIF p_stream IS NOT NULL AND NOT EXISTS (SELECT FROM rule_nats_streams s WHERE s.config_id = v_config.config_id AND s.enabled AND s.stream_name = p_stream) THEN
        RAISE EXCEPTION 'p_stream: configuration % has no enabled stream %', v_config.config_name, quote_ident(left(p_stream, 64)) USING ERRCODE = 'P0002';
    END IF;
    -- Of other streams what was consumed is gone, and reading a work queue would take it from its consumer.
    v_streams := ARRAY(
        SELECT s.stream_name FROM rule_nats_streams s
         WHERE s.config_id = v_config.config_id AND s.enabled AND coalesce(s.retention_policy, 'limits') = 'limits' AND s.stream_name = coalesce(p_stream, s.stream_name)
           AND EXISTS (SELECT FROM unnest(s.subjects) o(subject) WHERE rule_nats_subjects_overlap(o.subject, v_filter))
         ORDER BY s.stream_name);
    IF v_streams = '{}' THEN
        RAISE EXCEPTION 'p_stream: % that keeps its events has subjects that % selects', CASE WHEN p_stream IS NULL THEN 'no stream of configuration ' || v_config.config_name
            ELSE 'stream ' || p_stream || ' is none' END, v_filter USING ERRCODE = '55000';
    ELSIF cardinality(v_streams) > 1 AND (p_from_sequence IS NOT NULL OR p_to_sequence IS NOT NULL) THEN
        RAISE EXCEPTION 'p_stream: sequences are those of one stream; give one of %', array_to_string(v_streams, ', ') USING ERRCODE = '22023';
    END IF;
    INSERT INTO rule_webhook_replays (webhook_id, config_name, streams, from_time, to_time, from_sequence, to_sequence, status, dry_run, rate)
    VALUES (p_webhook_id, v_config.config_name, v_streams, p_from, p_to, p_from_sequence, p_to_sequence, p_status, coalesce(p_dry_run, false), p_rate)
    RETURNING replay_id INTO v_replay_id;
    RETURN v_replay_id;
END $$;
COMMENT ON FUNCTION rule_webhook_replay(integer, timestamptz, timestamptz, bigint, bigint, text[], boolean, numeric, text) IS
'Lets a webhook have events of its streams once more; returns the replay_id. A delivery worker begins within 2 seconds of the commit. Which: those that its filter selects when they are read, stored from p_from to before p_to, or of the sequences p_from_sequence to p_to_sequence, and whose last outcome at this webhook is one of p_status (delivered, failed, cancelled, missing; null: all). An event that is being delivered, or waits for it, is left alone. p_dry_run counts only. p_rate: most events a second (0.01 to 100,000). p_stream: one stream; null: all of the webhook''s configuration that have its subjects. Deliveries keep their webhook-id and carry webhook-replay: <replay_id>. 22023 and P0002 name the argument; 55000: the webhook is off or takes no events from streams.';

CREATE OR REPLACE FUNCTION rule_webhook_replay_cancel(p_replay_id bigint)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE rule_webhook_replays r SET state = 'cancelled', finished_at = clock_timestamp(), leased_by = NULL, lease_until = NULL
     WHERE r.replay_id = p_replay_id AND r.state IN ('requested', 'running');
    IF NOT FOUND AND NOT EXISTS (SELECT FROM rule_webhook_replays r WHERE r.replay_id = p_replay_id) THEN
        RAISE EXCEPTION 'Replay not found: %', p_replay_id USING ERRCODE = 'P0002';
    END IF;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION rule_webhook_replay_cancel(bigint) IS
'Ends a replay: after the commit it puts nothing more into the queue; what is there already is delivered. True; false when it had ended, P0002 for an unknown one.';

CREATE OR REPLACE FUNCTION rule_webhook_replay_status(p_replay_id bigint)
RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_replay rule_webhook_replays%ROWTYPE;
    v_share numeric;
BEGIN
    SELECT * INTO v_replay FROM rule_webhook_replays r WHERE r.replay_id = p_replay_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Replay not found: %', p_replay_id USING ERRCODE = 'P0002';
    END IF;
    -- The streams that are read, and the part of the present one.
    v_share := v_replay.position - 1 + coalesce((v_replay.next_sequence - v_replay.start_sequence)::numeric / nullif(v_replay.end_sequence + 1 - v_replay.start_sequence, 0), 0);
    RETURN (to_jsonb(v_replay) || jsonb_build_object(
        'webhook_name', coalesce((SELECT w.webhook_name FROM rule_webhooks w WHERE w.webhook_id = v_replay.webhook_id), 'deleted webhook ' || v_replay.webhook_id),
        'waiting', (SELECT count(*) FROM rule_webhook_calls c WHERE c.replay_id = p_replay_id AND c.due_at IS NOT NULL),
        'progress_pct', CASE WHEN v_replay.state = 'done' THEN 100 ELSE round(least(100, greatest(0, 100 * v_share / cardinality(v_replay.streams))), 1) END))::json;
END $$;
COMMENT ON FUNCTION rule_webhook_replay_status(bigint) IS
'How far a replay is: the columns of rule_webhook_replays, webhook_name, waiting (its calls that are still to be delivered) and progress_pct (0 to 100, of what is to be read). P0002 for an unknown one.';

CREATE OR REPLACE FUNCTION rule_webhook_outcomes(p_webhook_id integer, p_event_ids text[])
RETURNS TABLE (event_id text, outcome text) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT e.id,
           CASE WHEN c.due_at IS NOT NULL THEN 'due' WHEN c.status = 'success' THEN 'delivered' WHEN c.status = 'failed' THEN 'failed'
                ELSE coalesce((SELECT CASE WHEN h.outcome IN ('delivered', 'cancelled') THEN h.outcome ELSE 'failed' END
                                 FROM rule_webhook_call_history h WHERE h.event_id = e.id AND h.webhook_id = p_webhook_id
                                ORDER BY h.history_id DESC LIMIT 1), 'missing') END
      FROM unnest(p_event_ids) e(id) LEFT JOIN rule_webhook_calls c ON c.event_id = e.id AND c.webhook_id = p_webhook_id
$$;
COMMENT ON FUNCTION rule_webhook_outcomes(integer, text[]) IS
'What the last attempt of each event at a webhook came to: delivered, failed (unknown too), cancelled, missing (nothing is recorded), or due: its call is not finished.';

CREATE OR REPLACE FUNCTION rule_webhook_replay_open(
    p_replay_id bigint, p_worker text, p_next_sequence bigint, p_scanned integer, p_matched integer, p_event_ids text[], p_subjects text[], p_payloads text[],
    p_bodies bytea[], p_headers text[], p_trace_parents text[], OUT held boolean, OUT due bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_webhook_id integer;
    v_opened bigint;
BEGIN
    SELECT r.webhook_id INTO v_webhook_id FROM rule_webhook_replays r
     WHERE r.replay_id = p_replay_id AND r.state = 'running' AND r.leased_by = p_worker FOR UPDATE;
    held := FOUND;
    IF NOT held THEN
        RETURN; -- Cancelled, or another worker's by now.
    END IF;
    PERFORM FROM rule_webhooks w WHERE w.webhook_id = v_webhook_id FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Webhook not found: %', v_webhook_id USING ERRCODE = 'P0002';
    END IF;
    WITH opened AS (
        INSERT INTO rule_webhook_calls AS c (webhook_id, event_id, payload, body, subject, request_headers, trace_parent, replay_id, attempts)
        SELECT DISTINCT ON (n.event_id) v_webhook_id, n.event_id, n.payload::jsonb, n.body, n.subject, n.headers::jsonb, n.trace_parent, p_replay_id,
               (SELECT coalesce(max(h.attempt_number), 0) FROM rule_webhook_call_history h WHERE h.event_id = n.event_id AND h.webhook_id = v_webhook_id)
          FROM unnest(p_event_ids, p_subjects, p_payloads, p_bodies, p_headers, p_trace_parents) AS n(event_id, subject, payload, body, headers, trace_parent)
         ORDER BY n.event_id
        ON CONFLICT (event_id, webhook_id) DO UPDATE
           SET status = 'pending', scheduled_at = clock_timestamp(), retry_count = 0, next_retry_at = NULL, completed_at = NULL, leased_by = NULL, lease_until = NULL,
               payload = EXCLUDED.payload, body = EXCLUDED.body, subject = EXCLUDED.subject, request_headers = EXCLUDED.request_headers,
               trace_parent = EXCLUDED.trace_parent, replay_id = p_replay_id, attempts = greatest(c.attempts, EXCLUDED.attempts)
         WHERE c.due_at IS NULL
        RETURNING 1)
    SELECT count(*) INTO v_opened FROM opened;
    UPDATE rule_webhook_replays r
       SET next_sequence = p_next_sequence, start_sequence = coalesce(r.start_sequence, p_next_sequence), error = NULL, scanned = r.scanned + p_scanned,
           matched = r.matched + p_matched, enqueued = r.enqueued + v_opened, skipped = r.skipped + cardinality(p_event_ids) - v_opened
     WHERE r.replay_id = p_replay_id;
    due := (SELECT count(*) FROM rule_webhook_calls c WHERE c.replay_id = p_replay_id AND c.due_at IS NOT NULL);
END $$;
COMMENT ON FUNCTION rule_webhook_replay_open(bigint, text, bigint, integer, integer, text[], text[], text[], bytea[], text[], text[]) IS
'A step of a replay, all of it or nothing: makes calls of these events, or begins finished ones anew, and moves the replay on. held: false when the replay is not p_worker''s any more, and then nothing was done; due: its calls that are not finished.';
