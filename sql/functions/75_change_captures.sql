-- Row changes as events: which tables are captured, and how.
SET search_path TO public, pg_temp;

CREATE OR REPLACE FUNCTION rule_cdc_captures_check() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.capture_name !~ '^[a-z0-9_]{1,50}$' THEN
        RAISE EXCEPTION 'capture_name: % must be 1 to 50 of a-z, 0-9 and _', quote_literal(left(NEW.capture_name, 64)) USING ERRCODE = '22023';
    ELSIF NEW.slot_name !~ '^[a-z0-9_]{1,63}$' THEN
        RAISE EXCEPTION 'slot_name: % must be 1 to 63 of a-z, 0-9 and _', quote_literal(left(NEW.slot_name, 64)) USING ERRCODE = '22023';
    ELSIF NEW.publication_name = '' OR octet_length(NEW.publication_name) > 63 THEN
        RAISE EXCEPTION 'publication_name: must be 1 to 63 bytes' USING ERRCODE = '22023';
    ELSIF NOT EXISTS (SELECT FROM rule_nats_config c WHERE c.config_name = NEW.config_name) THEN
        RAISE EXCEPTION 'config_name: there is no NATS configuration %', quote_literal(left(NEW.config_name, 64)) USING ERRCODE = '22023';
    ELSIF NEW.stream_name !~ '^[A-Za-z0-9_-]{1,255}$' THEN
        RAISE EXCEPTION 'stream_name: must be 1 to 255 of A-Z, a-z, 0-9, _ and -' USING ERRCODE = '22023';
    ELSIF NEW.format NOT IN ('json', 'debezium', 'cloudevents', 'protobuf') THEN
        RAISE EXCEPTION 'format: must be json, debezium, cloudevents or protobuf' USING ERRCODE = '22023';
    ELSIF NEW.event_unit NOT IN ('change', 'transaction') THEN
        RAISE EXCEPTION 'event_unit: must be change or transaction' USING ERRCODE = '22023';
    ELSIF NEW.oversized NOT IN ('stop', 'dead-letter') THEN
        RAISE EXCEPTION 'oversized: must be stop or dead-letter' USING ERRCODE = '22023';
    ELSIF NEW.wal_policy NOT IN ('alert', 'pause', 'drop', 'spill') THEN
        RAISE EXCEPTION 'wal_policy: must be alert, pause, drop or spill' USING ERRCODE = '22023';
    ELSIF NEW.wal_limit < 1048576 THEN
        RAISE EXCEPTION 'wal_limit: % is less than 1048576 bytes', NEW.wal_limit USING ERRCODE = '22023';
    ELSIF NEW.heartbeat_seconds NOT BETWEEN 0 AND 3600 THEN
        RAISE EXCEPTION 'heartbeat_seconds: % is not 0 to 3600', NEW.heartbeat_seconds USING ERRCODE = '22023';
    END IF;
    BEGIN
        PERFORM rule_nats_subject_check(NEW.subject_prefix);
    EXCEPTION WHEN invalid_parameter_value OR program_limit_exceeded THEN
        RAISE EXCEPTION 'subject_prefix: %', SQLERRM USING ERRCODE = '22023';
    END;
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
COMMENT ON FUNCTION rule_cdc_captures_check() IS 'Checks a capture, whoever writes it; each message begins with the name of the setting.';
CREATE OR REPLACE TRIGGER rule_cdc_captures_check BEFORE INSERT OR UPDATE ON rule_cdc_captures
    FOR EACH ROW EXECUTE FUNCTION rule_cdc_captures_check();

CREATE OR REPLACE FUNCTION rule_cdc_get(p_capture_name text)
RETURNS rule_cdc_captures LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_capture rule_cdc_captures%ROWTYPE;
BEGIN
    SELECT * INTO v_capture FROM rule_cdc_captures c WHERE c.capture_name = p_capture_name AND c.dropped_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Capture not found: %', p_capture_name USING ERRCODE = 'P0002', HINT = 'rule_cdc_configure makes one.';
    END IF;
    RETURN v_capture;
END $$;
COMMENT ON FUNCTION rule_cdc_get(text) IS 'A capture''s row in rule_cdc_captures, where each column is documented. P0002 for an unknown one.';

