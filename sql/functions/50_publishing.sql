-- Publishing: one row in the caller's transaction, no network. A rollback publishes nothing; a commit is never lost.
SET search_path TO public, pg_temp;

CREATE OR REPLACE FUNCTION rule_nats_traceparent(p_traceparent text)
RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    c_w3c constant text := '^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$';
BEGIN
    IF p_traceparent IS NULL THEN
        RETURN substring(current_setting('rule.traceparent', true) FROM c_w3c);
    ELSIF p_traceparent !~ c_w3c THEN
        RAISE EXCEPTION 'traceparent: not <2>-<32>-<16>-<2> lower-case hexadecimal digits, as W3C Trace Context has it' USING ERRCODE = '22023';
    END IF;
    RETURN p_traceparent;
END $$;
COMMENT ON FUNCTION rule_nats_traceparent(text) IS
'The traceparent to store: the argument (22023 when it is none), or the setting rule.traceparent, of which anything else than a traceparent is ignored.';

-- The rare ways have functions of their own.
CREATE OR REPLACE FUNCTION rule_webhook_first_call(p_webhook_id integer, p_message_id text, p_event_id text, p_text text)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_call_id bigint;
    v_status text;
BEGIN
    SELECT c.call_id, c.status INTO v_call_id, v_status FROM rule_webhook_calls c
     WHERE c.event_id = p_event_id AND c.webhook_id = p_webhook_id AND c.payload::text = p_text;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'message_id % was already published for webhook % with another body', p_message_id, p_webhook_id
            USING ERRCODE = '23505', CONSTRAINT = 'rule_webhook_calls_event_webhook_key', TABLE = 'rule_webhook_calls';
    END IF;
    RETURN jsonb_build_object('success', true, 'queue_id', v_call_id, 'call_id', v_call_id, 'status', v_status, 'duplicate', true);
END $$;
COMMENT ON FUNCTION rule_webhook_first_call(integer, text, text, text) IS 'Internal: the answer to a message_id that is queued already; 23505 when it is so with another body.';

CREATE OR REPLACE FUNCTION rule_nats_first_result(p_webhook_id integer, p_message_id text, p_hash bytea, p_start timestamptz, p_mode text)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_key rule_nats_message_keys%ROWTYPE;
    v_first record;
    v_webhook record;
    v_call record;
    v_nats jsonb;
BEGIN
    SELECT * INTO v_key FROM rule_nats_message_keys k WHERE k.webhook_id = p_webhook_id AND k.message_id = p_message_id;
    IF v_key.body_sha256 IS DISTINCT FROM p_hash THEN
        RAISE EXCEPTION 'message_id % was already published for webhook % with another body', p_message_id, p_webhook_id
            USING ERRCODE = '23505', CONSTRAINT = 'rule_nats_message_keys_pkey', TABLE = 'rule_nats_message_keys';
    END IF;
    SELECT h.subject, h.stream_name, h.sequence_number, h.state, h.nats_msg_id, h.call_id INTO v_first
      FROM rule_nats_publish_history h WHERE h.publish_id = v_key.publish_id;
    SELECT w.webhook_name, w.nats_subject, c.stream_name INTO v_webhook
      FROM rule_webhooks w LEFT JOIN rule_nats_config c ON c.config_id = w.nats_config_id WHERE w.webhook_id = p_webhook_id;
    v_nats := jsonb_build_object('success', true, 'webhook_name', v_webhook.webhook_name,
        'subject', coalesce(v_first.subject, v_webhook.nats_subject), 'stream', coalesce(v_first.stream_name, v_webhook.stream_name),
        'sequence', v_first.sequence_number, 'duplicate', true,
        'latency_ms', round(extract(epoch FROM clock_timestamp() - p_start) * 1000, 3), 'publish_id', v_key.publish_id,
        'state', coalesce(v_first.state, 'stored'), 'message_id', p_message_id,
        'nats_msg_id', coalesce(v_first.nats_msg_id, rule_nats_msg_id(p_webhook_id, p_message_id)));
    IF p_mode IS NULL THEN
        RETURN v_nats;
    ELSIF p_mode = 'nats' THEN
        RETURN jsonb_build_object('success', true, 'nats', v_nats);
    END IF;
    SELECT c.call_id, c.status INTO v_call FROM rule_webhook_calls c WHERE c.call_id = v_first.call_id;
    RETURN jsonb_build_object('success', true, 'nats', v_nats || jsonb_build_object('call_id', v_first.call_id), 'queue', jsonb_build_object(
        'success', true, 'queue_id', v_first.call_id, 'call_id', v_first.call_id, 'status', coalesce(v_call.status, 'pending'), 'duplicate', true));
