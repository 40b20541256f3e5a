-- How deliveries to each webhook go, over all workers: circuit breaker, rate limit, switching off and on, and the events that say so.
SET search_path TO public, pg_temp;

CREATE OR REPLACE FUNCTION rule_webhook_event(p_webhook_id integer, p_type text, p_data jsonb)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_config rule_nats_config%ROWTYPE;
    v_payload jsonb;
    v_publish_id bigint;
BEGIN
    SELECT * INTO v_config FROM rule_nats_config c WHERE c.config_name = 'default' AND c.enabled AND c.jetstream_enabled;
    IF NOT FOUND THEN
        RETURN; -- A shop that has only the queue has nobody to tell.
    END IF;
    v_payload := jsonb_build_object('type', 'webhooks.' || p_type, 'timestamp', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'data', jsonb_build_object('webhook_id', p_webhook_id, 'webhook_name', (SELECT w.webhook_name FROM rule_webhooks w WHERE w.webhook_id = p_webhook_id)) || p_data);
    -- As in rule_nats_accept_event: the transaction id first.
    v_publish_id := nextval(CASE WHEN pg_current_xact_id() IS NOT NULL THEN 'rule_nats_publish_history_publish_id_seq'::regclass END);
    INSERT INTO rule_nats_publish_history (publish_id, subject, payload, triggered_by, stream_name, body_sha256, nats_msg_id, config_id)
    SELECT v_publish_id, 'events.webhooks.' || p_type, v_payload, 'delivery', v_config.stream_name, sha256(convert_to(v_payload::text, 'UTF8')),
           'p' || left(md5(s.database_id || current_database()), 12) || '_' || v_publish_id, v_config.config_id
      FROM rule_nats_relay_state s WHERE s.relay_name = 'default';
END $$;
COMMENT ON FUNCTION rule_webhook_event(integer, text, jsonb) IS
'Internal: publishes {"type":"webhooks.<type>","timestamp":…,"data":{"webhook_id":…,"webhook_name":…,…}} on events.webhooks.<type> with the commit: disabled, recovered, dead_lettered, backlog.';

CREATE OR REPLACE FUNCTION rule_webhook_disable(p_webhook_id integer, p_reason text, p_by text DEFAULT 'user')
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF coalesce(p_by, '') NOT IN ('user', '410', 'failures') THEN
        RAISE EXCEPTION 'p_by: must be user, 410 or failures' USING ERRCODE = '22023';
    END IF;
    UPDATE rule_webhooks w SET enabled = false, disabled_at = clock_timestamp(), disabled_reason = left(p_reason, 500), disabled_by = p_by
     WHERE w.webhook_id = p_webhook_id AND w.enabled;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION rule_webhook_disable(integer, text, text) IS
'Switches an endpoint off with the reason. p_by: user; 410, the receiver is gone; failures, which the workers undo when a probe succeeds. Calls that are due wait until it is on again. False when it was off or is gone.';

CREATE OR REPLACE FUNCTION rule_webhooks_switched() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.enabled THEN
        UPDATE rule_webhook_health h
           SET circuit = 'closed', opened_at = NULL, next_probe_at = NULL, reason = NULL, consecutive_failures = 0, failing_since = NULL
         WHERE h.webhook_id = NEW.webhook_id;
        IF OLD.disabled_by = 'failures' THEN
            PERFORM rule_webhook_event(NEW.webhook_id, 'recovered', jsonb_build_object('url', NEW.url, 'disabled_at', OLD.disabled_at));
        END IF;
    ELSE
        IF NEW.disabled_by = 'failures' THEN
            UPDATE rule_webhook_health h SET next_probe_at = clock_timestamp() + NEW.recovery_probe_seconds * interval '1 second' WHERE h.webhook_id = NEW.webhook_id;
        END IF;
        PERFORM rule_webhook_event(NEW.webhook_id, 'disabled', jsonb_build_object('url', NEW.url, 'by', NEW.disabled_by, 'reason', NEW.disabled_reason));
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION rule_webhooks_switched() IS 'A webhook that is switched on begins with a closed circuit; one that is switched off says so on events.webhooks.disabled.';
CREATE OR REPLACE TRIGGER rule_webhooks_switched AFTER UPDATE OF enabled ON rule_webhooks
    FOR EACH ROW WHEN (OLD.enabled IS DISTINCT FROM NEW.enabled) EXECUTE FUNCTION rule_webhooks_switched();