CREATE OR REPLACE FUNCTION rule_cdc_configure(p_capture_name text DEFAULT 'default', p_settings jsonb DEFAULT '{}')
RETURNS rule_cdc_captures LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_known constant text[] := ARRAY['slot_name', 'publication_name', 'config_name', 'stream_name', 'subject_prefix', 'format', 'typed_values', 'with_transaction',
        'event_unit', 'oversized', 'wal_policy', 'wal_limit', 'heartbeat_seconds'];
    v_new rule_cdc_captures%ROWTYPE;
    v_key text;
BEGIN
    IF jsonb_typeof(p_settings) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'p_settings: must be a JSON object' USING ERRCODE = '22023';
    END IF;
    INSERT INTO rule_cdc_captures (capture_name, slot_name, publication_name)
    VALUES (p_capture_name, 'rule_cdc_' || p_capture_name, 'rule_cdc_' || p_capture_name) ON CONFLICT (capture_name) DO NOTHING;
    v_new := rule_cdc_get(p_capture_name);
    FOR v_key IN SELECT jsonb_object_keys(p_settings) LOOP
        IF v_key <> ALL (v_known) THEN
            RAISE EXCEPTION 'p_settings: there is no setting %; the settings are %', quote_ident(left(v_key, 64)), array_to_string(v_known, ', ') USING ERRCODE = '22023';
        ELSIF v_key <> 'wal_limit' AND jsonb_typeof(p_settings -> v_key) = 'null' THEN
            RAISE EXCEPTION '%: cannot be null', v_key USING ERRCODE = '22023';
        END IF;
        BEGIN
            v_new := jsonb_populate_record(v_new, jsonb_build_object(v_key, p_settings -> v_key));
        EXCEPTION WHEN data_exception THEN
            RAISE EXCEPTION '%: %', v_key, SQLERRM USING ERRCODE = '22023';
        END;
    END LOOP;
    IF EXISTS (SELECT FROM pg_replication_slots s, rule_cdc_captures c
                WHERE c.capture_name = p_capture_name AND c.slot_name <> v_new.slot_name AND s.slot_name = c.slot_name AND s.database = current_database()) THEN
        RAISE EXCEPTION 'slot_name: slot % holds the place of capture %; drop the capture (rule_cdc_drop) and make another', (rule_cdc_get(p_capture_name)).slot_name, p_capture_name
            USING ERRCODE = '55000';
    END IF;
    UPDATE rule_cdc_captures c
       SET slot_name = v_new.slot_name, publication_name = v_new.publication_name, config_name = v_new.config_name, stream_name = v_new.stream_name,
           subject_prefix = v_new.subject_prefix, format = v_new.format, typed_values = v_new.typed_values, with_transaction = v_new.with_transaction,
           event_unit = v_new.event_unit, oversized = v_new.oversized, wal_policy = v_new.wal_policy, wal_limit = v_new.wal_limit, heartbeat_seconds = v_new.heartbeat_seconds
     WHERE c.capture_name = p_capture_name;
    RETURN rule_cdc_get(p_capture_name);
END $$;
COMMENT ON FUNCTION rule_cdc_configure(text, jsonb) IS
'Makes a capture where it is missing and changes the settings that are given, e.g. rule_cdc_configure(''orders'', ''{"subject_prefix": "shop", "typed_values": true}''); CdcRelay follows within 2 seconds. Each setting is a column of rule_cdc_captures and documented there. 22023 names what is wrong; 55000: the slot is in use.';

-- With the rights of the caller, who must own the table and the publication: names come as a regclass and through %I alone.
CREATE OR REPLACE FUNCTION rule_cdc_table_add(p_table regclass, p_capture_name text DEFAULT 'default', p_settings jsonb DEFAULT '{}')
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_capture rule_cdc_captures%ROWTYPE := rule_cdc_get(p_capture_name);
    v_schema text;
    v_name text;
    v_key text;
    v_column text;
