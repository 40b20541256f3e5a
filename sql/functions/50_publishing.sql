-- Publishing: one row in the caller's transaction, no network. A rollback publishes nothing; a commit is never lost.
SET search_path TO public, pg_temp;

-- The part that rule_webhook_publish_nats and rule_webhook_call_unified share.
CREATE OR REPLACE FUNCTION rule_nats_accept(
    p_webhook_id integer, p_payload jsonb, p_message_id text, p_with_call boolean, p_grace interval)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_start timestamptz := clock_timestamp();
    v_webhook record;
    v_text text;
    v_hash bytea;
    v_publish_id bigint;
    v_msg_id text;
    v_key rule_nats_message_keys%ROWTYPE;
    v_first record;
    v_keep interval;
    v_call_id bigint;
BEGIN
    SELECT w.webhook_name, w.nats_subject, w.deduplicate_for, c.config_id, c.stream_name
      INTO v_webhook
      FROM rule_webhooks w LEFT JOIN rule_nats_config c ON c.config_id = w.nats_config_id
     WHERE w.webhook_id = p_webhook_id AND w.nats_enabled;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Webhook not found or NATS not enabled' USING ERRCODE = 'P0002';
    ELSIF v_webhook.nats_subject IS NULL THEN
        RAISE EXCEPTION 'NATS subject not configured' USING ERRCODE = '55000';
    ELSIF v_webhook.config_id IS NULL THEN
        SELECT c.config_id, c.stream_name INTO v_webhook.config_id, v_webhook.stream_name FROM rule_nats_config c WHERE c.config_name = 'default';
    END IF;
    PERFORM rule_nats_subject_check(v_webhook.nats_subject);
    PERFORM rule_nats_message_id_check(p_message_id);
    v_text := rule_nats_payload_text(p_payload);
    v_hash := sha256(convert_to(v_text, 'UTF8'));

    -- The transaction id comes first: whoever scans up to it is then sure to see this row.
    PERFORM pg_current_xact_id();
    v_publish_id := nextval('rule_nats_publish_history_publish_id_seq');
    IF p_message_id IS NULL THEN
        SELECT 'p' || left(md5(r.database_id || current_database()), 12) || '_' || v_publish_id INTO v_msg_id
          FROM rule_nats_relay_state r WHERE r.relay_name = 'default';
    ELSE
        v_msg_id := rule_nats_msg_id(p_webhook_id, p_message_id);
        v_keep := coalesce(v_webhook.deduplicate_for, interval '0');
        IF v_keep > interval '0' THEN
            -- Two transactions with the same id meet here: the second waits for the first.
            INSERT INTO rule_nats_message_keys AS k (webhook_id, message_id, body_sha256, publish_id, expires_at)
            VALUES (p_webhook_id, p_message_id, v_hash, v_publish_id, clock_timestamp() + v_keep)
            ON CONFLICT (webhook_id, message_id) DO UPDATE
               SET body_sha256 = EXCLUDED.body_sha256, publish_id = EXCLUDED.publish_id, expires_at = EXCLUDED.expires_at
             WHERE k.expires_at <= clock_timestamp()
                OR EXISTS (SELECT FROM rule_nats_publish_history h WHERE h.publish_id = k.publish_id AND h.state = 'refused')
            RETURNING * INTO v_key;
            IF NOT FOUND THEN
                SELECT * INTO v_key FROM rule_nats_message_keys k WHERE k.webhook_id = p_webhook_id AND k.message_id = p_message_id;
                IF v_key.body_sha256 IS DISTINCT FROM v_hash THEN
                    RAISE EXCEPTION 'message_id % was already published for webhook % with another body', p_message_id, p_webhook_id
                        USING ERRCODE = '23505', CONSTRAINT = 'rule_nats_message_keys_pkey', TABLE = 'rule_nats_message_keys';
                END IF;
                SELECT h.publish_id, h.subject, h.stream_name, h.sequence_number, h.state, h.nats_msg_id, h.call_id INTO v_first
                  FROM rule_nats_publish_history h WHERE h.publish_id = v_key.publish_id;
                RETURN jsonb_build_object('success', true, 'webhook_name', v_webhook.webhook_name,
                    'subject', coalesce(v_first.subject, v_webhook.nats_subject), 'stream', coalesce(v_first.stream_name, v_webhook.stream_name),
                    'sequence', v_first.sequence_number, 'duplicate', true,
                    'latency_ms', round(extract(epoch FROM clock_timestamp() - v_start) * 1000, 3), 'publish_id', v_key.publish_id,
                    'state', coalesce(v_first.state, 'stored'), 'message_id', p_message_id, 'nats_msg_id', coalesce(v_first.nats_msg_id, v_msg_id))
                    || CASE WHEN p_with_call THEN jsonb_build_object('call_id', v_first.call_id) ELSE '{}'::jsonb END;
            END IF;
        END IF;
    END IF;

    IF p_with_call THEN
        INSERT INTO rule_webhook_calls (webhook_id, payload, scheduled_at, event_id, subject, publish_id)
        VALUES (p_webhook_id, p_payload, clock_timestamp() + p_grace, v_msg_id, v_webhook.nats_subject, v_publish_id)
        ON CONFLICT (event_id, webhook_id) DO UPDATE SET publish_id = EXCLUDED.publish_id
        RETURNING call_id INTO v_call_id;
    END IF;
    INSERT INTO rule_nats_publish_history (publish_id, webhook_id, subject, payload, message_id, triggered_by, stream_name,
                                           body_sha256, nats_msg_id, config_id, call_id, trace_parent)
    VALUES (v_publish_id, p_webhook_id, v_webhook.nats_subject, p_payload, p_message_id, session_user, v_webhook.stream_name,
            v_hash, v_msg_id, v_webhook.config_id, v_call_id,
            substring(current_setting('rule.traceparent', true) FROM '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$'));
    RETURN jsonb_build_object('success', true, 'webhook_name', v_webhook.webhook_name, 'subject', v_webhook.nats_subject,
        'stream', v_webhook.stream_name, 'sequence', NULL, 'duplicate', false,
        'latency_ms', round(extract(epoch FROM clock_timestamp() - v_start) * 1000, 3), 'publish_id', v_publish_id,
        'state', 'pending', 'message_id', p_message_id, 'nats_msg_id', v_msg_id)
        || CASE WHEN p_with_call THEN jsonb_build_object('call_id', v_call_id) ELSE '{}'::jsonb END;
