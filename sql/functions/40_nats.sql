-- RFC-0007: configuration, streams, which webhook publishes where, statistics.
SET search_path TO public, pg_temp;

-- One function serves RFC-0007's four arguments, upstream's six and all else: two overloads with defaults would be ambiguous.
CREATE OR REPLACE FUNCTION rule_nats_configure(
    p_config_name text DEFAULT 'default', p_nats_url text DEFAULT 'nats://localhost:4222', p_auth_type text DEFAULT 'none',
    p_jetstream_enabled boolean DEFAULT true, p_stream_name text DEFAULT NULL, p_subject_prefix text DEFAULT NULL,
    p_nats_cluster_urls text[] DEFAULT NULL, p_auth_token text DEFAULT NULL, p_auth_credentials_file text DEFAULT NULL,
    p_auth_nkey_seed text DEFAULT NULL, p_tls_enabled boolean DEFAULT NULL, p_tls_cert_file text DEFAULT NULL,
    p_tls_key_file text DEFAULT NULL, p_tls_ca_file text DEFAULT NULL, p_max_connections integer DEFAULT NULL,
    p_connection_timeout_ms integer DEFAULT NULL, p_reconnect_delay_ms integer DEFAULT NULL,
    p_max_reconnect_attempts integer DEFAULT NULL, p_enabled boolean DEFAULT NULL)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF coalesce(p_config_name, '') !~ '^[A-Za-z0-9_.-]{1,128}$' THEN
        RAISE EXCEPTION 'Config name must have 1 to 128 characters of [A-Za-z0-9_.-]' USING ERRCODE = '22023';
    ELSIF coalesce(trim(p_nats_url), '') = '' THEN
        RAISE EXCEPTION 'NATS URL cannot be empty' USING ERRCODE = '22023';
    ELSIF p_auth_type IS NULL OR p_auth_type NOT IN ('none', 'token', 'credentials', 'nkey') THEN
        RAISE EXCEPTION 'Invalid auth_type: %. Must be: none, token, credentials, or nkey', p_auth_type USING ERRCODE = '22023';
    END IF;
    -- What the values may be is checked by rule_nats_config_check, whoever writes them. An empty text or array is null in the table.
    INSERT INTO rule_nats_config AS c (
        config_name, nats_url, auth_type, jetstream_enabled, stream_name, subject_prefix, nats_cluster_urls, auth_token, auth_credentials_file,
        auth_nkey_seed, tls_enabled, tls_cert_file, tls_key_file, tls_ca_file, max_connections, connection_timeout_ms, reconnect_delay_ms,
        max_reconnect_attempts, enabled)
    VALUES (
        p_config_name, p_nats_url, p_auth_type, coalesce(p_jetstream_enabled, true), coalesce(p_stream_name, 'WEBHOOKS'),
        coalesce(p_subject_prefix, 'webhooks'), nullif(p_nats_cluster_urls, '{}'), nullif(p_auth_token, ''), nullif(p_auth_credentials_file, ''),
        nullif(p_auth_nkey_seed, ''), coalesce(p_tls_enabled, false), nullif(p_tls_cert_file, ''), nullif(p_tls_key_file, ''),
        nullif(p_tls_ca_file, ''), coalesce(p_max_connections, 10), coalesce(p_connection_timeout_ms, 5000),
        coalesce(p_reconnect_delay_ms, 2000), coalesce(p_max_reconnect_attempts, -1), coalesce(p_enabled, true))
    ON CONFLICT (config_name) DO UPDATE
       SET nats_url = EXCLUDED.nats_url, auth_type = EXCLUDED.auth_type, jetstream_enabled = EXCLUDED.jetstream_enabled,
           stream_name = coalesce(p_stream_name, c.stream_name), subject_prefix = coalesce(p_subject_prefix, c.subject_prefix),
           nats_cluster_urls = CASE WHEN p_nats_cluster_urls IS NULL THEN c.nats_cluster_urls ELSE EXCLUDED.nats_cluster_urls END,
           auth_token = CASE WHEN p_auth_token IS NULL THEN c.auth_token ELSE EXCLUDED.auth_token END,
           auth_credentials_file = CASE WHEN p_auth_credentials_file IS NULL THEN c.auth_credentials_file ELSE EXCLUDED.auth_credentials_file END,
           auth_nkey_seed = CASE WHEN p_auth_nkey_seed IS NULL THEN c.auth_nkey_seed ELSE EXCLUDED.auth_nkey_seed END,
           tls_enabled = coalesce(p_tls_enabled, c.tls_enabled),
           tls_cert_file = CASE WHEN p_tls_cert_file IS NULL THEN c.tls_cert_file ELSE EXCLUDED.tls_cert_file END,
           tls_key_file = CASE WHEN p_tls_key_file IS NULL THEN c.tls_key_file ELSE EXCLUDED.tls_key_file END,
           tls_ca_file = CASE WHEN p_tls_ca_file IS NULL THEN c.tls_ca_file ELSE EXCLUDED.tls_ca_file END,
           max_connections = coalesce(p_max_connections, c.max_connections),
           connection_timeout_ms = coalesce(p_connection_timeout_ms, c.connection_timeout_ms),
           reconnect_delay_ms = coalesce(p_reconnect_delay_ms, c.reconnect_delay_ms),
           max_reconnect_attempts = coalesce(p_max_reconnect_attempts, c.max_reconnect_attempts),
           enabled = coalesce(p_enabled, c.enabled);
    RETURN true;
