-- The settings of a webhook's deliveries: one JSON object, whichever way they are written and read.
SET search_path TO public, pg_temp;

CREATE OR REPLACE FUNCTION rule_webhook_settings_of(p_webhook rule_webhooks)
RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT jsonb_build_object(
        'retry_schedule', p_webhook.retry_schedule,
        'max_concurrency', p_webhook.max_concurrency,
        'rate_limit', p_webhook.rate_limit,
        'rate_burst', p_webhook.rate_burst,
        'breaker_failures', p_webhook.breaker_failures,
        'breaker_failure_pct', p_webhook.breaker_failure_pct,
        'breaker_probe_seconds', p_webhook.breaker_probe_seconds,
        'disable_after_seconds', p_webhook.disable_after_seconds,
        'recovery_probe_seconds', p_webhook.recovery_probe_seconds,
        'backlog_threshold', p_webhook.backlog_threshold,
        'response_headers_kept', p_webhook.response_headers_kept,
        'ordering', p_webhook.ordering,
        'order_by', p_webhook.order_by,
        'order_on_failure', p_webhook.order_on_failure,
        'signature_profile', p_webhook.signature_profile,
        'auth_type', p_webhook.auth_type,
        'payload_template', p_webhook.payload_template,
        'content_filter', p_webhook.content_filter,
        'content_encoding', p_webhook.content_encoding,
        'cloudevents_mode', p_webhook.cloudevents_mode)
$$;
COMMENT ON FUNCTION rule_webhook_settings_of(rule_webhooks) IS 'The delivery settings of a row, under the names that rule_webhook_configure takes.';

CREATE OR REPLACE FUNCTION rule_webhook_settings(p_webhook_id integer)
RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_settings jsonb := (SELECT rule_webhook_settings_of(w) FROM rule_webhooks w WHERE w.webhook_id = p_webhook_id);
BEGIN
    IF v_settings IS NULL THEN
        RAISE EXCEPTION 'Webhook not found: %', p_webhook_id USING ERRCODE = 'P0002';
    END IF;
    RETURN v_settings;
END $$;
COMMENT ON FUNCTION rule_webhook_settings(integer) IS 'How deliveries to a webhook are made: every setting of rule_webhook_configure with its present value; each is the column of that name in rule_webhooks, where it is documented. P0002 for an unknown webhook.';

CREATE OR REPLACE FUNCTION rule_webhook_configure(p_webhook_id integer, p_settings jsonb)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_new rule_webhooks%ROWTYPE;
    v_key text;
    v_known text[];
BEGIN
    IF jsonb_typeof(p_settings) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'p_settings: must be a JSON object' USING ERRCODE = '22023';
    END IF;
    SELECT * INTO v_new FROM rule_webhooks w WHERE w.webhook_id = p_webhook_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Webhook not found: %', p_webhook_id USING ERRCODE = 'P0002';
    END IF;
    v_known := ARRAY(SELECT jsonb_object_keys(rule_webhook_settings_of(v_new)) ORDER BY 1);
    FOR v_key IN SELECT jsonb_object_keys(p_settings) LOOP
        IF v_key <> ALL (v_known) THEN
            RAISE EXCEPTION 'p_settings: there is no setting %; the settings are %', quote_ident(left(v_key, 64)), array_to_string(v_known, ', ') USING ERRCODE = '22023';
        END IF;
        BEGIN
            v_new := jsonb_populate_record(v_new, jsonb_build_object(v_key, p_settings -> v_key));
        EXCEPTION WHEN data_exception THEN
            RAISE EXCEPTION '%: %', v_key, SQLERRM USING ERRCODE = '22023';
        END;
    END LOOP;
    UPDATE rule_webhooks w
       SET retry_schedule = v_new.retry_schedule, max_concurrency = v_new.max_concurrency, rate_limit = v_new.rate_limit, rate_burst = v_new.rate_burst,
           breaker_failures = v_new.breaker_failures, breaker_failure_pct = v_new.breaker_failure_pct, breaker_probe_seconds = v_new.breaker_probe_seconds,
           disable_after_seconds = v_new.disable_after_seconds, recovery_probe_seconds = v_new.recovery_probe_seconds,
           backlog_threshold = v_new.backlog_threshold, response_headers_kept = v_new.response_headers_kept,
           ordering = v_new.ordering, order_by = v_new.order_by, order_on_failure = v_new.order_on_failure,
           signature_profile = v_new.signature_profile, auth_type = v_new.auth_type,
           payload_template = v_new.payload_template, content_filter = v_new.content_filter, content_encoding = v_new.content_encoding,
           cloudevents_mode = v_new.cloudevents_mode
     WHERE w.webhook_id = p_webhook_id;
    RETURN rule_webhook_settings(p_webhook_id);
