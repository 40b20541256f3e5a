-- RFC-0005: endpoints, secrets, the queue.
SET search_path TO public, pg_temp;

CREATE OR REPLACE FUNCTION rule_webhook_register(
    p_name text, p_url text, p_method text DEFAULT 'POST', p_headers jsonb DEFAULT '{}'::jsonb,
    p_description text DEFAULT NULL, p_timeout_ms integer DEFAULT 5000, p_max_retries integer DEFAULT 3,
    p_enable_nats boolean DEFAULT false, p_nats_subject text DEFAULT NULL)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_webhook_id integer;
BEGIN
    PERFORM rule_webhook_url_check(p_url);
    IF p_nats_subject IS NOT NULL AND p_enable_nats IS NOT TRUE THEN
        RAISE EXCEPTION 'p_nats_subject: only with p_enable_nats => true' USING ERRCODE = '22023';
    END IF;
    INSERT INTO rule_webhooks (webhook_name, url, method, headers, description, timeout_ms, max_retries, created_by)
    VALUES (p_name, p_url, upper(p_method), coalesce(p_headers, '{}'::jsonb), p_description, p_timeout_ms, p_max_retries, session_user)
    RETURNING webhook_id INTO v_webhook_id;
    -- 32 bytes of SHA-256 over three random UUIDs (366 random bits): gen_random_bytes would need the pgcrypto extension.
    INSERT INTO rule_webhook_secrets (webhook_id, secret_name, secret_value, created_by)
    VALUES (v_webhook_id, 'signing',
            'whsec_' || encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'base64'),
            session_user);
    IF p_enable_nats THEN
        PERFORM rule_webhook_enable_nats(v_webhook_id, p_nats_subject);
    END IF;
    RETURN v_webhook_id;
END $$;
COMMENT ON FUNCTION rule_webhook_register(text, text, text, jsonb, text, integer, integer, boolean, text) IS
'Registers an endpoint and gives it a signing secret (name ''signing''). Returns its webhook_id. A name that exists is a unique violation, not an update. p_enable_nats does what rule_webhook_enable_nats does with p_nats_subject: publish_mode both; without it a p_nats_subject is error 22023.';

CREATE OR REPLACE FUNCTION rule_webhook_update(
    p_webhook_id integer, p_url text DEFAULT NULL, p_method text DEFAULT NULL, p_headers jsonb DEFAULT NULL,
    p_timeout_ms integer DEFAULT NULL, p_enabled boolean DEFAULT NULL, p_retry_enabled boolean DEFAULT NULL, p_max_retries integer DEFAULT NULL,
    p_retry_delay_ms integer DEFAULT NULL, p_retry_backoff_multiplier numeric DEFAULT NULL, p_description text DEFAULT NULL, p_tags text[] DEFAULT NULL)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE rule_webhooks w
       SET url = coalesce(p_url, w.url), method = coalesce(upper(p_method), w.method), headers = coalesce(p_headers, w.headers),
           timeout_ms = coalesce(p_timeout_ms, w.timeout_ms), enabled = coalesce(p_enabled, w.enabled),
           retry_enabled = coalesce(p_retry_enabled, w.retry_enabled), max_retries = coalesce(p_max_retries, w.max_retries),
           retry_delay_ms = coalesce(p_retry_delay_ms, w.retry_delay_ms),
           retry_backoff_multiplier = coalesce(p_retry_backoff_multiplier, w.retry_backoff_multiplier),
           description = coalesce(p_description, w.description), tags = coalesce(p_tags, w.tags), updated_at = CURRENT_TIMESTAMP
     WHERE w.webhook_id = p_webhook_id;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION rule_webhook_update(integer, text, text, jsonb, integer, boolean, boolean, integer, integer, numeric, text, text[]) IS
'Changes what is given, keeps what is null; checks it as rule_webhook_register does. p_max_retries 0 to 10, p_retry_delay_ms from 0, p_retry_backoff_multiplier from 1. False when the webhook does not exist.';

CREATE OR REPLACE FUNCTION rule_webhook_delete(p_webhook_id integer)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM rule_webhooks w WHERE w.webhook_id = p_webhook_id;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION rule_webhook_delete(integer) IS
'Deletes an endpoint and its secrets. Its calls, attempts and publish history stay; calls that were due become failed, "Webhook deleted"; pending events are still published.';