CREATE OR REPLACE FUNCTION rule_webhook_calls_dead() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM rule_webhook_event(NEW.webhook_id, 'dead_lettered', jsonb_build_object('call_id', NEW.call_id, 'event_id', NEW.event_id, 'subject', NEW.subject,
        'attempts', NEW.attempts, 'response_status', NEW.response_status, 'error', NEW.error_message));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION rule_webhook_calls_dead() IS 'Says on events.webhooks.dead_lettered that a call is given up. Not of a call whose own event was of that kind: an endpoint that fails would feed itself.';
CREATE OR REPLACE TRIGGER rule_webhook_calls_dead_at_once AFTER INSERT ON rule_webhook_calls
    FOR EACH ROW WHEN (NEW.status = 'failed' AND coalesce(NEW.subject, '') NOT LIKE 'events.webhooks.%') EXECUTE FUNCTION rule_webhook_calls_dead();
CREATE OR REPLACE TRIGGER rule_webhook_calls_dead AFTER UPDATE OF status ON rule_webhook_calls
    FOR EACH ROW WHEN (NEW.status = 'failed' AND OLD.status <> 'failed' AND coalesce(NEW.subject, '') NOT LIKE 'events.webhooks.%'
                       AND coalesce(NEW.error_message, '') NOT LIKE 'Webhook deleted%')
    EXECUTE FUNCTION rule_webhook_calls_dead();

CREATE OR REPLACE FUNCTION rule_webhook_record_outcomes(
    p_webhook_ids integer[], p_succeeded boolean[], p_failures integer[], p_trip boolean[], p_gone boolean[], p_errors text[])