END $$;
COMMENT ON FUNCTION rule_nats_accept(integer, jsonb, text, boolean, interval) IS 'Internal: inserts the outbox row (and, for publish_mode both, the call row) of one event, or finds the first one with this message_id.';

CREATE OR REPLACE FUNCTION rule_webhook_publish_nats(webhook_id integer, payload jsonb, message_id text DEFAULT NULL)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN rule_nats_accept($1, $2, $3, false, NULL);
END $$;
COMMENT ON FUNCTION rule_webhook_publish_nats(integer, jsonb, text) IS
'Accepts one event for JetStream in the caller''s transaction: published after COMMIT, never after ROLLBACK. Returns {success, webhook_name, subject, stream, sequence, duplicate, latency_ms, publish_id, state, message_id, nats_msg_id}; state is ''pending'' and sequence null until the relay has the PubAck (look in rule_nats_publish_history by publish_id). The same message_id with the same body returns the first result with duplicate true; with another body it is error 23505. SET rule.traceparent to join a trace.';

CREATE OR REPLACE FUNCTION rule_webhook_call_unified(webhook_id integer, payload jsonb, message_id text DEFAULT NULL)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_webhook record;
    v_call_id bigint;
    v_status text;
    v_nats jsonb;
    v_event_id text;
    v_text text;
    v_duplicate boolean := false;
    v_queue jsonb;
BEGIN
    SELECT w.webhook_name, w.publish_mode, w.enabled INTO v_webhook FROM rule_webhooks w WHERE w.webhook_id = $1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Webhook not found' USING ERRCODE = 'P0002';
    ELSIF v_webhook.publish_mode IS NULL OR v_webhook.publish_mode NOT IN ('queue', 'nats', 'both') THEN
        RAISE EXCEPTION 'Invalid publish_mode: %', v_webhook.publish_mode USING ERRCODE = '22023';
    ELSIF v_webhook.publish_mode = 'nats' THEN
        RETURN jsonb_build_object('success', true, 'nats', rule_webhook_publish_nats($1, $2, $3));
    ELSIF v_webhook.enabled IS NOT TRUE THEN
        RAISE EXCEPTION 'Webhook is disabled: %', v_webhook.webhook_name USING ERRCODE = '55000';
    END IF;

    IF v_webhook.publish_mode = 'both' THEN
        -- One event, two paths: the call waits while JetStream is expected to deliver first. Who leases the row first, sends.
        v_nats := rule_nats_accept($1, $2, $3, true, interval '30 seconds');
        v_call_id := (v_nats ->> 'call_id')::bigint;
        v_duplicate := (v_nats ->> 'duplicate')::boolean;
    ELSE
        PERFORM rule_nats_message_id_check($3);
        v_text := rule_nats_payload_text($2);
        IF $3 IS NULL THEN
            v_call_id := rule_webhook_enqueue($1, $2);
        ELSE
            v_event_id := rule_nats_msg_id($1, $3);
            INSERT INTO rule_webhook_calls AS c (webhook_id, payload, event_id) VALUES ($1, $2, v_event_id)
            ON CONFLICT (event_id, webhook_id) DO NOTHING RETURNING c.call_id INTO v_call_id;
            IF v_call_id IS NULL THEN
                v_duplicate := true;
                SELECT c.call_id INTO v_call_id FROM rule_webhook_calls c
                 WHERE c.event_id = v_event_id AND c.webhook_id = $1 AND c.payload::text = v_text;
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'message_id % was already published for webhook % with another body', $3, $1
                        USING ERRCODE = '23505', CONSTRAINT = 'rule_webhook_calls_event_webhook_key', TABLE = 'rule_webhook_calls';
                END IF;
            END IF;
        END IF;
    END IF;
    SELECT c.status INTO v_status FROM rule_webhook_calls c WHERE c.call_id = v_call_id;
    v_queue := jsonb_build_object('success', true, 'queue_id', v_call_id, 'call_id', v_call_id, 'status', coalesce(v_status, 'pending'),
                                  'duplicate', v_duplicate);
    RETURN jsonb_build_object('success', true, 'queue', v_queue)
        || CASE WHEN v_nats IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('nats', v_nats) END;
END $$;
COMMENT ON FUNCTION rule_webhook_call_unified(integer, jsonb, text) IS
'Sends one event the way the webhook''s publish_mode says: queue (a row in rule_webhook_calls), nats (as rule_webhook_publish_nats) or both (one event on both paths, delivered once: the call becomes due after 30 seconds, unless JetStream has delivered by then). Returns {"success":true,"queue":{success,queue_id,call_id,status,duplicate},"nats":{...}} with the keys of the paths taken.';