END $$;
COMMENT ON FUNCTION rule_nats_configure(text, text, text, boolean, text, text, text[], text, text, text, boolean, text, text, text, integer, integer, integer, integer, boolean) IS
'Creates or changes a NATS configuration; running services take it up within 2 seconds of the commit, without loss. From p_stream_name on null keeps what is there (or takes the default for a new one), and an empty text or array clears it. ConnectionStrings__nats, where the services have one, overrides the URL of ''default''; their Messaging:Credentials override token, credentials file and seed. 22023 names a malformed argument.';

CREATE OR REPLACE FUNCTION rule_nats_stream_create(
    p_stream_name text, p_subjects text[], p_config_name text DEFAULT 'default', p_retention_policy text DEFAULT 'limits',
    p_max_age_seconds bigint DEFAULT 604800, p_description text DEFAULT NULL)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_config_id integer;
    v_stream rule_nats_streams%ROWTYPE;
    v_subject text;
    v_other text;
BEGIN
    IF coalesce(p_stream_name, '') = '' THEN
        RAISE EXCEPTION 'Stream name cannot be empty' USING ERRCODE = '22023';
    ELSIF coalesce(cardinality(p_subjects), 0) = 0 THEN
        RAISE EXCEPTION 'Subjects array cannot be empty' USING ERRCODE = '22023';
    ELSIF p_retention_policy IS NULL OR p_retention_policy NOT IN ('limits', 'interest', 'workqueue') THEN
        RAISE EXCEPTION 'Invalid retention_policy: %. Must be: limits, interest, or workqueue', p_retention_policy USING ERRCODE = '22023';
    ELSIF p_max_age_seconds IS NULL OR p_max_age_seconds NOT BETWEEN 0 AND 3153600000 THEN
        RAISE EXCEPTION 'p_max_age_seconds must be 0 (no limit) to 3153600000' USING ERRCODE = '22023';
    ELSIF cardinality(p_subjects) > 64 THEN
        RAISE EXCEPTION 'subjects: more than 64' USING ERRCODE = '54000';
    END IF;
    PERFORM rule_nats_subject_check(s, true) FROM unnest(p_subjects) s;
    SELECT c.config_id INTO v_config_id FROM rule_nats_config c WHERE c.config_name = p_config_name FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'NATS config % not found', p_config_name USING ERRCODE = 'P0002';
    END IF;

    SELECT * INTO v_stream FROM rule_nats_streams s WHERE s.config_id = v_config_id AND s.stream_name = p_stream_name;
    IF FOUND THEN
        FOREACH v_subject IN ARRAY p_subjects LOOP
            IF NOT EXISTS (SELECT FROM unnest(v_stream.subjects) f WHERE rule_nats_subject_covers(f, v_subject)) THEN
                RAISE EXCEPTION 'Stream % exists in NATS config % and does not cover subject %', p_stream_name, p_config_name, v_subject
                    USING ERRCODE = '23505', DETAIL = format('Its subjects are %s.', v_stream.subjects);
            END IF;
        END LOOP;
        RAISE NOTICE 'Stream % exists in NATS config % and covers the request', p_stream_name, p_config_name;
        IF NOT (v_stream.subjects @> p_subjects AND p_subjects @> v_stream.subjects) THEN
            RAISE NOTICE 'subjects % kept, % asked for', v_stream.subjects, p_subjects;
        END IF;
        IF v_stream.retention_policy IS DISTINCT FROM p_retention_policy THEN
            RAISE NOTICE 'retention_policy % kept, % asked for', v_stream.retention_policy, p_retention_policy;
        END IF;
        IF v_stream.max_age_seconds IS DISTINCT FROM p_max_age_seconds THEN
            RAISE NOTICE 'max_age_seconds % kept, % asked for', v_stream.max_age_seconds, p_max_age_seconds;
        END IF;
        IF p_description IS NOT NULL AND v_stream.description IS DISTINCT FROM p_description THEN
            RAISE NOTICE 'description kept, another asked for';
        END IF;
        RETURN v_stream.stream_id;
    END IF;

    -- JetStream refuses a stream whose subjects overlap another's (error 10065): say so here, where it can be corrected.
    SELECT s.stream_name INTO v_other
      FROM rule_nats_streams s, unnest(s.subjects) f, unnest(p_subjects) q
     WHERE s.config_id = v_config_id AND s.enabled AND rule_nats_subjects_overlap(f, q) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'subjects overlap with those of stream %', v_other USING ERRCODE = '55000';
    END IF;
    INSERT INTO rule_nats_streams (config_id, stream_name, subjects, retention_policy, max_age_seconds, description, discard_policy, max_messages, max_bytes)
    VALUES (v_config_id, p_stream_name, p_subjects, p_retention_policy, p_max_age_seconds, p_description, 'new', -1, -1)
    RETURNING * INTO v_stream;
    RETURN v_stream.stream_id;