RETURNS TABLE (webhook_id integer, circuit text, consecutive_failures bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_news record;
    v_webhook rule_webhooks%ROWTYPE;
    v_health rule_webhook_health%ROWTYPE;
    v_now timestamptz := clock_timestamp();
BEGIN
    -- In one order, or two workers would wait for each other.
    FOR v_news IN SELECT * FROM unnest(p_webhook_ids, p_succeeded, p_failures, p_trip, p_gone, p_errors) AS n(id, succeeded, failures, trip, gone, error) ORDER BY n.id
    LOOP
        SELECT * INTO v_webhook FROM rule_webhooks w WHERE w.webhook_id = v_news.id;
        CONTINUE WHEN NOT FOUND;
        INSERT INTO rule_webhook_health AS h (webhook_id, consecutive_failures, failing_since, last_success_at, last_failure_at, reason)
        VALUES (v_news.id, v_news.failures, CASE WHEN v_news.failures > 0 THEN v_now END, CASE WHEN v_news.succeeded THEN v_now END,
                CASE WHEN v_news.failures > 0 THEN v_now END, left(v_news.error, 500))
        ON CONFLICT ON CONSTRAINT rule_webhook_health_pkey DO UPDATE
           SET consecutive_failures = v_news.failures + CASE WHEN v_news.succeeded THEN 0 ELSE h.consecutive_failures END,
               failing_since = CASE WHEN v_news.failures = 0 THEN CASE WHEN NOT v_news.succeeded THEN h.failing_since END
                                    WHEN v_news.succeeded THEN v_now ELSE coalesce(h.failing_since, v_now) END,
               last_success_at = coalesce(EXCLUDED.last_success_at, h.last_success_at), last_failure_at = coalesce(EXCLUDED.last_failure_at, h.last_failure_at),
               reason = coalesce(EXCLUDED.reason, h.reason)
        RETURNING * INTO v_health;
        IF v_news.gone THEN
            PERFORM rule_webhook_disable(v_news.id, v_news.error, '410');
        ELSIF v_news.succeeded AND v_health.consecutive_failures = 0 AND v_webhook.disabled_by = 'failures' THEN
            UPDATE rule_webhooks w SET enabled = true WHERE w.webhook_id = v_news.id;
        ELSIF v_news.succeeded AND v_health.consecutive_failures = 0 AND v_health.circuit = 'open' THEN
            UPDATE rule_webhook_health h SET circuit = 'closed', opened_at = NULL, next_probe_at = NULL, reason = NULL WHERE h.webhook_id = v_news.id;
        ELSIF v_health.circuit = 'closed' AND v_webhook.breaker_failures > 0 AND (v_news.trip OR v_health.consecutive_failures >= v_webhook.breaker_failures) THEN
            UPDATE rule_webhook_health h
               SET circuit = 'open', opened_at = v_now, next_probe_at = v_now + v_webhook.breaker_probe_seconds * interval '1 second'
             WHERE h.webhook_id = v_news.id;
        END IF;
        IF v_webhook.enabled AND v_health.consecutive_failures >= 20 AND v_health.failing_since <= v_now - v_webhook.disable_after_seconds * interval '1 second' THEN
            PERFORM rule_webhook_disable(v_news.id, format('%s failures and nothing else since %s; the last: %s', v_health.consecutive_failures, v_health.failing_since,
                coalesce(v_health.reason, 'unknown')), 'failures');
        END IF;
    END LOOP;
    RETURN QUERY SELECT h.webhook_id, h.circuit, h.consecutive_failures FROM rule_webhook_health h WHERE h.webhook_id = ANY (p_webhook_ids);
END $$;
COMMENT ON FUNCTION rule_webhook_record_outcomes(integer[], boolean[], integer[], boolean[], boolean[], text[]) IS
'What a worker''s attempts came to, one entry for each webhook: whether one succeeded, the failures after that, whether the share of failures trips the breaker, whether it answered 410, the last error. Opens and closes circuits and switches webhooks off and on; returns the state after.';

CREATE OR REPLACE FUNCTION rule_webhook_take_probes(p_webhook_ids integer[])
RETURNS SETOF integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_taken integer[];
BEGIN
    WITH due AS (
        SELECT h.webhook_id FROM rule_webhook_health h JOIN rule_webhooks w USING (webhook_id)
         WHERE h.webhook_id = ANY (p_webhook_ids) AND h.next_probe_at <= clock_timestamp()
           AND (h.circuit = 'open' OR (w.disabled_by = 'failures' AND w.recovery_probe_seconds IS NOT NULL))
           FOR UPDATE OF h SKIP LOCKED),
    taken AS (
        UPDATE rule_webhook_health h
           SET next_probe_at = clock_timestamp() + CASE WHEN w.enabled THEN w.breaker_probe_seconds ELSE w.recovery_probe_seconds END * interval '1 second'
          FROM due JOIN rule_webhooks w USING (webhook_id) WHERE h.webhook_id = due.webhook_id
        RETURNING h.webhook_id, w.enabled)
    SELECT array_agg(t.webhook_id) INTO v_taken FROM taken t;
    -- A webhook that is off may have nothing left to try but what was given up.
    UPDATE rule_webhook_calls c SET status = 'pending', scheduled_at = clock_timestamp(), completed_at = NULL, next_retry_at = NULL
      FROM unnest(v_taken) t(webhook_id) JOIN rule_webhooks w USING (webhook_id)
     WHERE NOT w.enabled AND NOT EXISTS (SELECT FROM rule_webhook_calls d WHERE d.webhook_id = t.webhook_id AND d.due_at <= now())
       AND c.call_id = (SELECT f.call_id FROM rule_webhook_calls f WHERE f.webhook_id = t.webhook_id AND f.status IN ('failed', 'retrying') ORDER BY f.created_at DESC LIMIT 1);
    RETURN QUERY SELECT unnest(v_taken);
END $$;
COMMENT ON FUNCTION rule_webhook_take_probes(integer[]) IS
'Of webhooks with an open circuit, or that failures have switched off: those whose time for one attempt has come, to one worker each. The next time is set at once.';

CREATE OR REPLACE FUNCTION rule_webhook_take_tokens(p_webhook_id integer, p_wanted integer, OUT granted integer, OUT wait_ms double precision)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_rate double precision;
    v_burst double precision;
    v_tokens double precision;
    v_now timestamptz := clock_timestamp();
BEGIN
    SELECT w.rate_limit, coalesce(w.rate_burst, greatest(1, ceil(w.rate_limit))) INTO v_rate, v_burst FROM rule_webhooks w WHERE w.webhook_id = p_webhook_id;
    IF v_rate IS NULL THEN
        granted := p_wanted;
        wait_ms := 0;
        RETURN;
    END IF;
    INSERT INTO rule_webhook_health AS h (webhook_id, tokens, tokens_at) VALUES (p_webhook_id, v_burst, v_now)
    ON CONFLICT (webhook_id) DO UPDATE
       SET tokens = least(v_burst, coalesce(h.tokens, v_burst) + greatest(0, extract(epoch FROM v_now - coalesce(h.tokens_at, v_now))) * v_rate), tokens_at = greatest(v_now, h.tokens_at)
    RETURNING h.tokens INTO v_tokens;
    granted := least(p_wanted, floor(v_tokens));
    wait_ms := greatest(0, 1 - (v_tokens - granted)) / v_rate * 1000;
    UPDATE rule_webhook_health h SET tokens = h.tokens - granted WHERE h.webhook_id = p_webhook_id AND granted > 0;
END $$;
COMMENT ON FUNCTION rule_webhook_take_tokens(integer, integer) IS
'Takes up to p_wanted attempts from the rate limit that all workers share. granted: how many may be made now; wait_ms: when the next one may. Without a rate limit all of them.';

CREATE OR REPLACE FUNCTION rule_webhook_close_circuit(p_webhook_id integer)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE rule_webhook_health h SET circuit = 'closed', opened_at = NULL, next_probe_at = NULL, reason = NULL, consecutive_failures = 0, failing_since = NULL
     WHERE h.webhook_id = p_webhook_id AND h.circuit = 'open';
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION rule_webhook_close_circuit(integer) IS 'Closes a webhook''s circuit without waiting for the probe; workers follow within 2 seconds. False when it is not open.';

CREATE OR REPLACE FUNCTION rule_webhook_check_backlogs()
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_found record;
    v_crossed integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('rule_webhook_check_backlogs', 0)) THEN
        RETURN 0; -- Another worker counts.
    END IF;
    FOR v_found IN
        SELECT w.webhook_id, w.backlog_threshold AS threshold, h.backlog_since IS NOT NULL AS above,
               (SELECT count(*) FROM (SELECT FROM rule_webhook_calls c WHERE c.webhook_id = w.webhook_id AND c.due_at IS NOT NULL LIMIT w.backlog_threshold + 1) waiting) AS waiting
          FROM rule_webhooks w LEFT JOIN rule_webhook_health h USING (webhook_id)
         WHERE w.backlog_threshold IS NOT NULL
           AND (h.backlog_since IS NOT NULL OR EXISTS (SELECT FROM rule_webhook_calls c WHERE c.webhook_id = w.webhook_id AND c.due_at IS NOT NULL))
    LOOP
        CONTINUE WHEN (v_found.waiting > v_found.threshold) = v_found.above;
        INSERT INTO rule_webhook_health AS h (webhook_id, backlog, backlog_since) VALUES (v_found.webhook_id, v_found.waiting, now())
        ON CONFLICT (webhook_id) DO UPDATE
           SET backlog = CASE WHEN v_found.above THEN NULL ELSE v_found.waiting END, backlog_since = CASE WHEN v_found.above THEN NULL ELSE now() END;
        PERFORM rule_webhook_event(v_found.webhook_id, 'backlog', jsonb_build_object('above', NOT v_found.above, 'waiting', v_found.waiting, 'threshold', v_found.threshold));
        v_crossed := v_crossed + 1;
    END LOOP;
    RETURN v_crossed;