END $$;
COMMENT ON FUNCTION rule_nats_first_result(integer, text, bytea, timestamptz, text) IS
'Internal: the answer to a message_id that is remembered, in the shape of the publish_mode (null: of rule_webhook_publish_nats); 23505 when it was used with another body.';

CREATE OR REPLACE FUNCTION rule_webhook_call_again(
    p_webhook_id integer, p_message_id text, p_event_id text, p_payload jsonb, p_publish_id bigint, p_grace interval)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_call_id bigint;
BEGIN
    -- A finished call belongs to the event of before. Left as it is, it would tell both paths that this one is delivered.
    UPDATE rule_webhook_calls c
       SET publish_id = p_publish_id, payload = p_payload, body = NULL,
           status = CASE WHEN c.due_at IS NULL THEN 'pending' ELSE c.status END,
           scheduled_at = CASE WHEN c.due_at IS NULL THEN clock_timestamp() + p_grace ELSE c.scheduled_at END,
           completed_at = CASE WHEN c.due_at IS NULL THEN NULL ELSE c.completed_at END,
           retry_count = CASE WHEN c.due_at IS NULL THEN 0 ELSE c.retry_count END
     WHERE c.event_id = p_event_id AND c.webhook_id = p_webhook_id AND (c.due_at IS NULL OR c.payload::text = p_payload::text)
    RETURNING c.call_id INTO v_call_id;
    IF v_call_id IS NULL THEN
        RAISE EXCEPTION 'message_id % was already published for webhook % with another body', p_message_id, p_webhook_id
            USING ERRCODE = '23505', CONSTRAINT = 'rule_webhook_calls_event_webhook_key', TABLE = 'rule_webhook_calls';
    END IF;
    RETURN v_call_id;
END $$;
COMMENT ON FUNCTION rule_webhook_call_again(integer, text, text, jsonb, bigint, interval) IS
'Internal: the call row of a message_id that may be used again. A finished one begins anew; one that is still to be sent stays, and is error 23505 when its body is another.';