END $$;
COMMENT ON FUNCTION rule_nats_stream_create(text, text[], text, text, bigint, text) IS
'Defines a JetStream stream (the stream provisioner creates it on the server) and returns its stream_id. A definition that exists and covers the subjects is returned as it is; what differs from the request is reported as NOTICE. New ones discard new messages when full, never undelivered ones.';

CREATE OR REPLACE FUNCTION rule_webhook_enable_nats(
    p_webhook_id integer, p_nats_subject text DEFAULT NULL, p_publish_mode text DEFAULT 'both', p_config_name text DEFAULT 'default')
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_config rule_nats_config%ROWTYPE;
    v_name text;
    v_subject text := p_nats_subject;
BEGIN
    IF p_publish_mode IS NULL OR p_publish_mode NOT IN ('queue', 'nats', 'both') THEN
        RAISE EXCEPTION 'Invalid publish_mode: %. Must be: queue, nats, or both', p_publish_mode USING ERRCODE = '22023';
    END IF;
    SELECT * INTO v_config FROM rule_nats_config c WHERE c.config_name = p_config_name AND c.enabled;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'NATS config % not found or disabled', p_config_name USING ERRCODE = 'P0002';
    END IF;
    SELECT w.webhook_name INTO v_name FROM rule_webhooks w WHERE w.webhook_id = p_webhook_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Webhook % not found', p_webhook_id USING ERRCODE = 'P0002';
    END IF;
    IF v_subject IS NULL THEN
        v_subject := concat_ws('.', nullif(v_config.subject_prefix, ''), v_name);
        BEGIN
            PERFORM rule_nats_subject_check(v_subject);
        EXCEPTION WHEN invalid_parameter_value THEN
            RAISE EXCEPTION 'The webhook''s name makes no subject (%); give p_nats_subject', SQLERRM USING ERRCODE = '22023';
        END;
    ELSE
        PERFORM rule_nats_subject_check(v_subject);
    END IF;
    IF NOT EXISTS (SELECT FROM rule_nats_streams s, unnest(s.subjects) f
                    WHERE s.config_id = v_config.config_id AND s.enabled AND rule_nats_subject_covers(f, v_subject)) THEN
        RAISE WARNING 'No stream of NATS config % covers subject %: events stay pending until one does', p_config_name, v_subject;
    END IF;
    UPDATE rule_webhooks w
       SET nats_enabled = true, nats_subject = v_subject, nats_config_id = v_config.config_id, publish_mode = p_publish_mode
     WHERE w.webhook_id = p_webhook_id;
    RETURN true;