BEGIN
    SELECT n.nspname, c.relname INTO v_schema, v_name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = p_table AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'p_table: % is no permanent table', coalesce(p_table::text, 'null') USING ERRCODE = '22023';
    ELSIF v_schema = 'public' AND v_name ~ '^rule_(cdc|nats|webhook)' THEN
        RAISE EXCEPTION 'p_table: % is one of this system''s own', p_table USING ERRCODE = '22023';
    ELSIF jsonb_typeof(p_settings) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'p_settings: must be a JSON object' USING ERRCODE = '22023';
    END IF;
    IF p_settings ? 'row_filter' THEN
        BEGIN
            IF jsonb_typeof(p_settings -> 'row_filter') <> 'string' OR (p_settings ->> 'row_filter')::jsonpath::text ~ 'like_regex' THEN
                RAISE EXCEPTION 'row_filter: must be a SQL/JSON path without like_regex' USING ERRCODE = '22023';
            END IF;
        EXCEPTION WHEN syntax_error THEN
            RAISE EXCEPTION 'row_filter: %', SQLERRM USING ERRCODE = '22023';
        END;
    END IF;
    IF p_settings ? 'snapshot' AND jsonb_typeof(p_settings -> 'snapshot') <> 'boolean' THEN
        RAISE EXCEPTION 'snapshot: must be true or false' USING ERRCODE = '22023';
    END IF;
    FOR v_key IN SELECT jsonb_object_keys(p_settings) LOOP
        IF v_key IN ('row_filter', 'snapshot') THEN
            CONTINUE;
        ELSIF v_key NOT IN ('exclude_columns', 'hash_columns', 'mask_columns') THEN
            RAISE EXCEPTION 'p_settings: there is no setting %; the settings are exclude_columns, hash_columns, mask_columns, row_filter, snapshot', quote_ident(left(v_key, 64))
                USING ERRCODE = '22023';
        ELSIF jsonb_typeof(p_settings -> v_key) <> 'array' THEN
            RAISE EXCEPTION '%: must be an array of column names', v_key USING ERRCODE = '22023';
        END IF;
        FOR v_column IN SELECT jsonb_array_elements_text(p_settings -> v_key) LOOP
            IF NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = p_table AND a.attname = v_column AND a.attnum > 0 AND NOT a.attisdropped) THEN
                RAISE EXCEPTION '%: % has no column %', v_key, p_table, coalesce(quote_ident(left(v_column, 64)), 'null') USING ERRCODE = '22023';
            END IF;
        END LOOP;
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_publication p WHERE p.pubname = v_capture.publication_name) THEN
        EXECUTE format('CREATE PUBLICATION %I WITH (publish_via_partition_root = true)', v_capture.publication_name);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_publication p WHERE p.pubname = v_capture.publication_name
                    AND (p.puballtables OR EXISTS (SELECT FROM pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = p_table))) THEN
        EXECUTE format('ALTER PUBLICATION %I ADD TABLE ONLY %I.%I', v_capture.publication_name, v_schema, v_name);
    END IF;
    PERFORM rule_nats_stream_create(v_capture.stream_name, ARRAY[v_capture.subject_prefix || '.>'], v_capture.config_name, 'limits', 0, 'Row changes captured from PostgreSQL')
      WHERE NOT EXISTS (SELECT FROM rule_nats_streams s JOIN rule_nats_config c USING (config_id)
                         WHERE c.config_name = v_capture.config_name AND s.stream_name = v_capture.stream_name);
    INSERT INTO rule_cdc_tables AS t (capture_name, relation, exclude_columns, hash_columns, mask_columns, row_filter)
    VALUES (p_capture_name, p_table, ARRAY(SELECT jsonb_array_elements_text(p_settings -> 'exclude_columns')),
            ARRAY(SELECT jsonb_array_elements_text(p_settings -> 'hash_columns')), ARRAY(SELECT jsonb_array_elements_text(p_settings -> 'mask_columns')),
            p_settings ->> 'row_filter')
    ON CONFLICT (capture_name, relation) DO UPDATE
       SET exclude_columns = EXCLUDED.exclude_columns, hash_columns = EXCLUDED.hash_columns, mask_columns = EXCLUDED.mask_columns, row_filter = EXCLUDED.row_filter;
    IF (p_settings ->> 'snapshot')::boolean THEN
        PERFORM rule_cdc_snapshot(ARRAY[p_table], p_capture_name);
    END IF;
END $$;
COMMENT ON FUNCTION rule_cdc_table_add(regclass, text, jsonb) IS
'Captures a table from now on, e.g. rule_cdc_table_add(''public.orders'', ''default'', ''{"mask_columns": ["card"], "row_filter": "$.total > 100"}''): adds it to the capture''s publication, which it makes, and defines the stream. {"snapshot": true} reads the rows that are there already, too. Runs with the rights of the caller, who must own the table and the publication and be a rule_admin. Called again it replaces the settings. An UPDATE or DELETE of a published table needs a primary key or REPLICA IDENTITY. 22023 names what is wrong, P0002 an unknown capture.';