-- A webhook that changes writes its own row; a change that may concern all of them waits for those and keeps later ones out until its commit.
CREATE OR REPLACE FUNCTION rule_nats_routes_renew(p_webhook_id integer DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF p_webhook_id IS NULL THEN
        LOCK TABLE rule_nats_routes IN SHARE ROW EXCLUSIVE MODE;
    END IF;
    INSERT INTO rule_nats_routes AS r (webhook_id, subject, config_id, stream_name, unified, database_id, answer)
    SELECT w.webhook_id, w.nats_subject, c.config_id, c.stream_name, coalesce(w.publish_mode = 'nats', false), s.database_id,
           jsonb_build_object('success', true, 'webhook_name', w.webhook_name, 'subject', w.nats_subject, 'stream', c.stream_name,
                              'sequence', NULL, 'duplicate', false, 'state', 'pending')
      FROM rule_webhooks w
      JOIN rule_nats_relay_state s ON s.relay_name = 'default'
      LEFT JOIN rule_nats_config c ON CASE WHEN w.nats_config_id IS NULL THEN c.config_name = 'default' ELSE c.config_id = w.nats_config_id END
     WHERE w.nats_enabled AND w.nats_subject IS NOT NULL AND (p_webhook_id IS NULL OR w.webhook_id = p_webhook_id)
    ON CONFLICT (webhook_id) DO UPDATE
       SET subject = EXCLUDED.subject, config_id = EXCLUDED.config_id, stream_name = EXCLUDED.stream_name, unified = EXCLUDED.unified,
           database_id = EXCLUDED.database_id, answer = EXCLUDED.answer
     WHERE r IS DISTINCT FROM EXCLUDED;
    DELETE FROM rule_nats_routes r USING rule_webhooks w
     WHERE w.webhook_id = r.webhook_id AND (p_webhook_id IS NULL OR w.webhook_id = p_webhook_id)
       AND (w.nats_enabled IS NOT TRUE OR w.nats_subject IS NULL);
END $$;
COMMENT ON FUNCTION rule_nats_routes_renew(integer) IS 'Internal: derives the rows of rule_nats_routes again, of one webhook or (null) of all.';

CREATE OR REPLACE FUNCTION rule_nats_routes_follow() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'rule_webhooks' THEN
        PERFORM rule_nats_routes_renew(NEW.webhook_id);
    ELSE
        PERFORM rule_nats_routes_renew();
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION rule_nats_routes_follow() IS 'Keeps rule_nats_routes right when what it is derived from changes.';
CREATE OR REPLACE TRIGGER rule_nats_routes_of_new AFTER INSERT ON rule_webhooks
    FOR EACH ROW WHEN (NEW.nats_enabled) EXECUTE FUNCTION rule_nats_routes_follow();
CREATE OR REPLACE TRIGGER rule_nats_routes_of_changed AFTER UPDATE ON rule_webhooks
    FOR EACH ROW WHEN ((OLD.webhook_name, OLD.nats_enabled, OLD.nats_subject, OLD.nats_config_id, OLD.publish_mode)
        IS DISTINCT FROM (NEW.webhook_name, NEW.nats_enabled, NEW.nats_subject, NEW.nats_config_id, NEW.publish_mode))
    EXECUTE FUNCTION rule_nats_routes_follow();
CREATE OR REPLACE TRIGGER rule_nats_routes_of_default AFTER INSERT ON rule_nats_config
    FOR EACH ROW WHEN (NEW.config_name = 'default') EXECUTE FUNCTION rule_nats_routes_follow();
CREATE OR REPLACE TRIGGER rule_nats_routes_of_default_gone AFTER DELETE ON rule_nats_config
    FOR EACH ROW WHEN (OLD.config_name = 'default') EXECUTE FUNCTION rule_nats_routes_follow();
CREATE OR REPLACE TRIGGER rule_nats_routes_of_config AFTER UPDATE ON rule_nats_config
    FOR EACH ROW WHEN ((OLD.config_name, OLD.stream_name) IS DISTINCT FROM (NEW.config_name, NEW.stream_name)) EXECUTE FUNCTION rule_nats_routes_follow();
CREATE OR REPLACE TRIGGER rule_nats_routes_of_database AFTER UPDATE OF database_id ON rule_nats_relay_state
    FOR EACH ROW EXECUTE FUNCTION rule_nats_routes_follow();
SELECT rule_nats_routes_renew();

-- What rule_webhook_publish_nats and rule_webhook_call_unified do. In a transaction of its own a publish pays for every expression and every
-- statement here once more, to make it ready: the common way comes first and has as few of them as can be.
CREATE OR REPLACE FUNCTION rule_nats_accept_event(
    p_webhook_id integer, p_payload jsonb, p_message_id text, p_headers jsonb, p_triggered_by text, p_rule_execution_id bigint, p_traceparent text,
    p_unified boolean)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_start timestamptz := clock_timestamp();
    v_text text := CASE WHEN pg_column_size(p_payload #> '{}') <= 4096 THEN p_payload::text END;
    v_subject text;
    v_config_id integer;
    v_stream text;
    v_answer jsonb;
    v_publish_id bigint;
    v_event_id text; -- Without message_id the beginning; publish_id follows.
    v_name text;
    v_enabled boolean;
    v_mode text;
    v_nats_enabled boolean;
    v_keep interval;
    v_grace interval;
    v_filter text;
    v_trace text;
    v_hash bytea;
    v_call_id bigint;
BEGIN
    -- Nothing to check, to refuse or to remember: the payload is short and harmless (see rule_nats_payload_text) and all there is.
    -- The transaction id comes before the publish_id: whoever scans up to it is then sure to see this row.
    SELECT r.subject, r.config_id, r.stream_name, r.answer,
           nextval(CASE WHEN pg_current_xact_id() IS NOT NULL THEN 'rule_nats_publish_history_publish_id_seq'::regclass END),
           'p' || left(md5(r.database_id || current_database()), 12) || '_'
      INTO v_subject, v_config_id, v_stream, v_answer, v_publish_id, v_event_id
      FROM rule_nats_routes r
     WHERE r.webhook_id = p_webhook_id AND r.unified >= p_unified
       AND p_message_id IS NULL AND p_headers IS NULL AND p_traceparent IS NULL AND coalesce(current_setting('rule.traceparent', true), '') = ''
       AND coalesce(length(p_triggered_by), 0) <= 255 AND v_text <> 'null'
       AND (octet_length(v_text) < 130 OR (v_text !~ '\d{200}' AND NOT jsonb_path_exists(p_payload, 'strict $.**{64} ? (@.type() == "array" || @.type() == "object")')));
    IF FOUND THEN
        INSERT INTO rule_nats_publish_history (publish_id, webhook_id, subject, payload, triggered_by, rule_execution_id, stream_name, body_sha256, nats_msg_id, config_id)
        VALUES (v_publish_id, p_webhook_id, v_subject, p_payload, coalesce(p_triggered_by, session_user), p_rule_execution_id, v_stream,
                sha256(convert_to(v_text, 'UTF8')), v_event_id || v_publish_id, v_config_id);
        v_answer := v_answer || jsonb_build_object('latency_ms', round(extract(epoch FROM clock_timestamp() - v_start) * 1000, 3),
            'publish_id', v_publish_id, 'message_id', NULL, 'nats_msg_id', v_event_id || v_publish_id);
        RETURN CASE WHEN p_unified THEN jsonb_build_object('success', true, 'nats', v_answer) ELSE v_answer END;
    END IF;

    SELECT w.webhook_name, w.enabled, w.publish_mode, w.nats_enabled, coalesce(w.deduplicate_for, '0'), w.queue_grace, w.content_filter, r.subject, r.config_id, r.stream_name, r.answer,
           'p' || left(md5(r.database_id || current_database()), 12) || '_'
      INTO v_name, v_enabled, v_mode, v_nats_enabled, v_keep, v_grace, v_filter, v_subject, v_config_id, v_stream, v_answer, v_event_id
      FROM rule_webhooks w LEFT JOIN rule_nats_routes r USING (webhook_id)
     WHERE w.webhook_id = p_webhook_id;
    IF NOT p_unified THEN
        v_mode := 'nats';
    ELSIF v_name IS NULL THEN
        RAISE EXCEPTION 'Webhook not found' USING ERRCODE = 'P0002';
    ELSIF v_mode IS NULL THEN
        RAISE EXCEPTION 'Invalid publish_mode: %', v_mode USING ERRCODE = '22023';
    ELSIF v_mode <> 'nats' AND v_enabled IS NOT TRUE THEN
        RAISE EXCEPTION 'Webhook is disabled: %', v_name USING ERRCODE = '55000';
    END IF;
    v_text := rule_nats_payload_text(p_payload);
    v_trace := rule_nats_traceparent(p_traceparent);
    IF p_message_id !~ '^[!-~]{1,128}$' THEN
        PERFORM rule_nats_message_id_check(p_message_id);
    END IF;
    IF p_headers IS NOT NULL THEN
        PERFORM rule_webhook_headers_check(p_headers, true);
    END IF;
    IF length(p_triggered_by) > 255 THEN
        RAISE EXCEPTION 'triggered_by: % characters, the limit is 255', length(p_triggered_by) USING ERRCODE = '54000';
    END IF;

    IF v_mode = 'queue' THEN
        v_event_id := CASE WHEN p_message_id IS NULL THEN 'evt_' || replace(gen_random_uuid()::text, '-', '') ELSE rule_nats_msg_id(p_webhook_id, p_message_id) END;
        INSERT INTO rule_webhook_calls AS c (webhook_id, payload, event_id, rule_name, rule_execution_id, request_headers, trace_parent)
        VALUES (p_webhook_id, p_payload, v_event_id, p_triggered_by, p_rule_execution_id, p_headers, v_trace)
        ON CONFLICT (event_id, webhook_id) DO NOTHING RETURNING c.call_id INTO v_call_id;
        IF v_call_id IS NULL THEN
            RETURN jsonb_build_object('success', true, 'queue', rule_webhook_first_call(p_webhook_id, p_message_id, v_event_id, v_text));
        END IF;
        RETURN jsonb_build_object('success', true, 'queue', jsonb_build_object(
            'success', true, 'queue_id', v_call_id, 'call_id', v_call_id, 'status', 'pending', 'duplicate', false));
    ELSIF v_nats_enabled IS NOT TRUE THEN
        RAISE EXCEPTION 'Webhook not found or NATS not enabled' USING ERRCODE = 'P0002';
    ELSIF v_subject IS NULL THEN
        RAISE EXCEPTION 'NATS subject not configured' USING ERRCODE = '55000';
    END IF;

    v_hash := sha256(convert_to(v_text, 'UTF8'));
    v_publish_id := nextval(CASE WHEN pg_current_xact_id() IS NOT NULL THEN 'rule_nats_publish_history_publish_id_seq'::regclass END);
    IF p_message_id IS NULL THEN
        v_event_id := v_event_id || v_publish_id;
    ELSE
        v_event_id := rule_nats_msg_id(p_webhook_id, p_message_id);
        IF v_keep > interval '0' THEN
            -- Two transactions with the same id meet here: the second waits for the first.
            INSERT INTO rule_nats_message_keys AS k (webhook_id, message_id, body_sha256, publish_id, expires_at)
            VALUES (p_webhook_id, p_message_id, v_hash, v_publish_id, clock_timestamp() + v_keep)
            ON CONFLICT (webhook_id, message_id) DO UPDATE
               SET body_sha256 = EXCLUDED.body_sha256, publish_id = EXCLUDED.publish_id, expires_at = EXCLUDED.expires_at
             WHERE k.expires_at <= clock_timestamp()
                OR EXISTS (SELECT FROM rule_nats_publish_history h WHERE h.publish_id = k.publish_id AND h.state = 'refused');
            IF NOT FOUND THEN
                RETURN rule_nats_first_result(p_webhook_id, p_message_id, v_hash, v_start, CASE WHEN p_unified THEN v_mode END);
            END IF;
        END IF;
    END IF;
    -- What its content_filter keeps from the webhook on the one path must not come on the other.
    IF v_mode = 'both' AND rule_webhook_filter_matches(v_filter::jsonpath, p_payload) THEN
        -- One event, two paths: the call waits while JetStream is expected to deliver first. Who leases the row first, sends.
        INSERT INTO rule_webhook_calls AS c (webhook_id, payload, scheduled_at, event_id, subject, publish_id, rule_name, rule_execution_id, request_headers, trace_parent)
        VALUES (p_webhook_id, p_payload, clock_timestamp() + v_grace, v_event_id, v_subject, v_publish_id, p_triggered_by, p_rule_execution_id, p_headers, v_trace)
        ON CONFLICT (event_id, webhook_id) DO NOTHING RETURNING c.call_id INTO v_call_id;
        IF v_call_id IS NULL THEN
            v_call_id := rule_webhook_call_again(p_webhook_id, p_message_id, v_event_id, p_payload, v_publish_id, v_grace);
        END IF;
    END IF;

    INSERT INTO rule_nats_publish_history (publish_id, webhook_id, subject, payload, headers, message_id, triggered_by, rule_execution_id, stream_name,
                                           body_sha256, nats_msg_id, config_id, call_id, trace_parent)
    VALUES (v_publish_id, p_webhook_id, v_subject, p_payload, p_headers, p_message_id, coalesce(p_triggered_by, session_user), p_rule_execution_id, v_stream,
            v_hash, v_event_id, v_config_id, v_call_id, v_trace);
    v_answer := v_answer || jsonb_build_object('latency_ms', round(extract(epoch FROM clock_timestamp() - v_start) * 1000, 3),
        'publish_id', v_publish_id, 'message_id', p_message_id, 'nats_msg_id', v_event_id);
    IF v_call_id IS NOT NULL THEN
        RETURN jsonb_build_object('success', true, 'nats', v_answer || jsonb_build_object('call_id', v_call_id), 'queue', jsonb_build_object(
            'success', true, 'queue_id', v_call_id, 'call_id', v_call_id, 'status', 'pending', 'duplicate', false));
    END IF;
    RETURN CASE WHEN p_unified THEN jsonb_build_object('success', true, 'nats', v_answer) ELSE v_answer END;
END $$;
COMMENT ON FUNCTION rule_nats_accept_event(integer, jsonb, text, jsonb, text, bigint, text, boolean) IS
'Internal: accepts one event as rule_webhook_publish_nats or (p_unified) as rule_webhook_call_unified does.';

CREATE OR REPLACE FUNCTION rule_webhook_publish_nats(
    webhook_id integer, payload jsonb, message_id text DEFAULT NULL, headers jsonb DEFAULT NULL, triggered_by text DEFAULT NULL,
    rule_execution_id bigint DEFAULT NULL, traceparent text DEFAULT NULL)
RETURNS jsonb LANGUAGE sql
RETURN rule_nats_accept_event($1, $2, $3, $4, $5, $6, $7, false);
COMMENT ON FUNCTION rule_webhook_publish_nats(integer, jsonb, text, jsonb, text, bigint, text) IS
'Accepts one event for JetStream in the caller''s transaction: published after COMMIT, never after ROLLBACK. Returns {success, webhook_name, subject, stream, sequence, duplicate, latency_ms, publish_id, state, message_id, nats_msg_id}; state is ''pending'' and sequence null until the relay has the PubAck: see rule_nats_publish_status, or rule_nats_publish_wait from a second transaction. The same message_id with the same body returns the first result with duplicate true; with another body it is error 23505. headers: a JSON object of strings that goes with the event to its receivers, at most 64 and 8 KiB, no reserved names (22023, 54000). triggered_by (at most 255 characters; by default the session user) and rule_execution_id: for the record. traceparent joins a trace; anything else than a W3C traceparent is error 22023. Without it the setting rule.traceparent counts, of which what is no traceparent is ignored.';

CREATE OR REPLACE FUNCTION rule_webhook_call_unified(
    webhook_id integer, payload jsonb, message_id text DEFAULT NULL, headers jsonb DEFAULT NULL, triggered_by text DEFAULT NULL,
    rule_execution_id bigint DEFAULT NULL, traceparent text DEFAULT NULL)
RETURNS jsonb LANGUAGE sql
RETURN rule_nats_accept_event($1, $2, $3, $4, $5, $6, $7, true);
COMMENT ON FUNCTION rule_webhook_call_unified(integer, jsonb, text, jsonb, text, bigint, text) IS
'Sends one event the way the webhook''s publish_mode says: queue (a row in rule_webhook_calls), nats (as rule_webhook_publish_nats) or both (one event on both paths, delivered once: the call becomes due after the webhook''s queue_grace, 30 seconds by default, unless JetStream has delivered by then; none when the webhook''s content_filter keeps the event from it). Returns {"success":true,"queue":{success,queue_id,call_id,status,duplicate},"nats":{...}} with the keys of the paths taken. The further arguments are those of rule_webhook_publish_nats; the queue keeps triggered_by as rule_name (null by default).';

-- The report of one history row; what rule_nats_publish_status and rule_nats_publish_wait answer.
CREATE OR REPLACE FUNCTION rule_nats_publish_report(p_publish_id bigint)
RETURNS json LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT json_build_object('success', h.success, 'state', h.state, 'publish_id', h.publish_id, 'webhook_id', h.webhook_id,
            'message_id', h.message_id, 'nats_msg_id', h.nats_msg_id, 'subject', h.subject, 'stream', h.stream_name, 'sequence', h.sequence_number,
            'duplicate', h.duplicate, 'attempts', h.attempts, 'last_error', coalesce(h.error_message, h.last_error), 'latency_ms', h.latency_ms,
            'published_at', h.published_at, 'stored_at', h.stored_at, 'call_id', h.call_id)
      FROM rule_nats_publish_history h WHERE h.publish_id = p_publish_id
$$;
COMMENT ON FUNCTION rule_nats_publish_report(bigint) IS 'Internal: what is known of one event; null when no such row is visible.';

CREATE OR REPLACE FUNCTION rule_nats_publish_status(message_id text, webhook_id integer DEFAULT NULL)
RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_publish_id bigint;
    v_report json;
BEGIN
    IF $1 IS NULL THEN
        RAISE EXCEPTION 'message_id: must not be null' USING ERRCODE = '22023';
    END IF;
    PERFORM rule_nats_message_id_check($1);
    IF $2 IS NOT NULL THEN
        SELECT k.publish_id INTO v_publish_id FROM rule_nats_message_keys k WHERE k.webhook_id = $2 AND k.message_id = $1;
    ELSE
        -- One look into the index for each webhook that has ids; the newest event wins.
        WITH RECURSIVE used AS (
            (SELECT k.webhook_id FROM rule_nats_message_keys k ORDER BY k.webhook_id LIMIT 1)
            UNION ALL
            SELECT (SELECT k.webhook_id FROM rule_nats_message_keys k WHERE k.webhook_id > u.webhook_id ORDER BY k.webhook_id LIMIT 1)
              FROM used u WHERE u.webhook_id IS NOT NULL)
        SELECT max(k.publish_id) INTO v_publish_id FROM used u JOIN rule_nats_message_keys k ON k.webhook_id = u.webhook_id AND k.message_id = $1;
    END IF;
    IF v_publish_id IS NULL AND $1 ~ '^p[0-9a-f]{12}_[0-9]{1,18}$' THEN
        -- The nats_msg_id of an event that was published without a message_id.
        SELECT h.publish_id INTO v_publish_id FROM rule_nats_publish_history h
         WHERE h.publish_id = split_part($1, '_', 2)::bigint AND h.nats_msg_id = $1 AND ($2 IS NULL OR h.webhook_id = $2);
    END IF;
    v_report := rule_nats_publish_report(v_publish_id);
    RETURN coalesce(v_report, json_build_object('success', NULL, 'state', 'unknown', 'message_id', $1, 'webhook_id', $2,
        'error', 'No event with this message_id is known: it was not published to NATS, is not committed, or its time is over'));
END $$;
COMMENT ON FUNCTION rule_nats_publish_status(text, integer) IS
'What became of the event with this message_id (or, for one published without, this nats_msg_id): {success, state, publish_id, webhook_id, message_id, nats_msg_id, subject, stream, sequence, duplicate, attempts, last_error, latency_ms, published_at, stored_at, call_id}. state: pending (success is null), stored (true), refused (false). Without webhook_id the newest of all webhooks. A message_id is known as long as it is remembered (deduplicate_for of the webhook; where that is null, not at all). An unknown one is {"success":null,"state":"unknown","error":…} and no error; a malformed one 22023.';

CREATE OR REPLACE FUNCTION rule_nats_publish_wait(publish_id bigint, timeout interval DEFAULT '5 seconds')
RETURNS json LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_until timestamptz;
    v_report json;
BEGIN
    IF $1 IS NULL THEN
        RAISE EXCEPTION 'publish_id: must not be null' USING ERRCODE = '22023';
    ELSIF $2 IS NULL OR $2 NOT BETWEEN interval '0' AND interval '5 minutes' THEN
        RAISE EXCEPTION 'timeout: must be 0 to 5 minutes' USING ERRCODE = '22023';
    ELSIF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'rule_nats_publish_wait needs READ COMMITTED: this transaction (%) cannot see what commits after its snapshot',
            current_setting('transaction_isolation') USING ERRCODE = '55000';
    ELSIF EXISTS (SELECT FROM rule_nats_publish_history h WHERE h.publish_id = $1 AND h.enqueued_xid = pg_current_xact_id_if_assigned() AND h.state = 'pending') THEN
        RAISE EXCEPTION 'publish_id: % was published by this transaction, and is sent after its COMMIT: wait for it in the next one', $1 USING ERRCODE = '55000';
    END IF;
    v_until := clock_timestamp() + $2;
    LOOP
        -- Each statement sees what was committed before it began.
        v_report := rule_nats_publish_report($1);
        EXIT WHEN v_report ->> 'state' <> 'pending' OR clock_timestamp() >= v_until
               OR (v_report IS NULL AND $1 > (SELECT s.last_value FROM rule_nats_publish_history_publish_id_seq s));
        PERFORM pg_sleep(least(0.01, greatest(extract(epoch FROM v_until - clock_timestamp()), 0)));
    END LOOP;
    RETURN coalesce(v_report, json_build_object('success', NULL, 'state', 'unknown', 'publish_id', $1,
        'error', 'No event with this publish_id is visible: it is not committed, was rolled back, or has expired'));
END $$;
COMMENT ON FUNCTION rule_nats_publish_wait(bigint, interval) IS
'Waits until an event is stored or refused, at most for timeout (0 to 5 minutes), and answers as rule_nats_publish_status: state is still pending when the time was not enough. One that is not visible yet is waited for too; in the end, or at once when no such id was drawn, the answer is {"success":null,"state":"unknown","error":…}. 55000 in the transaction that published it and above READ COMMITTED.';