END $$;
COMMENT ON FUNCTION rule_webhook_enable_nats(integer, text, text, text) IS
'Lets a webhook publish to NATS. Without a subject it is <subject_prefix of the configuration>.<webhook_name>, if that is a valid subject. Warns when no stream covers it.';

CREATE OR REPLACE FUNCTION rule_webhook_disable_nats(p_webhook_id integer)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE rule_webhooks w SET nats_enabled = false, publish_mode = 'queue' WHERE w.webhook_id = p_webhook_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Webhook % not found', p_webhook_id USING ERRCODE = 'P0002';
    END IF;
    RETURN true;
END $$;
COMMENT ON FUNCTION rule_webhook_disable_nats(integer) IS 'Back to the PostgreSQL queue; subject and configuration are kept. Events already pending are still published to their subject, for whoever listens there; this webhook no longer does, and those that are to reach it should be stored and delivered first (rule_nats_stats shows what is pending).';

CREATE OR REPLACE FUNCTION rule_nats_redact_url(p_url text)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT regexp_replace(p_url, '://[^/@]*@', '://***@', 'g') $$;
COMMENT ON FUNCTION rule_nats_redact_url(text) IS 'A NATS URL without user and password.';

CREATE OR REPLACE FUNCTION rule_nats_service_report(p_service text, p_instance text, p_reports jsonb)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF p_service IS NULL OR p_service !~ '^[A-Za-z0-9_.-]{1,128}$' THEN
        RAISE EXCEPTION 'p_service: must have 1 to 128 characters of [A-Za-z0-9_.-]' USING ERRCODE = '22023';
    ELSIF coalesce(p_instance, '') = '' OR length(p_instance) > 255 THEN
        RAISE EXCEPTION 'p_instance: must have 1 to 255 characters' USING ERRCODE = '22023';
    ELSIF p_reports IS NULL OR jsonb_typeof(p_reports) <> 'array' THEN
        RAISE EXCEPTION 'p_reports: must be a JSON array' USING ERRCODE = '22023';
    END IF;
    -- Rows of configurations that it no longer uses, and those of instances that are gone; another may be deleting the same.
    DELETE FROM rule_nats_service_reports d
     WHERE d.ctid = ANY (ARRAY(
        SELECT r.ctid FROM rule_nats_service_reports r
         WHERE (r.service_name = p_service AND r.instance_id = p_instance
                AND NOT EXISTS (SELECT FROM jsonb_array_elements(p_reports) e WHERE e ->> 'config_name' = r.config_name))
            OR r.reported_at < clock_timestamp() - interval '30 seconds'
           FOR UPDATE SKIP LOCKED));
    INSERT INTO rule_nats_service_reports AS r (
        service_name, instance_id, config_name, connected, nats_url, server_id, server_name, server_version, total_connections, healthy_connections,
        requests_served, config_updated_at, loaded_at, error, reported_at)
    SELECT p_service, p_instance, n.config_name, n.connected, rule_nats_redact_url(n.nats_url), n.server_id, n.server_name, n.server_version,
           n.total_connections, n.healthy_connections, n.requests_served, n.config_updated_at, n.loaded_at, rule_nats_redact_url(n.error),
           clock_timestamp()
      FROM jsonb_populate_recordset(NULL::rule_nats_service_reports, p_reports) n
    ON CONFLICT (service_name, instance_id, config_name) DO UPDATE
       SET (connected, nats_url, server_id, server_name, server_version, total_connections, healthy_connections, requests_served, config_updated_at,
            loaded_at, error, reported_at)
         = (EXCLUDED.connected, EXCLUDED.nats_url, EXCLUDED.server_id, EXCLUDED.server_name, EXCLUDED.server_version, EXCLUDED.total_connections,
            EXCLUDED.healthy_connections, EXCLUDED.requests_served, EXCLUDED.config_updated_at, EXCLUDED.loaded_at, EXCLUDED.error,
            EXCLUDED.reported_at);