CREATE OR REPLACE FUNCTION rule_cdc_table_remove(p_table regclass, p_capture_name text DEFAULT 'default')
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_capture rule_cdc_captures%ROWTYPE := rule_cdc_get(p_capture_name);
    v_table text := (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = p_table);
BEGIN
    DELETE FROM rule_cdc_tables t WHERE t.capture_name = p_capture_name AND t.relation = p_table;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF EXISTS (SELECT FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE p.pubname = v_capture.publication_name AND r.prrelid = p_table) THEN
        EXECUTE format('ALTER PUBLICATION %I DROP TABLE ONLY %s', v_capture.publication_name, v_table);
    END IF;
    RETURN true;
END $$;
COMMENT ON FUNCTION rule_cdc_table_remove(regclass, text) IS 'Captures a table no longer; what was captured stays in the stream. False: it was not captured. Runs with the rights of the caller, as rule_cdc_table_add.';

CREATE OR REPLACE FUNCTION rule_cdc_snapshot(p_tables regclass[] DEFAULT NULL, p_capture_name text DEFAULT 'default')
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_capture rule_cdc_captures%ROWTYPE := rule_cdc_get(p_capture_name);
    v_tables regclass[] := coalesce(p_tables, ARRAY(SELECT t.relation FROM rule_cdc_tables t WHERE t.capture_name = p_capture_name ORDER BY t.added_at));
    v_table regclass;
    v_id bigint;
BEGIN
    IF cardinality(v_tables) = 0 THEN
        RAISE EXCEPTION 'p_tables: capture % has no tables', p_capture_name USING ERRCODE = '22023';
    END IF;
    FOREACH v_table IN ARRAY v_tables LOOP
        IF NOT EXISTS (SELECT FROM rule_cdc_tables t WHERE t.capture_name = p_capture_name AND t.relation = v_table) THEN
            RAISE EXCEPTION 'p_tables: % is not captured; call rule_cdc_table_add first', coalesce(v_table::text, 'null') USING ERRCODE = '22023';
        ELSIF NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = v_table AND (i.indisprimary OR i.indisreplident)) THEN
            RAISE EXCEPTION 'p_tables: % has no primary key and no replica identity index, which a snapshot reads it by', v_table USING ERRCODE = '22023';
        END IF;
    END LOOP;
    INSERT INTO rule_cdc_snapshot_requests (capture_name, relations) VALUES (p_capture_name, v_tables) RETURNING request_id INTO v_id;
    RETURN v_id;
END $$;
COMMENT ON FUNCTION rule_cdc_snapshot(regclass[], text) IS
'Reads the rows of tables that are there already, all of the capture by default: they come as read events, in their place among the changes. Begins within 2 seconds, or when the capture goes on; rule_cdc_snapshots shows how far it is. Returns the request_id. 22023 names what is wrong, P0002 an unknown capture.';

CREATE OR REPLACE FUNCTION rule_cdc_pause(p_capture_name text DEFAULT 'default')
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE rule_cdc_captures c SET enabled = false, paused_reason = NULL WHERE c.capture_name = (rule_cdc_get(p_capture_name)).capture_name AND c.enabled;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION rule_cdc_pause(text) IS 'Stops a capture within 2 seconds of the commit. Its slot stays and holds WAL from then on: nothing is lost while the disk, or max_slot_wal_keep_size, suffices. False: it was paused already.';

CREATE OR REPLACE FUNCTION rule_cdc_resume(p_capture_name text DEFAULT 'default')
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE rule_cdc_captures c SET enabled = true, paused_reason = NULL WHERE c.capture_name = (rule_cdc_get(p_capture_name)).capture_name AND NOT c.enabled;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION rule_cdc_resume(text) IS 'Lets a paused capture go on where it was, whoever paused it. False: it was not paused.';

CREATE OR REPLACE FUNCTION rule_cdc_recover(p_capture_name text DEFAULT 'default')
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE rule_cdc_captures c SET recover = true, enabled = true, paused_reason = NULL WHERE c.capture_name = (rule_cdc_get(p_capture_name)).capture_name;
END $$;
COMMENT ON FUNCTION rule_cdc_recover(text) IS 'After a slot has lost its WAL, or was dropped (cdc_status says so): CdcRelay replaces it, and the new one begins with a Gap event.';