END $$;
COMMENT ON FUNCTION rule_webhook_check_backlogs() IS
'Compares the calls that wait for each webhook with its backlog_threshold and publishes events.webhooks.backlog when it is crossed, either way ("above"). Counts to one beyond the threshold. Workers call it every 15 seconds; returns the number of events.';

CREATE OR REPLACE VIEW webhook_delivery_health AS
SELECT w.webhook_id, w.webhook_name, w.enabled, w.disabled_by, w.disabled_at, w.disabled_reason,
       coalesce(h.circuit, 'closed') AS circuit, h.opened_at, h.next_probe_at, h.reason, coalesce(h.consecutive_failures, 0) AS consecutive_failures,
       h.failing_since, h.last_success_at, h.last_failure_at,
       c.waiting, c.in_flight, c.retrying, c.oldest_due_at, coalesce(d.dead_letters, 0) AS dead_letters
  FROM rule_webhooks w
  LEFT JOIN rule_webhook_health h USING (webhook_id)
 CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE c.status = 'pending') AS waiting, count(*) FILTER (WHERE c.status = 'processing') AS in_flight,
           count(*) FILTER (WHERE c.status = 'retrying') AS retrying, min(c.due_at) AS oldest_due_at
      FROM rule_webhook_calls c WHERE c.webhook_id = w.webhook_id AND c.due_at IS NOT NULL) c
  LEFT JOIN (SELECT c.webhook_id, count(*) AS dead_letters FROM rule_webhook_calls c WHERE c.status = 'failed' GROUP BY c.webhook_id) d ON d.webhook_id = w.webhook_id;