END $$;
COMMENT ON FUNCTION rule_nats_service_report(text, text, jsonb) IS
'A service''s report of what it sees of NATS: an array of rows of rule_nats_service_reports, one for each configuration it uses, in place of its last report; an empty one when it ends. Forgets reports older than 30 seconds, whoever wrote them.';

CREATE OR REPLACE FUNCTION rule_nats_service_states(p_config_name text)
RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
               'service', r.service_name, 'instance', r.instance_id, 'connected', r.connected, 'nats_url', r.nats_url, 'server_id', r.server_id,
               'server_name', r.server_name, 'server_version', r.server_version, 'total_connections', r.total_connections,
               'healthy_connections', r.healthy_connections, 'requests_served', r.requests_served,
               'current', r.config_updated_at IS NOT DISTINCT FROM c.updated_at, 'config_updated_at', r.config_updated_at,
               'loaded_at', r.loaded_at, 'reported_at', r.reported_at, 'error', r.error) ORDER BY r.service_name, r.instance_id), '[]')
      FROM rule_nats_service_reports r LEFT JOIN rule_nats_config c ON c.config_name = r.config_name
     WHERE r.config_name = p_config_name AND r.reported_at >= clock_timestamp() - interval '30 seconds'
$$;
COMMENT ON FUNCTION rule_nats_service_states(text) IS
'The newest report of each running service about a NATS configuration, as a JSON array; empty when none has reported within 30 seconds. "current" says whether the service works with the configuration as it is in the table.';

CREATE OR REPLACE FUNCTION rule_nats_health_check(config_name text DEFAULT 'default')
RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_services jsonb := rule_nats_service_states(config_name);
    v_total bigint;
    v_healthy bigint;
    v_served bigint;
BEGIN
    SELECT sum((s ->> 'total_connections')::integer), sum((s ->> 'healthy_connections')::integer), sum((s ->> 'requests_served')::bigint)
      INTO v_total, v_healthy, v_served
      FROM jsonb_array_elements(v_services) s WHERE s ->> 'service' = 'PublishService';
    IF v_total IS NULL THEN
        RETURN jsonb_build_object('success', false, 'config', config_name, 'connected', false,
            'message', 'No PublishService has reported about this configuration within 30 seconds', 'services', v_services);
    END IF;
    RETURN jsonb_build_object('success', true, 'config', config_name, 'connected', v_healthy > 0,
        'pool_stats', jsonb_build_object('total_connections', v_total, 'healthy_connections', v_healthy,
            'health_percentage', CASE WHEN v_total = 0 THEN 0 ELSE round(100.0 * v_healthy / v_total, 2) END, 'requests_served', v_served),
        'jetstream_enabled', (SELECT c.jetstream_enabled FROM rule_nats_config c WHERE c.config_name = rule_nats_health_check.config_name),
        'services', v_services);
END $$;
COMMENT ON FUNCTION rule_nats_health_check(text) IS
'What the running services see of a NATS configuration. pool_stats sums PublishService''s own reports over its instances; "services" has every service''s. success is false when no PublishService has reported within 30 seconds, also for a configuration that does not exist; nothing is raised.';

CREATE OR REPLACE FUNCTION rule_nats_test_connection(p_config_name text DEFAULT 'default')
RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_config rule_nats_config%ROWTYPE;
    v_services jsonb;
    v_connected integer;
BEGIN
    SELECT * INTO v_config FROM rule_nats_config c WHERE c.config_name = p_config_name AND c.enabled;
    IF NOT FOUND THEN
        RETURN json_build_object('success', false, 'message', 'Configuration not found or disabled');
    END IF;
    v_services := rule_nats_service_states(p_config_name);
    v_connected := (SELECT count(*) FROM jsonb_array_elements(v_services) s WHERE (s ->> 'connected')::boolean);
    RETURN json_build_object(
        'success', v_connected > 0 AND v_connected = jsonb_array_length(v_services),
        'message', CASE WHEN v_services = '[]' THEN 'No service has reported about this configuration within 30 seconds'
                        ELSE format('%s of %s services are connected', v_connected, jsonb_array_length(v_services)) END,
        'config', json_build_object('name', v_config.config_name, 'url', rule_nats_redact_url(v_config.nats_url), 'jetstream', v_config.jetstream_enabled),
        'services', v_services);
