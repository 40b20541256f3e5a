-- RFC-0005: endpoints, secrets, the queue.
SET search_path TO public, pg_temp;

CREATE OR REPLACE FUNCTION rule_webhook_register(
    p_name text, p_url text, p_method text DEFAULT 'POST', p_headers jsonb DEFAULT '{}'::jsonb,
    p_description text DEFAULT NULL, p_timeout_ms integer DEFAULT 5000, p_max_retries integer DEFAULT 3)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_webhook_id integer;
BEGIN
    PERFORM rule_webhook_url_check(p_url);
    INSERT INTO rule_webhooks (webhook_name, url, method, headers, description, timeout_ms, max_retries, created_by)
    VALUES (p_name, p_url, upper(p_method), coalesce(p_headers, '{}'::jsonb), p_description, p_timeout_ms, p_max_retries, session_user)
    RETURNING webhook_id INTO v_webhook_id;
    -- 32 bytes of SHA-256 over three random UUIDs (366 random bits): gen_random_bytes would need the pgcrypto extension.
    INSERT INTO rule_webhook_secrets (webhook_id, secret_name, secret_value, created_by)
    VALUES (v_webhook_id, 'signing',
            'whsec_' || encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'base64'),
            session_user);
    RETURN v_webhook_id;
END $$;
COMMENT ON FUNCTION rule_webhook_register(text, text, text, jsonb, text, integer, integer) IS
'Registers an endpoint and gives it a signing secret (name ''signing''). Returns its webhook_id. A name that exists is a unique violation, not an update.';

CREATE OR REPLACE FUNCTION rule_webhook_update(
    p_webhook_id integer, p_url text DEFAULT NULL, p_method text DEFAULT NULL, p_headers jsonb DEFAULT NULL,
    p_timeout_ms integer DEFAULT NULL, p_enabled boolean DEFAULT NULL)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE rule_webhooks w
       SET url = coalesce(p_url, w.url), method = coalesce(upper(p_method), w.method), headers = coalesce(p_headers, w.headers),
           timeout_ms = coalesce(p_timeout_ms, w.timeout_ms), enabled = coalesce(p_enabled, w.enabled), updated_at = CURRENT_TIMESTAMP
     WHERE w.webhook_id = p_webhook_id;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION rule_webhook_update(integer, text, text, jsonb, integer, boolean) IS
'Changes what is given, keeps what is null. False when the webhook does not exist.';

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
BEGIN
    IF p_secret_name IS NULL OR p_secret_name !~ '^\S{1,128}$' OR coalesce(p_secret_value, '') = '' OR length(p_secret_value) > 8192 THEN
        RAISE EXCEPTION 'A secret needs a name of 1 to 128 characters without spaces and a value of 1 to 8192 characters' USING ERRCODE = '22023';
    END IF;
    IF p_secret_name = 'signing' THEN
        IF p_secret_value ~ '^whsec_([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$' THEN
            v_bytes := octet_length(decode(substr(p_secret_value, 7), 'base64'));
        END IF;
        IF v_bytes IS NULL OR v_bytes NOT BETWEEN 24 AND 64 THEN
            RAISE EXCEPTION 'A signing secret is whsec_ and the base64 of 24 to 64 bytes' USING ERRCODE = '22023';
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
COMMENT ON FUNCTION rule_webhook_secret_set(integer, text, text) IS
'Stores or replaces a secret of a webhook. ''signing'' is the Standard Webhooks secret and must be whsec_ + base64 of 24 to 64 bytes.';

CREATE OR REPLACE FUNCTION rule_webhook_secret_get(p_webhook_id integer, p_secret_name text)
RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT s.secret_value FROM rule_webhook_secrets s WHERE s.webhook_id = p_webhook_id AND s.secret_name = p_secret_name
$$;
COMMENT ON FUNCTION rule_webhook_secret_get(integer, text) IS 'The stored value, or null. For rule_admin and rule_worker only.';

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
    v_name text;
    v_enabled boolean;
    v_call_id bigint;
BEGIN
    SELECT w.webhook_name, w.enabled INTO v_name, v_enabled FROM rule_webhooks w WHERE w.webhook_id = p_webhook_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Webhook not found: %', p_webhook_id USING ERRCODE = 'P0002';
    ELSIF v_enabled IS NOT TRUE THEN
        RAISE EXCEPTION 'Webhook is disabled: %', v_name USING ERRCODE = '55000';
    END IF;
    PERFORM rule_nats_payload_text(p_payload);
    INSERT INTO rule_webhook_calls (webhook_id, payload, rule_name, scheduled_at)
    VALUES (p_webhook_id, p_payload, p_rule_name, coalesce(p_scheduled_at, CURRENT_TIMESTAMP))
    RETURNING call_id INTO v_call_id;
    RETURN v_call_id;
END $$;
COMMENT ON FUNCTION rule_webhook_enqueue(integer, jsonb, text, timestamptz) IS 'Queues one call for an enabled webhook. Returns its call_id.';

CREATE OR REPLACE FUNCTION rule_webhook_retry_delay(p_delay_ms integer, p_multiplier numeric, p_retry_count integer)
RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT least(coalesce(p_delay_ms, 1000) * power(coalesce(p_multiplier, 2.0), least(greatest(p_retry_count, 0), 64)), 86400000)
           * interval '1 millisecond'
$$;
COMMENT ON FUNCTION rule_webhook_retry_delay(integer, numeric, integer) IS 'delay × multiplier^(retries so far), at most 24 hours. With the defaults: 1 s, 2 s, 4 s.';

CREATE OR REPLACE FUNCTION rule_webhook_retry(p_call_id bigint)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_call rule_webhook_calls%ROWTYPE;
    v_webhook rule_webhooks%ROWTYPE;
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
    v_reason := CASE WHEN NOT FOUND THEN 'Webhook deleted'
                     WHEN v_webhook.retry_enabled IS NOT TRUE THEN 'Retries are disabled'
                     WHEN v_call.retry_count >= coalesce(v_webhook.max_retries, 3) THEN 'Max retries exceeded' END;
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
           next_retry_at = clock_timestamp()
               + rule_webhook_retry_delay(v_webhook.retry_delay_ms, v_webhook.retry_backoff_multiplier, c.retry_count)
     WHERE c.call_id = p_call_id;
    RETURN true;
END $$;
COMMENT ON FUNCTION rule_webhook_retry(bigint) IS
'Schedules the next attempt of a call that failed or is being processed: true. False when it must not be tried again (it succeeded, retries are off or used up, the webhook is gone); it is then failed and keeps its real error after the reason.';