COMMENT ON VIEW webhook_delivery_health IS 'Per webhook: whether it is on, its circuit, and what waits for it.';
COMMENT ON COLUMN webhook_delivery_health.webhook_id IS 'The webhook.';
COMMENT ON COLUMN webhook_delivery_health.webhook_name IS 'Its name.';
COMMENT ON COLUMN webhook_delivery_health.enabled IS 'Whether it is delivered to.';
COMMENT ON COLUMN webhook_delivery_health.disabled_by IS 'As in rule_webhooks.';
COMMENT ON COLUMN webhook_delivery_health.disabled_at IS 'As in rule_webhooks.';
COMMENT ON COLUMN webhook_delivery_health.disabled_reason IS 'As in rule_webhooks.';
COMMENT ON COLUMN webhook_delivery_health.circuit IS 'As in rule_webhook_health; closed for a webhook that never failed.';
COMMENT ON COLUMN webhook_delivery_health.opened_at IS 'As in rule_webhook_health.';
COMMENT ON COLUMN webhook_delivery_health.next_probe_at IS 'As in rule_webhook_health.';
COMMENT ON COLUMN webhook_delivery_health.reason IS 'As in rule_webhook_health.';
COMMENT ON COLUMN webhook_delivery_health.consecutive_failures IS 'As in rule_webhook_health.';
COMMENT ON COLUMN webhook_delivery_health.failing_since IS 'As in rule_webhook_health.';
COMMENT ON COLUMN webhook_delivery_health.last_success_at IS 'As in rule_webhook_health.';
COMMENT ON COLUMN webhook_delivery_health.last_failure_at IS 'As in rule_webhook_health.';
COMMENT ON COLUMN webhook_delivery_health.waiting IS 'Calls that wait for their first attempt on this path, or for the circuit, the cap or the rate limit.';
COMMENT ON COLUMN webhook_delivery_health.in_flight IS 'Calls leased by a worker. First attempts of events from a stream are none unless they take longer than a second.';
COMMENT ON COLUMN webhook_delivery_health.retrying IS 'Calls that failed and are to be tried again.';
COMMENT ON COLUMN webhook_delivery_health.oldest_due_at IS 'When the call that has waited longest became due, or becomes due.';
COMMENT ON COLUMN webhook_delivery_health.dead_letters IS 'Calls that were given up and are still kept.';