END $$;
COMMENT ON FUNCTION rule_nats_test_connection(text) IS
'Whether all running services are connected with an enabled NATS configuration, by their own reports; "services" says for each whether it is, to which server, and the error. Only reads: a change shows within 2 seconds of its commit.';

CREATE OR REPLACE FUNCTION rule_nats_init(config_name text DEFAULT 'default')
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_config rule_nats_config%ROWTYPE;
BEGIN
    SELECT * INTO v_config FROM rule_nats_config c WHERE c.config_name = rule_nats_init.config_name AND c.enabled;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'NATS configuration not found or disabled' USING ERRCODE = 'P0002';
    END IF;
    PERFORM pg_notify('rule_config_changed', 'rule_nats_config');
    RETURN jsonb_build_object('success', true, 'config', v_config.config_name,
        'message', format('NATS connection initialized for config ''%s''', v_config.config_name),
        'nats_url', rule_nats_redact_url(v_config.nats_url), 'jetstream_enabled', v_config.jetstream_enabled, 'stream_name', v_config.stream_name,
        'services', rule_nats_service_states(v_config.config_name));
END $$;
COMMENT ON FUNCTION rule_nats_init(text) IS
'Asks all services to read a NATS configuration again at commit, and to try again where they had given up. The connections belong to the services, not to this session. "services" is what they reported before: a function cannot wait for its own commit. rule_nats_health_check shows the result 2 seconds later.';

CREATE OR REPLACE FUNCTION rule_nats_config_info(p_config_name text DEFAULT 'default')
RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_config rule_nats_config%ROWTYPE;
    v_effective jsonb;
BEGIN
    SELECT * INTO v_config FROM rule_nats_config c WHERE c.config_name = p_config_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'NATS config % not found', p_config_name USING ERRCODE = 'P0002';
    END IF;
    SELECT jsonb_agg(DISTINCT s ->> 'nats_url') INTO v_effective FROM jsonb_array_elements(rule_nats_service_states(p_config_name)) s;
    RETURN json_build_object('config_id', v_config.config_id, 'config_name', v_config.config_name,
        'nats_url', rule_nats_redact_url(v_config.nats_url),
        'nats_cluster_urls', (SELECT coalesce(json_agg(rule_nats_redact_url(u)), '[]') FROM unnest(v_config.nats_cluster_urls) u),
        'effective_urls', v_effective,
        'auth_type', v_config.auth_type, 'auth_token_set', v_config.auth_token IS NOT NULL, 'auth_credentials_file', v_config.auth_credentials_file,
        'auth_nkey_seed_set', v_config.auth_nkey_seed IS NOT NULL,
        'tls_enabled', v_config.tls_enabled, 'tls_cert_file', v_config.tls_cert_file, 'tls_key_file', v_config.tls_key_file,
        'tls_ca_file', v_config.tls_ca_file, 'jetstream_enabled', v_config.jetstream_enabled,
        'stream_name', v_config.stream_name, 'subject_prefix', v_config.subject_prefix, 'max_connections', v_config.max_connections,
        'connection_timeout_ms', v_config.connection_timeout_ms, 'reconnect_delay_ms', v_config.reconnect_delay_ms,
        'max_reconnect_attempts', v_config.max_reconnect_attempts, 'enabled', v_config.enabled,
        'created_at', v_config.created_at, 'updated_at', v_config.updated_at);
END $$;
COMMENT ON FUNCTION rule_nats_config_info(text) IS
'A NATS configuration without its secrets, of which it says only whether they are set. nats_url is the table''s; effective_urls are those that the running services report to use: ConnectionStrings__nats, where a service has one, overrides the URL of ''default''. Null when none has reported.';