CREATE OR REPLACE FUNCTION rule_webhook_get(p_identifier text)
RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_result json;
BEGIN
    IF p_identifier ~ '^\s*\d{1,10}\s*$' AND p_identifier::bigint <= 2147483647 THEN
        SELECT row_to_json(w) INTO v_result FROM rule_webhooks w WHERE w.webhook_id = p_identifier::integer;
    END IF;
    IF v_result IS NULL THEN
        SELECT row_to_json(w) INTO v_result FROM rule_webhooks w WHERE w.webhook_name = p_identifier;
    END IF;
    RETURN coalesce(v_result, json_build_object('error', 'Webhook not found'));
END $$;
COMMENT ON FUNCTION rule_webhook_get(text) IS 'The webhook with this id or, failing that, this name, as JSON; {"error":"Webhook not found"} when there is none. No secrets.';

CREATE OR REPLACE FUNCTION rule_webhook_list(p_enabled_only boolean DEFAULT false)
RETURNS TABLE (webhook_id integer, webhook_name text, url text, method text, enabled boolean, total_calls bigint, success_rate numeric, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT w.webhook_id, w.webhook_name, w.url, w.method, w.enabled, s.total_calls, s.success_rate_pct, w.created_at
      FROM rule_webhooks w JOIN webhook_status_summary s ON s.webhook_id = w.webhook_id
     WHERE NOT coalesce(p_enabled_only, false) OR w.enabled
     ORDER BY w.created_at DESC, w.webhook_id DESC
$$;
COMMENT ON FUNCTION rule_webhook_list(boolean) IS 'Webhooks, newest first, with the number of calls over both paths and the share of finished calls that succeeded (0 without calls).';

CREATE OR REPLACE FUNCTION rule_webhook_secret_set(p_webhook_id integer, p_secret_name text, p_secret_value text)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_bytes integer;
    v_valid boolean := false;
BEGIN
    IF p_secret_name IS NULL OR p_secret_name !~ '^\S{1,128}$' OR coalesce(p_secret_value, '') = '' OR length(p_secret_value) > 8192 THEN
        RAISE EXCEPTION 'A secret needs a name of 1 to 128 characters without spaces and a value of 1 to 8192 characters' USING ERRCODE = '22023';
    END IF;
    IF p_secret_name = 'signing' THEN
        IF p_secret_value ~ '^whsec_([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$' THEN
            v_bytes := octet_length(decode(substr(p_secret_value, 7), 'base64'));
            v_valid := v_bytes BETWEEN 24 AND 64;
        ELSIF p_secret_value ~ '^whsk_([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$' THEN
            v_bytes := octet_length(decode(substr(p_secret_value, 6), 'base64'));
            v_valid := v_bytes IN (32, 64);
        END IF;
        IF NOT v_valid THEN
            RAISE EXCEPTION 'A signing secret is whsec_ and the base64 of 24 to 64 bytes, or whsk_ and the base64 of an ed25519 key of 32 or 64 bytes' USING ERRCODE = '22023';
        END IF;
    END IF;
    IF NOT EXISTS (SELECT FROM rule_webhooks w WHERE w.webhook_id = p_webhook_id) THEN
        RAISE EXCEPTION 'Webhook not found: %', p_webhook_id USING ERRCODE = 'P0002';
    END IF;
    INSERT INTO rule_webhook_secrets AS s (webhook_id, secret_name, secret_value, created_by)
    VALUES (p_webhook_id, p_secret_name, p_secret_value, session_user)
    ON CONFLICT (webhook_id, secret_name) DO UPDATE
       SET secret_value = EXCLUDED.secret_value, key_id = NULL, expires_at = NULL, created_at = CURRENT_TIMESTAMP, created_by = EXCLUDED.created_by;
    RETURN true;
END $$;
-- A value that is changed by a plain UPDATE is plain text, whatever the row said of the one before.
CREATE OR REPLACE FUNCTION rule_webhook_secrets_check() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.secret_value IS DISTINCT FROM OLD.secret_value AND NEW.key_id IS NOT DISTINCT FROM OLD.key_id THEN
        NEW.key_id := NULL;
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION rule_webhook_secrets_check() IS 'Takes a value that is written without naming a key for plain text.';
CREATE OR REPLACE TRIGGER rule_webhook_secrets_check BEFORE UPDATE ON rule_webhook_secrets
    FOR EACH ROW EXECUTE FUNCTION rule_webhook_secrets_check();
COMMENT ON FUNCTION rule_webhook_secret_set(integer, text, text) IS
'Stores or replaces a secret of a webhook. ''signing'' is the Standard Webhooks secret and must be whsec_ + base64 of 24 to 64 bytes, or whsk_ + base64 of an ed25519 private key (the seed of 32 bytes, or 64 with the public key after it). ''auth'' holds the credentials of auth_type.';

CREATE OR REPLACE FUNCTION rule_webhook_secret_get(p_webhook_id integer, p_secret_name text)
RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_value text;
    v_key_id text;
BEGIN
    SELECT s.secret_value, s.key_id INTO v_value, v_key_id FROM rule_webhook_secrets s WHERE s.webhook_id = p_webhook_id AND s.secret_name = p_secret_name;
    IF v_key_id IS NOT NULL THEN
        RAISE EXCEPTION 'secret % of webhook % is encrypted under key %', p_secret_name, p_webhook_id, v_key_id USING ERRCODE = '55000',
            HINT = 'The database has no key. Read a secret in the transaction that makes it; replace it with rule_webhook_secret_set, or let ConfigService make a new one: POST /api/v1/webhooks/<id>/secrets/signing/rotate.';
    END IF;
    RETURN v_value;
END $$;
COMMENT ON FUNCTION rule_webhook_secret_get(integer, text) IS
'The secret, or null where there is none. Only while it is plain text, which is certain in the transaction that made it: ConfigService encrypts it within 2 seconds of the commit where it has a key, and then 55000 is raised. For rule_admin and rule_worker only.';

CREATE OR REPLACE FUNCTION rule_webhook_secret_delete(p_webhook_id integer, p_secret_name text)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM rule_webhook_secrets s WHERE s.webhook_id = p_webhook_id AND s.secret_name = p_secret_name;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION rule_webhook_secret_delete(integer, text) IS 'Deletes a secret. False when there was none.';

CREATE OR REPLACE FUNCTION rule_webhook_enqueue(
    p_webhook_id integer, p_payload jsonb, p_rule_name text DEFAULT NULL, p_scheduled_at timestamptz DEFAULT CURRENT_TIMESTAMP)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_webhook rule_webhooks%ROWTYPE;
    v_order_key text;
    v_call_id bigint;
BEGIN
    SELECT * INTO v_webhook FROM rule_webhooks w WHERE w.webhook_id = p_webhook_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Webhook not found: %', p_webhook_id USING ERRCODE = 'P0002';
    ELSIF v_webhook.enabled IS NOT TRUE THEN
        RAISE EXCEPTION 'Webhook is disabled: %', v_webhook.webhook_name USING ERRCODE = '55000';
    ELSIF length(p_rule_name) > 255 THEN
        RAISE EXCEPTION 'p_rule_name: % characters, the limit is 255', length(p_rule_name) USING ERRCODE = '54000';
    ELSIF NOT isfinite(p_scheduled_at) THEN
        RAISE EXCEPTION 'p_scheduled_at: % is no point in time', p_scheduled_at USING ERRCODE = '22023';
    END IF;
    PERFORM rule_nats_payload_text(p_payload);
    v_order_key := CASE WHEN v_webhook.ordering <> 'none' THEN rule_webhook_order_key(v_webhook, p_payload) END;
    v_call_id := nextval('rule_webhook_calls_call_id_seq');
    INSERT INTO rule_webhook_calls (call_id, webhook_id, payload, rule_name, scheduled_at, trace_parent, order_key, order_no, order_xid)
    VALUES (v_call_id, p_webhook_id, p_payload, p_rule_name, coalesce(p_scheduled_at, CURRENT_TIMESTAMP), rule_nats_traceparent(NULL),
            v_order_key, CASE WHEN v_order_key IS NOT NULL THEN v_call_id END, CASE WHEN v_order_key IS NOT NULL THEN pg_current_xact_id() END);
    RETURN v_call_id;
END $$;
COMMENT ON FUNCTION rule_webhook_enqueue(integer, jsonb, text, timestamptz) IS
'Queues one call for an enabled webhook, to be sent after COMMIT and not before p_scheduled_at (null: now). Returns its call_id. p_rule_name, at most 255 characters, is for the record. SET rule.traceparent to join a trace.';

CREATE OR REPLACE FUNCTION rule_webhook_call(p_webhook_id integer, p_payload jsonb)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_name text;
    v_url text;
    v_enabled boolean;
BEGIN
    SELECT w.webhook_name, w.url, w.enabled INTO v_name, v_url, v_enabled FROM rule_webhooks w WHERE w.webhook_id = p_webhook_id;
    IF NOT FOUND THEN
        RETURN json_build_object('success', false, 'error', 'Webhook not found');
    ELSIF v_enabled IS NOT TRUE THEN
        RETURN json_build_object('success', false, 'error', 'Webhook is disabled');
    END IF;
    RETURN json_build_object('success', true, 'call_id', rule_webhook_enqueue(p_webhook_id, p_payload), 'status', 'enqueued', 'webhook_name', v_name, 'url', v_url,
        'message', 'Webhook call enqueued. A delivery worker sends it after COMMIT; see rule_webhook_call_status.');
END $$;
COMMENT ON FUNCTION rule_webhook_call(integer, jsonb) IS
'Queues one call, as rule_webhook_enqueue, and answers {success, call_id, status "enqueued", webhook_name, url, message}; {"success":false,"error":"Webhook not found"} or "Webhook is disabled" instead of an error. A bad payload is an error: 22004, 22023, 54000.';

CREATE OR REPLACE FUNCTION rule_webhook_call_with_http(p_webhook_id integer, p_payload jsonb)
RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_call json := rule_webhook_call(p_webhook_id, p_payload);
BEGIN
    IF NOT (v_call ->> 'success')::boolean THEN
        RETURN v_call;
    END IF;
    RETURN (v_call::jsonb || '{"message": "The database makes no HTTP requests itself. The call is enqueued; a delivery worker sends it after COMMIT; see rule_webhook_call_status."}')::json;
END $$;
COMMENT ON FUNCTION rule_webhook_call_with_http(integer, jsonb) IS
'For callers of the http extension''s variant: the database makes no HTTP requests itself, so this queues the call as rule_webhook_call does, and its message says so. What the endpoint answered is in rule_webhook_call_status once it was sent.';

CREATE OR REPLACE FUNCTION rule_webhook_call_status(p_call_id bigint)
RETURNS json LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT coalesce(
        (SELECT json_build_object('call_id', c.call_id, 'webhook_name', coalesce(w.webhook_name, 'deleted webhook ' || c.webhook_id), 'url', w.url,
                'status', c.status, 'retry_count', c.retry_count, 'payload', c.payload, 'response_status', c.response_status,
                'response_body', c.response_body, 'error_message', c.error_message, 'execution_time_ms', c.execution_time_ms,
                'scheduled_at', c.scheduled_at, 'started_at', c.started_at, 'completed_at', c.completed_at, 'next_retry_at', c.next_retry_at,
                'attempts', (SELECT coalesce(json_agg(json_build_object('attempt_number', h.attempt_number, 'outcome', h.outcome,
                                'started_at', h.started_at, 'completed_at', h.completed_at, 'response_status', h.response_status,
                                'response_body', h.response_body, 'error_message', h.error_message, 'execution_time_ms', h.execution_time_ms)
                                ORDER BY h.attempt_number, h.history_id), '[]'::json)
                               FROM rule_webhook_call_history h WHERE h.call_id = c.call_id))
           FROM rule_webhook_calls c LEFT JOIN rule_webhooks w ON w.webhook_id = c.webhook_id WHERE c.call_id = p_call_id),
        json_build_object('error', 'Call not found'))
$$;
COMMENT ON FUNCTION rule_webhook_call_status(bigint) IS
'A call and what came of it: call_id, webhook_name, url, status, retry_count, payload, response_status, response_body, error_message, execution_time_ms, scheduled_at, started_at, completed_at, next_retry_at, and attempts[], one for each HTTP request that retain_for still keeps. {"error":"Call not found"} for an unknown one. Shows payloads: for rule_admin.';

CREATE OR REPLACE FUNCTION rule_webhook_retry_delay(p_delay_ms integer, p_multiplier numeric, p_retry_count integer)
RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT least(coalesce(p_delay_ms, 1000) * power(coalesce(p_multiplier, 2.0), least(greatest(p_retry_count, 0), 64)), 86400000)
           * interval '1 millisecond'
$$;
COMMENT ON FUNCTION rule_webhook_retry_delay(integer, numeric, integer) IS 'delay × multiplier^(retries so far), at most 24 hours. With 1000 and 2: 1 s, 2 s, 4 s.';

CREATE OR REPLACE FUNCTION rule_webhook_retry_delays(p_webhook rule_webhooks)
RETURNS interval[] LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT CASE
        WHEN p_webhook.retry_enabled IS FALSE THEN '{}'
        WHEN p_webhook.retry_schedule IS NOT NULL THEN ARRAY(SELECT s.seconds * interval '1 second' FROM unnest(p_webhook.retry_schedule) WITH ORDINALITY s(seconds, n) ORDER BY s.n)
        WHEN (coalesce(p_webhook.max_retries, 3), coalesce(p_webhook.retry_delay_ms, 1000), coalesce(p_webhook.retry_backoff_multiplier, 2)) = (3, 1000, 2)
            THEN '{5 s,5 min,30 min,2 h,5 h,10 h,14 h,20 h,24 h}'::interval[]
        ELSE ARRAY(SELECT rule_webhook_retry_delay(p_webhook.retry_delay_ms, p_webhook.retry_backoff_multiplier, n)
                     FROM generate_series(0, coalesce(p_webhook.max_retries, 3) - 1) n ORDER BY n)
    END
$$;
COMMENT ON FUNCTION rule_webhook_retry_delays(rule_webhooks) IS
'The pauses before each repeat of a failed call of this webhook, as retry_schedule, the schedule of Standard Webhooks or the retry columns have it (see rule_webhooks.retry_schedule); empty when retries are off. Workers vary each by up to 20 % and keep to Retry-After.';

CREATE OR REPLACE FUNCTION rule_webhook_retry(p_call_id bigint)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_call rule_webhook_calls%ROWTYPE;
    v_webhook rule_webhooks%ROWTYPE;
    v_delays interval[];
    v_reason text;
BEGIN
    SELECT * INTO v_call FROM rule_webhook_calls c WHERE c.call_id = p_call_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Call not found: %', p_call_id USING ERRCODE = 'P0002';
    END IF;
    IF v_call.status IN ('pending', 'retrying') THEN
        RETURN true; -- It is due already; counting again would skip a step of the schedule.
    ELSIF v_call.status = 'success' THEN
        RETURN false;
    END IF;
    SELECT * INTO v_webhook FROM rule_webhooks w WHERE w.webhook_id = v_call.webhook_id;
    v_delays := rule_webhook_retry_delays(v_webhook);
    v_reason := CASE WHEN v_webhook.webhook_id IS NULL THEN 'Webhook deleted'
                     WHEN v_webhook.retry_enabled IS FALSE THEN 'Retries are disabled'
                     WHEN v_call.retry_count >= cardinality(v_delays) THEN 'Max retries exceeded' END;
    IF v_reason IS NOT NULL THEN
        UPDATE rule_webhook_calls c
           SET status = 'failed', completed_at = coalesce(c.completed_at, clock_timestamp()), next_retry_at = NULL,
               leased_by = NULL, lease_until = NULL,
               error_message = CASE WHEN c.error_message LIKE v_reason || '%' THEN c.error_message
                                    ELSE concat_ws(': ', v_reason, c.error_message) END
         WHERE c.call_id = p_call_id;
        RETURN false;
    END IF;
    UPDATE rule_webhook_calls c
       SET status = 'retrying', retry_count = c.retry_count + 1, completed_at = NULL, leased_by = NULL, lease_until = NULL,
           next_retry_at = clock_timestamp() + v_delays[c.retry_count + 1]
     WHERE c.call_id = p_call_id;
    RETURN true;
END $$;
COMMENT ON FUNCTION rule_webhook_retry(bigint) IS
'Schedules the next attempt of a call that failed or is being processed: true. False when it must not be tried again (it succeeded, retries are off or used up, the webhook is gone); it is then failed and keeps its real error after the reason.';

CREATE OR REPLACE FUNCTION rule_webhook_process_retries()
RETURNS TABLE (call_id bigint, webhook_name text, retry_result json)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH due AS (
        SELECT c.call_id FROM rule_webhook_calls c
         WHERE c.due_at <= now() AND c.status = 'retrying' ORDER BY c.due_at LIMIT 100 FOR UPDATE SKIP LOCKED),
    moved AS (
        UPDATE rule_webhook_calls c SET status = 'pending', scheduled_at = least(c.scheduled_at, now()), next_retry_at = NULL
          FROM due WHERE c.call_id = due.call_id
        RETURNING c.call_id, c.webhook_id, c.retry_count)
    SELECT m.call_id, coalesce(w.webhook_name, 'deleted webhook ' || m.webhook_id),
           json_build_object('status', 'retry_enqueued', 'message', 'Due now: a delivery worker sends it', 'retry_count', m.retry_count)
      FROM moved m LEFT JOIN rule_webhooks w ON w.webhook_id = m.webhook_id ORDER BY m.call_id
$$;
COMMENT ON FUNCTION rule_webhook_process_retries() IS
'Makes up to 100 calls whose next_retry_at has come pending and due, and returns them. The delivery worker sends due retries without it; this serves workers that look for pending calls alone. retry_count was counted when the retry was scheduled, so it stays.';

CREATE OR REPLACE FUNCTION rule_webhook_cleanup_old_calls(p_older_than interval DEFAULT '30 days', p_keep_failed boolean DEFAULT true)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    c_batch constant integer := 5000;
    v_before timestamptz;
    v_from bigint := 0;
    v_batch integer;
    v_removed bigint := 0;
BEGIN
    IF p_older_than IS NULL OR p_older_than < interval '0' THEN
        RAISE EXCEPTION 'p_older_than: must be 0 or longer' USING ERRCODE = '22023';
    END IF;
    v_before := now() - p_older_than;
    LOOP
        -- By call_id, so that each batch goes on where the last one ended.
        WITH old AS (
            SELECT c.call_id FROM rule_webhook_calls c
             WHERE c.call_id > v_from AND c.due_at IS NULL AND c.completed_at < v_before
               AND (c.status = 'success' OR (c.status = 'failed' AND NOT coalesce(p_keep_failed, true)))
             ORDER BY c.call_id LIMIT c_batch FOR UPDATE SKIP LOCKED),
        gone AS (DELETE FROM rule_webhook_calls c USING old WHERE c.call_id = old.call_id RETURNING c.call_id)
        SELECT count(*), max(g.call_id) INTO v_batch, v_from FROM gone g;
        v_removed := v_removed + v_batch;
        EXIT WHEN v_batch < c_batch;
    END LOOP;
    RETURN v_removed;
END $$;
COMMENT ON FUNCTION rule_webhook_cleanup_old_calls(interval, boolean) IS
'Deletes calls that were finished longer ago than p_older_than, failed ones only with p_keep_failed => false, in batches of 5,000, and returns how many. Never one that is pending, processing or retrying. Attempts go by retain_for. A message_id of a deleted call may be queued again.';

-- The same for everything that has a time to live, one batch at a time, so that whoever calls it can commit between them.
-- Without bitmap scans: by stale statistics one of all that has expired, and its sort, looks cheaper than the first few rows along the index.
CREATE OR REPLACE FUNCTION rule_webhook_purge_expired(p_limit integer DEFAULT 5000)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET enable_bitmapscan = off AS $$
DECLARE
    v_webhook integer;
    v_before timestamptz;
    v_batch integer;
    v_calls integer := 0;
    v_attempts integer := 0;
    v_keys integer;
BEGIN
    IF p_limit IS NULL OR p_limit NOT BETWEEN 1 AND 5000 THEN
        RAISE EXCEPTION 'p_limit must be 1..5000' USING ERRCODE = '22023';
    END IF;
    DELETE FROM rule_nats_message_keys k
     WHERE (k.webhook_id, k.message_id) IN (
        SELECT e.webhook_id, e.message_id FROM rule_nats_message_keys e WHERE e.expires_at < now()
         ORDER BY e.expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS v_keys = ROW_COUNT;
    -- Every worker process has a row of its own: those that stopped or died long ago tell nobody anything.
    DELETE FROM rule_nats_consumer_stats s WHERE s.last_active_at < now() - interval '7 days';
    DELETE FROM rule_webhook_replays r WHERE r.finished_at < now() - interval '30 days';

    -- Webhook by webhook, along the index that begins with it: what is old lies at its end, however much is not.
    FOR v_webhook, v_before IN
        WITH RECURSIVE called AS (
            (SELECT c.webhook_id FROM rule_webhook_calls c ORDER BY c.webhook_id LIMIT 1)
            UNION ALL
            SELECT (SELECT c.webhook_id FROM rule_webhook_calls c WHERE c.webhook_id > d.webhook_id ORDER BY c.webhook_id LIMIT 1)
              FROM called d WHERE d.webhook_id IS NOT NULL)
        SELECT d.webhook_id, now() - coalesce(greatest(w.retain_for, w.deduplicate_for), interval '7 days')
          FROM called d LEFT JOIN rule_webhooks w ON w.webhook_id = d.webhook_id WHERE d.webhook_id IS NOT NULL
    LOOP
        DELETE FROM rule_webhook_calls c
         WHERE c.call_id = ANY (ARRAY(
            SELECT o.call_id FROM rule_webhook_calls o
             WHERE o.webhook_id = v_webhook AND o.created_at < v_before AND o.completed_at < v_before AND o.due_at IS NULL
             ORDER BY o.created_at LIMIT p_limit - v_calls FOR UPDATE SKIP LOCKED));
        GET DIAGNOSTICS v_batch = ROW_COUNT;
        v_calls := v_calls + v_batch;
        EXIT WHEN v_calls >= p_limit;
    END LOOP;

    FOR v_webhook, v_before IN
        WITH RECURSIVE called AS (
            (SELECT h.webhook_id FROM rule_webhook_call_history h ORDER BY h.webhook_id LIMIT 1)
            UNION ALL
            SELECT (SELECT h.webhook_id FROM rule_webhook_call_history h WHERE h.webhook_id > d.webhook_id ORDER BY h.webhook_id LIMIT 1)
              FROM called d WHERE d.webhook_id IS NOT NULL)
        SELECT d.webhook_id, now() - coalesce(greatest(w.retain_for, w.deduplicate_for), interval '7 days')
          FROM called d LEFT JOIN rule_webhooks w ON w.webhook_id = d.webhook_id WHERE d.webhook_id IS NOT NULL
    LOOP
        DELETE FROM rule_webhook_call_history h
         WHERE h.history_id = ANY (ARRAY(
            SELECT o.history_id FROM rule_webhook_call_history o
             WHERE o.webhook_id = v_webhook AND o.started_at < v_before
               AND NOT EXISTS (SELECT FROM rule_webhook_calls c WHERE c.call_id = o.call_id AND c.due_at IS NOT NULL)
             ORDER BY o.started_at LIMIT p_limit - v_attempts FOR UPDATE SKIP LOCKED));
        GET DIAGNOSTICS v_batch = ROW_COUNT;
        v_attempts := v_attempts + v_batch;
        EXIT WHEN v_attempts >= p_limit;
    END LOOP;
    RETURN jsonb_build_object('calls', v_calls, 'attempts', v_attempts, 'keys', v_keys,
                              'more', greatest(v_calls, v_attempts, v_keys) >= p_limit);
END $$;
COMMENT ON FUNCTION rule_webhook_purge_expired(integer) IS
'Deletes at most p_limit (1 to 5,000) of each: finished calls and attempts older than their webhook''s retain_for, and message keys whose time is over; also the statistics of workers that have not reported for 7 days, and replays that ended 30 days ago. Returns {calls, attempts, keys, more}; call it again while more is true. CdcRelay does so every minute. Calls that are not finished, and their attempts, stay.';