END $$;
COMMENT ON FUNCTION rule_webhook_configure(integer, jsonb) IS
'Changes the delivery settings that are given and keeps the others, e.g. rule_webhook_configure(1, ''{"max_concurrency": 4, "rate_limit": 50, "retry_schedule": [5, 60, 600]}''); workers follow within 2 seconds. Each setting is a column of rule_webhooks and documented there. null where the column may be null. Returns all settings. 22023 names what is wrong, P0002 an unknown webhook.';

CREATE OR REPLACE FUNCTION rule_webhook_order_key(p_webhook rule_webhooks, p_payload jsonb)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT CASE p_webhook.ordering
        WHEN 'webhook' THEN ''
        WHEN 'key' THEN (
            -- A step is a name, with or without digits, or an index.
            SELECT CASE WHEN length(k.key) > 200 THEN encode(sha256(convert_to(k.key, 'UTF8')), 'hex') ELSE k.key END
              FROM (SELECT CASE WHEN p_webhook.order_by LIKE 'header:%' THEN ''
                                ELSE coalesce(p_payload #>> ARRAY(SELECT m[1] FROM regexp_matches(p_webhook.order_by, '[.\[]([A-Za-z0-9_-]+)', 'g') m), '') END) k(key))
    END
$$;
COMMENT ON FUNCTION rule_webhook_order_key(rule_webhooks, jsonb) IS
'Internal: the order_key of a call that is queued for a webhook: null without ordering. Queued calls have no headers, so order_by header:… gives all of them one key. A key of more than 200 characters is its SHA-256.';

CREATE OR REPLACE FUNCTION rule_webhook_settings_check() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_name text;
    v_value numeric;
    v_low numeric;
    v_high numeric;
BEGIN
    FOR v_name, v_value, v_low, v_high IN VALUES
        ('max_concurrency', NEW.max_concurrency::numeric, 1, 256), ('rate_limit', NEW.rate_limit, 0.01, 100000), ('rate_burst', NEW.rate_burst, 1, 100000),
        ('breaker_failures', NEW.breaker_failures, 0, 1000), ('breaker_failure_pct', NEW.breaker_failure_pct, 1, 100),
        ('breaker_probe_seconds', NEW.breaker_probe_seconds, 1, 86400), ('disable_after_seconds', NEW.disable_after_seconds, 60, 31536000),
        ('recovery_probe_seconds', NEW.recovery_probe_seconds, 1, 86400), ('backlog_threshold', NEW.backlog_threshold, 1, 100000000)
    LOOP
        IF v_value NOT BETWEEN v_low AND v_high THEN
            RAISE EXCEPTION '%: % is not % to %', v_name, v_value, v_low, v_high USING ERRCODE = '22023';
        END IF;
    END LOOP;
    IF NEW.retry_schedule IS NOT NULL AND (coalesce(array_ndims(NEW.retry_schedule), 0) <> 1 OR cardinality(NEW.retry_schedule) > 20
       OR EXISTS (SELECT FROM unnest(NEW.retry_schedule) s WHERE s IS NULL OR s NOT BETWEEN 0 AND 604800)) THEN
        RAISE EXCEPTION 'retry_schedule: must be 1 to 20 numbers of seconds, each 0 to 604800' USING ERRCODE = '22023';
    ELSIF cardinality(NEW.response_headers_kept) > 32 OR EXISTS (SELECT FROM unnest(NEW.response_headers_kept) h WHERE h IS NULL OR h !~ '^[a-z0-9!#$%&''*+.^_`|~-]{1,64}$') THEN
        RAISE EXCEPTION 'response_headers_kept: must be at most 32 header names in lower case, each 1 to 64 characters' USING ERRCODE = '22023';
    ELSIF NEW.response_headers_kept && ARRAY['set-cookie', 'authorization', 'proxy-authorization', 'www-authenticate', 'cookie'] THEN
        RAISE EXCEPTION 'response_headers_kept: headers with credentials are not kept' USING ERRCODE = '22023';
    ELSIF NEW.ordering NOT IN ('none', 'webhook', 'key') THEN
        RAISE EXCEPTION 'ordering: must be none, webhook or key' USING ERRCODE = '22023';
    ELSIF NEW.order_on_failure NOT IN ('block', 'skip', 'park') THEN
        RAISE EXCEPTION 'order_on_failure: must be block, skip or park' USING ERRCODE = '22023';
    ELSIF (NEW.ordering = 'key') <> (NEW.order_by IS NOT NULL) THEN
        RAISE EXCEPTION 'order_by: must be given with ordering key, and only then' USING ERRCODE = '22023';
    ELSIF length(NEW.order_by) > 255 OR NEW.order_by !~ '^(\$(\.[A-Za-z_][A-Za-z0-9_-]*|\[[0-9]{1,4}\])+|header:[A-Za-z0-9!#$%&''*+.^_`|~-]+)$' THEN
        RAISE EXCEPTION 'order_by: must be a path such as $.customer.id or $.lines[0].sku, or header:<name>, of at most 255 characters' USING ERRCODE = '22023';
    ELSIF NEW.ordering <> 'none' AND NEW.publish_mode = 'both' THEN
        RAISE EXCEPTION 'ordering: publish_mode both has two paths and no order; use nats or queue' USING ERRCODE = '22023';
    ELSIF NEW.signature_profile NOT IN ('standard', 'github', 'stripe', 'none') THEN
        RAISE EXCEPTION 'signature_profile: must be standard, github, stripe or none' USING ERRCODE = '22023';
    ELSIF NEW.auth_type NOT IN ('none', 'basic', 'bearer', 'oauth2', 'mtls') THEN
        RAISE EXCEPTION 'auth_type: must be none, basic, bearer, oauth2 or mtls' USING ERRCODE = '22023';
    ELSIF NEW.content_encoding NOT IN ('identity', 'gzip') THEN
        RAISE EXCEPTION 'content_encoding: must be identity or gzip' USING ERRCODE = '22023';
    ELSIF NEW.cloudevents_mode NOT IN ('binary', 'structured') THEN
        RAISE EXCEPTION 'cloudevents_mode: must be binary or structured' USING ERRCODE = '22023';
    END IF;
    PERFORM rule_webhook_template_check(NEW.payload_template);
    NEW.content_filter := rule_webhook_filter_check(NEW.content_filter);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION rule_webhook_settings_check() IS 'Checks the delivery settings of a webhook, whoever writes them; each message begins with the name of the setting.';
CREATE OR REPLACE TRIGGER rule_webhook_settings_check BEFORE INSERT OR UPDATE OF retry_schedule, max_concurrency, rate_limit, rate_burst, breaker_failures,
        breaker_failure_pct, breaker_probe_seconds, disable_after_seconds, recovery_probe_seconds, backlog_threshold, response_headers_kept,
        ordering, order_by, order_on_failure, publish_mode,
        signature_profile, auth_type,
        payload_template, content_filter, content_encoding, cloudevents_mode ON rule_webhooks
    FOR EACH ROW EXECUTE FUNCTION rule_webhook_settings_check();