CREATE OR REPLACE FUNCTION rule_nats_stats(p_webhook_id integer DEFAULT NULL, p_hours integer DEFAULT 24)
RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_stats json;
BEGIN
    IF p_hours IS NULL OR p_hours NOT BETWEEN 1 AND 8760 THEN
        RAISE EXCEPTION 'p_hours must be 1..8760' USING ERRCODE = '22023';
    END IF;
    SELECT json_build_object(
        'total_published', count(*),
        'successful', count(*) FILTER (WHERE h.state = 'stored'),
        'failed', count(*) FILTER (WHERE h.state = 'refused'),
        'pending', count(*) FILTER (WHERE h.state = 'pending'),
        'success_rate_pct', round(100.0 * count(*) FILTER (WHERE h.state = 'stored') / nullif(count(*) FILTER (WHERE h.state <> 'pending'), 0), 2),
        'avg_latency_ms', round(avg(h.latency_ms), 2),
        'min_latency_ms', min(h.latency_ms),
        'max_latency_ms', max(h.latency_ms),
        'p50_latency_ms', percentile_cont(0.5) WITHIN GROUP (ORDER BY h.latency_ms),
        'p95_latency_ms', percentile_cont(0.95) WITHIN GROUP (ORDER BY h.latency_ms),
        'p99_latency_ms', percentile_cont(0.99) WITHIN GROUP (ORDER BY h.latency_ms),
        'unique_subjects', count(DISTINCT h.subject),
        'time_range_hours', p_hours,
        'period_start', now() - make_interval(hours => p_hours),
        'period_end', now())
      INTO v_stats
      FROM rule_nats_publish_history h
     WHERE (p_webhook_id IS NULL OR h.webhook_id = p_webhook_id)
       AND h.published_at >= now() - make_interval(hours => p_hours);
    RETURN v_stats;
END $$;
COMMENT ON FUNCTION rule_nats_stats(integer, integer) IS
'Publish statistics of one webhook or of all, over the last 1 to 8,760 hours. total_published counts pending rows too; success_rate_pct is of the finished ones, null when there are none.';