CREATE OR REPLACE FUNCTION rule_cdc_drop(p_capture_name text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE rule_cdc_captures c SET enabled = false, dropped_at = clock_timestamp() WHERE c.capture_name = (rule_cdc_get(p_capture_name)).capture_name;
END $$;
COMMENT ON FUNCTION rule_cdc_drop(text) IS 'Ends a capture for good: CdcRelay stops it, drops its slot, which frees the WAL, and then its row. Publication and stream stay; drop them where nothing else uses them.';

CREATE OR REPLACE VIEW cdc_status AS
SELECT c.capture_name,
       CASE WHEN c.dropped_at IS NOT NULL THEN 'dropping' WHEN NOT c.enabled THEN 'paused' WHEN s.wal_status = 'lost' OR (s.slot_name IS NULL AND c.captured_since IS NOT NULL) THEN 'lost'
            WHEN r.reported_at > now() - interval '15 seconds' THEN r.state WHEN t.tables = 0 AND s.slot_name IS NULL THEN 'no tables' ELSE 'not running' END AS state,
       CASE WHEN NOT c.enabled THEN c.paused_reason WHEN s.wal_status = 'lost' THEN 'the slot has lost its WAL: call rule_cdc_recover'
            WHEN s.slot_name IS NULL AND c.captured_since IS NOT NULL THEN 'the slot is gone: call rule_cdc_recover' ELSE r.reason END AS reason,
       r.warning, t.tables, c.slot_name, c.publication_name, c.stream_name, s.wal_status,
       pg_wal_lsn_diff(w.lsn, s.restart_lsn)::bigint AS held_bytes, pg_wal_lsn_diff(w.lsn, s.confirmed_flush_lsn)::bigint AS behind_bytes, s.safe_wal_size AS safe_bytes,
       s.confirmed_flush_lsn AS confirmed_lsn, r.lag, r.events, r.reported_by, r.reported_at
  FROM rule_cdc_captures c
  CROSS JOIN (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END AS lsn) w
  CROSS JOIN LATERAL (SELECT count(*) AS tables FROM rule_cdc_tables x WHERE x.capture_name = c.capture_name) t
  LEFT JOIN pg_replication_slots s ON s.slot_name = c.slot_name AND s.database = current_database()
  LEFT JOIN rule_cdc_reports r ON r.capture_name = c.capture_name;
COMMENT ON VIEW cdc_status IS 'Each capture, as CdcRelay reported it last, and its slot as it is now.';
COMMENT ON COLUMN cdc_status.capture_name IS 'The capture.';
COMMENT ON COLUMN cdc_status.state IS 'capturing; starting; stopped (an output takes nothing: nothing is lost, WAL is held); interrupted; failed (reason says what to do); paused; lost (the slot has lost its WAL, or is gone: rule_cdc_recover); dropping; no tables; not running (no CdcRelay reports).';
COMMENT ON COLUMN cdc_status.reason IS 'Why it does not capture; null while it does.';
COMMENT ON COLUMN cdc_status.warning IS 'What the WAL guard says of the slot; null while it has nothing to say.';
COMMENT ON COLUMN cdc_status.tables IS 'How many tables it captures.';
COMMENT ON COLUMN cdc_status.slot_name IS 'Its slot.';
COMMENT ON COLUMN cdc_status.publication_name IS 'Its publication.';
COMMENT ON COLUMN cdc_status.stream_name IS 'Its stream.';
COMMENT ON COLUMN cdc_status.wal_status IS 'reserved, extended, unreserved (the next checkpoint may remove WAL that it needs) or lost; null without a slot.';
COMMENT ON COLUMN cdc_status.held_bytes IS 'WAL that the server keeps for it.';
COMMENT ON COLUMN cdc_status.behind_bytes IS 'WAL written since what is stored and confirmed.';
COMMENT ON COLUMN cdc_status.safe_bytes IS 'WAL that may be written before the slot is in danger; null without max_slot_wal_keep_size.';
COMMENT ON COLUMN cdc_status.confirmed_lsn IS 'Everything before is stored.';
COMMENT ON COLUMN cdc_status.lag IS 'How long the last heartbeat took from PostgreSQL through the slot.';
COMMENT ON COLUMN cdc_status.events IS 'Events published since the process that runs it began.';
COMMENT ON COLUMN cdc_status.reported_by IS 'The CdcRelay that runs it: host:pid.';
COMMENT ON COLUMN cdc_status.reported_at IS 'When it last reported.';
