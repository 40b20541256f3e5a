-- Ingestion: documents that are events as well, and how long their statuses are kept.
SET search_path TO public, pg_temp;

CREATE OR REPLACE FUNCTION rule_nats_publish_subject(
    p_subject text, p_message_ids text[], p_bodies bytea[], p_traceparents text[] DEFAULT NULL, p_triggered_by text DEFAULT NULL)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_config_id integer;
    v_stream text;
    v_count integer;
BEGIN
    PERFORM rule_nats_subject_check(p_subject);
    IF rule_nats_subject_covers('messages.>', p_subject) THEN
        RAISE EXCEPTION 'subject: % belongs to ingestion, whose documents are no events', p_subject USING ERRCODE = '22023';
    ELSIF length(p_triggered_by) > 255 THEN
        RAISE EXCEPTION 'triggered_by: % characters, the limit is 255', length(p_triggered_by) USING ERRCODE = '54000';
    ELSIF p_triggered_by IS NOT NULL AND p_triggered_by ~ '[[:cntrl:]]' THEN
        RAISE EXCEPTION 'triggered_by: must have no control character' USING ERRCODE = '22023';
    ELSIF cardinality(p_bodies) IS DISTINCT FROM cardinality(p_message_ids) OR coalesce(cardinality(p_traceparents), cardinality(p_message_ids)) <> cardinality(p_message_ids) THEN
        RAISE EXCEPTION 'p_message_ids, p_bodies and p_traceparents must have the same length' USING ERRCODE = '22023';
    END IF;
    SELECT c.config_id, coalesce(
               (SELECT s.stream_name FROM rule_nats_streams s
                 WHERE s.config_id = c.config_id AND s.enabled
                   AND EXISTS (SELECT FROM unnest(s.subjects) AS f WHERE rule_nats_subject_covers(f, p_subject))
                 ORDER BY s.stream_id LIMIT 1),
               c.stream_name)
      INTO v_config_id, v_stream
      FROM rule_nats_config c WHERE c.config_name = 'default';
    -- The transaction id comes before the publish_id, as in rule_nats_accept_event.
    INSERT INTO rule_nats_publish_history (publish_id, subject, payload, body, message_id, triggered_by, stream_name, body_sha256, nats_msg_id, config_id, trace_parent)
    SELECT nextval(CASE WHEN pg_current_xact_id() IS NOT NULL THEN 'rule_nats_publish_history_publish_id_seq'::regclass END),
           p_subject, e.payload, e.body, e.id, coalesce(p_triggered_by, session_user), v_stream, sha256(e.body), rule_nats_msg_id(0, e.id), v_config_id,
           rule_nats_traceparent(nullif(e.trace, ''))
      FROM (SELECT rule_nats_message_id_check(n.id) AS id, n.body, convert_from(n.body, 'UTF8')::jsonb AS payload, n.trace
              FROM unnest(p_message_ids, p_bodies, p_traceparents) AS n (id, body, trace) OFFSET 0) AS e
     WHERE rule_nats_payload_text(e.payload) IS NOT NULL;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;
COMMENT ON FUNCTION rule_nats_publish_subject(text, text[], bytea[], text[], text) IS
'Accepts events for a subject, without a webhook, in the caller''s transaction: published after COMMIT by CdcRelay, never after ROLLBACK, byte for byte as they are in p_bodies (JSON in UTF-8), to the stream definition of the configuration default that has the subject. Of the three arrays each event has one element; p_traceparents may be null. Ids are those of direct publishes (rule_nats_msg_id with webhook 0) and are not remembered in rule_nats_message_keys: the caller sees to it that each comes once. Returns how many there were. 22023 for a subject, an id or a document that cannot be published.';

CREATE OR REPLACE FUNCTION rule_ingest_maintain(p_keep interval, p_limit integer DEFAULT 5000)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_before timestamptz := clock_timestamp() - p_keep;
    v_statuses integer;
    v_batches integer;
BEGIN
    IF p_keep IS NULL OR p_keep < interval '1 second' THEN
        RAISE EXCEPTION 'p_keep: must be at least 1 second' USING ERRCODE = '22023';
    ELSIF p_limit IS NULL OR p_limit NOT BETWEEN 1 AND 5000 THEN
        RAISE EXCEPTION 'p_limit: % is not 1 to 5000', p_limit USING ERRCODE = '22023';
    ELSIF NOT pg_try_advisory_xact_lock(hashtextextended('rule_ingest_maintain', 0)) THEN
        RETURN 0;
    END IF;
    DELETE FROM message_status s
     USING (SELECT o.message_id FROM message_status o
             WHERE o.received_at < v_before AND o.status IN ('completed', 'dlq') AND coalesce(o.processed_at, o.received_at) < v_before
             ORDER BY o.received_at, o.message_id LIMIT p_limit FOR UPDATE SKIP LOCKED) AS old
     WHERE s.message_id = old.message_id;
    GET DIAGNOSTICS v_statuses = ROW_COUNT;
    DELETE FROM ingest_batches b
     WHERE b.batch_id IN (SELECT o.batch_id FROM ingest_batches o WHERE o.received_at < v_before LIMIT p_limit FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS v_batches = ROW_COUNT;
    -- Workers come and go: what those counted that have not for a day is kept together, under no name.
    WITH gone AS (
        DELETE FROM ingest_totals t WHERE t.worker_name <> '' AND t.updated_at < clock_timestamp() - interval '1 day' RETURNING t.*)
    INSERT INTO ingest_totals AS t (worker_name, entity_type, completed, dlq, entity_rows)
    SELECT '', g.entity_type, sum(g.completed), sum(g.dlq), sum(g.entity_rows) FROM gone g GROUP BY g.entity_type
    ON CONFLICT (worker_name, entity_type) DO UPDATE
       SET completed = t.completed + excluded.completed, dlq = t.dlq + excluded.dlq, entity_rows = t.entity_rows + excluded.entity_rows, updated_at = clock_timestamp();
    RETURN greatest(v_statuses, v_batches);
END $$;
COMMENT ON FUNCTION rule_ingest_maintain(interval, integer) IS
'Deletes statuses of documents that were completed, or became dead letters, longer ago than p_keep, and batches as old, at most p_limit of each (1 to 5,000); brings together the totals of workers that have not counted for a day. Returns how many of one kind were deleted: call it again while that is p_limit. 0 while another session runs it.';