CREATE OR REPLACE FUNCTION rule_nats_webhooks_list()
RETURNS TABLE (webhook_id integer, webhook_name text, nats_subject text, publish_mode text, config_name text, total_published bigint, success_rate numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT w.webhook_id, w.webhook_name, w.nats_subject, w.publish_mode, coalesce(c.config_name, 'default'), s.total_published, s.success_rate_pct
      FROM rule_webhooks w
      JOIN nats_publish_summary s ON s.webhook_id = w.webhook_id
      LEFT JOIN rule_nats_config c ON c.config_id = w.nats_config_id
     ORDER BY w.webhook_name
$$;
COMMENT ON FUNCTION rule_nats_webhooks_list() IS
'The NATS-enabled webhooks by name, with the number of events the history has of each (pending ones too) and the share of the finished ones that was stored: success_rate is null while none is.';

-- What the two cleanup functions share. One pass over what is old, deleted in batches of 5,000.
CREATE OR REPLACE FUNCTION rule_nats_history_delete(p_published_before timestamptz, p_expired_before timestamptz, p_keep_failed boolean)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    c_batch constant integer := 5000;
    v_old refcursor;
    v_ids bigint[] := '{}';
    v_id bigint;
    v_batch integer;
    v_removed bigint := 0;
BEGIN
    OPEN v_old FOR
        SELECT h.publish_id FROM rule_nats_publish_history h
         WHERE h.published_at < p_published_before AND h.expires_at < p_expired_before
           AND (h.state = 'stored' OR (h.state = 'refused' AND NOT p_keep_failed))
           -- The reconciler may still have to publish it again.
           AND (h.stored_at IS NULL OR h.stored_at < clock_timestamp() - interval '10 minutes');
    LOOP
        FETCH v_old INTO v_id;
        IF FOUND THEN
            v_ids := v_ids || v_id;
        END IF;
        IF cardinality(v_ids) = c_batch OR (v_id IS NULL AND v_ids <> '{}') THEN
            DELETE FROM rule_nats_publish_history h
             WHERE h.publish_id = ANY (ARRAY(
                SELECT l.publish_id FROM rule_nats_publish_history l WHERE l.publish_id = ANY (v_ids) AND l.state <> 'pending' FOR UPDATE SKIP LOCKED));
            GET DIAGNOSTICS v_batch = ROW_COUNT;
            v_removed := v_removed + v_batch;
            v_ids := '{}';
        END IF;
        EXIT WHEN v_id IS NULL;
    END LOOP;
    CLOSE v_old;
    RETURN v_removed;
END $$;
COMMENT ON FUNCTION rule_nats_history_delete(timestamptz, timestamptz, boolean) IS
'Internal: deletes finished events of before both times, in batches of 5,000. Never pending ones, nor what was stored in the last 10 minutes.';

CREATE OR REPLACE FUNCTION rule_nats_cleanup_expired()
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN rule_nats_history_delete('infinity', now(), false);
END $$;
COMMENT ON FUNCTION rule_nats_cleanup_expired() IS
'Deletes finished events whose expires_at is over, in batches of 5,000, and returns how many. Never a pending one. Nobody has to call it: rule_nats_history_maintain drops partitions that have expired as a whole.';

CREATE OR REPLACE FUNCTION rule_nats_cleanup_old_history(p_older_than interval DEFAULT '30 days', p_keep_failed boolean DEFAULT true)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF p_older_than IS NULL OR p_older_than < interval '0' THEN
        RAISE EXCEPTION 'p_older_than: must be 0 or longer' USING ERRCODE = '22023';
    END IF;
    RETURN rule_nats_history_delete(now() - p_older_than, 'infinity', coalesce(p_keep_failed, true));
END $$;
COMMENT ON FUNCTION rule_nats_cleanup_old_history(interval, boolean) IS
'Deletes events published longer ago than p_older_than, refused ones only with p_keep_failed => false, in batches of 5,000, and returns how many. Never a pending one, nor what was stored in the last 10 minutes.';

CREATE OR REPLACE FUNCTION rule_nats_consumer_update_stats(
    p_stream_name text, p_consumer_name text, p_messages_delivered bigint, p_messages_acknowledged bigint, p_messages_pending bigint,
    p_avg_processing_time_ms numeric DEFAULT NULL, p_queue_group text DEFAULT NULL, p_ack_policy text DEFAULT NULL, p_max_deliver integer DEFAULT NULL,
    p_messages_redelivered bigint DEFAULT NULL, p_active boolean DEFAULT true)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO rule_nats_consumer_stats AS s (stream_name, consumer_name, messages_delivered, messages_acknowledged, messages_pending,
                                               avg_processing_time_ms, queue_group, ack_policy, max_deliver, messages_redelivered, active, last_active_at)
    VALUES (p_stream_name, p_consumer_name, p_messages_delivered, p_messages_acknowledged, p_messages_pending, p_avg_processing_time_ms,
            p_queue_group, p_ack_policy, p_max_deliver, coalesce(p_messages_redelivered, 0), coalesce(p_active, true), clock_timestamp())
    ON CONFLICT (stream_name, consumer_name) DO UPDATE
       SET messages_delivered = EXCLUDED.messages_delivered, messages_acknowledged = EXCLUDED.messages_acknowledged,
           messages_pending = EXCLUDED.messages_pending, avg_processing_time_ms = coalesce(EXCLUDED.avg_processing_time_ms, s.avg_processing_time_ms),
           queue_group = coalesce(EXCLUDED.queue_group, s.queue_group), ack_policy = coalesce(EXCLUDED.ack_policy, s.ack_policy),
           max_deliver = coalesce(EXCLUDED.max_deliver, s.max_deliver), messages_redelivered = coalesce(p_messages_redelivered, s.messages_redelivered),
           last_active_at = EXCLUDED.last_active_at, active = EXCLUDED.active, updated_at = clock_timestamp();
    RETURN true;
END $$;
COMMENT ON FUNCTION rule_nats_consumer_update_stats(text, text, bigint, bigint, bigint, numeric, text, text, integer, bigint, boolean) IS
'A worker''s report about itself: absolute counts, the average in milliseconds. A null average, queue group, ack policy, max_deliver or redelivered count keeps the last one; p_active = false says that the worker has stopped.';
