-- What may be a subject, a message id, a URL, a header, a payload. The functions check, and so do triggers on the tables,
-- because operators change rows with plain UPDATE too.
SET search_path TO public, pg_temp;

-- The reasons, the same words as RuleEngineNats.Contracts.Subjects. n is the offset of the byte in UTF-8, from 0.
--
--   empty                            the subject is null or ''                                     n = 0
--   longer than 255 bytes                                                                          n = 255
--   reserved                         first token starts with $, or is _INBOX                       n = 0
--   empty token                      leading, trailing or doubled dot                              n = where the token should be
--   whitespace                       a space                                                       n = the byte
--   control character                below 0x20 (tab, CR and LF too) or 0x7f                       n = the byte
--   wildcard                         * or > (in a filter: not a token of its own, or > not last)   n = the byte
--   character not in [A-Za-z0-9_-]   anything else                                                 n = its first byte
--   more than 16 tokens                                                                            n = start of the 17th
CREATE OR REPLACE FUNCTION rule_nats_subject_check(p_subject text, p_allow_wildcards boolean DEFAULT false)
RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    v_bytes bytea;
    v_length integer;
    v_byte integer;
    v_tokens integer := 1;
    v_start integer := 0;
    v_reason text;
    v_at integer;
BEGIN
    -- The ordinary subject leaves here; what follows only finds out what is wrong.
    IF p_subject ~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,15}$' AND length(p_subject) <= 255
       AND p_subject !~ '^_INBOX(\.|$)' THEN
        RETURN p_subject;
    END IF;
    v_bytes := convert_to(coalesce(p_subject, ''), 'UTF8');
    v_length := octet_length(v_bytes);
    IF v_length = 0 THEN
        v_reason := 'empty'; v_at := 0;
    ELSIF v_length > 255 THEN
        v_reason := 'longer than 255 bytes'; v_at := 255;
    ELSIF get_byte(v_bytes, 0) = 36 OR p_subject ~ '^_INBOX(\.|$)' THEN
        v_reason := 'reserved'; v_at := 0;
    ELSE
        FOR i IN 0 .. v_length - 1 LOOP
            v_byte := get_byte(v_bytes, i);
            v_at := i;
            IF v_byte = 46 THEN -- .
                IF i = v_start THEN v_reason := 'empty token'; EXIT; END IF;
                v_start := i + 1;
                v_tokens := v_tokens + 1;
                IF v_start = v_length THEN v_reason := 'empty token'; v_at := v_start; EXIT; END IF;
                IF v_tokens > 16 THEN v_reason := 'more than 16 tokens'; v_at := v_start; EXIT; END IF;
            ELSIF v_byte IN (42, 62) THEN -- * >
                IF NOT p_allow_wildcards OR i <> v_start
                   OR (i + 1 < v_length AND (v_byte = 62 OR get_byte(v_bytes, i + 1) <> 46)) THEN
                    v_reason := 'wildcard'; EXIT;
                END IF;
            ELSIF v_byte = 32 THEN
                v_reason := 'whitespace'; EXIT;
            ELSIF v_byte < 32 OR v_byte = 127 THEN
                v_reason := 'control character'; EXIT;
            ELSIF NOT (v_byte BETWEEN 48 AND 57 OR v_byte BETWEEN 65 AND 90 OR v_byte BETWEEN 97 AND 122 OR v_byte IN (45, 95)) THEN
                v_reason := 'character not in [A-Za-z0-9_-]'; EXIT;
            END IF;
        END LOOP;
    END IF;
    IF v_reason IS NULL THEN
        RETURN p_subject;
    END IF;
    RAISE EXCEPTION 'subject: % at byte %', v_reason, v_at USING ERRCODE = '22023';
END $$;
COMMENT ON FUNCTION rule_nats_subject_check(text, boolean) IS
'Returns the subject if it may be published to (or, with p_allow_wildcards, subscribed to); else raises 22023 "subject: <reason> at byte <offset>".';

CREATE OR REPLACE FUNCTION rule_nats_subject_covers(p_filter text, p_subject text)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    f text[] := string_to_array(p_filter, '.');
    s text[] := string_to_array(p_subject, '.');
BEGIN
    FOR i IN 1 .. cardinality(f) LOOP
        IF i > cardinality(s) THEN RETURN false; END IF;
        IF f[i] = '>' THEN RETURN true; END IF;
        IF s[i] = '>' OR (f[i] <> '*' AND f[i] <> s[i]) THEN RETURN false; END IF;
    END LOOP;
    RETURN cardinality(f) = cardinality(s);
END $$;
COMMENT ON FUNCTION rule_nats_subject_covers(text, text) IS
'True when every subject that matches p_subject (a subject or a filter) also matches the filter p_filter, by the rules of NATS.';

CREATE OR REPLACE FUNCTION rule_nats_subjects_overlap(p_one text, p_other text)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    a text[] := string_to_array(p_one, '.');
    b text[] := string_to_array(p_other, '.');
BEGIN
    FOR i IN 1 .. least(cardinality(a), cardinality(b)) LOOP
        IF a[i] = '>' OR b[i] = '>' THEN RETURN true; END IF;
        IF a[i] <> b[i] AND a[i] <> '*' AND b[i] <> '*' THEN RETURN false; END IF;
    END LOOP;
    RETURN cardinality(a) = cardinality(b);
END $$;
COMMENT ON FUNCTION rule_nats_subjects_overlap(text, text) IS
'True when some subject matches both filters: JetStream refuses two streams for which that is so.';

-- The same words as RuleEngineNats.Contracts.MessageIdRules: empty, longer than 128 characters, space or control character.
CREATE OR REPLACE FUNCTION rule_nats_message_id_check(p_message_id text)
RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    v_good text;
BEGIN
    IF p_message_id IS NULL OR p_message_id ~ '^[!-~]{1,128}$' THEN
        RETURN p_message_id;
    ELSIF p_message_id = '' THEN
        RAISE EXCEPTION 'message_id: empty at byte 0' USING ERRCODE = '22023';
    END IF;
    v_good := substring(p_message_id FROM '^[^\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200f\u2028-\u202f\u205f\u3000\ufffd]*');
    IF length(v_good) < least(length(p_message_id), 128) THEN
        RAISE EXCEPTION 'message_id: space or control character at byte %', octet_length(convert_to(v_good, 'UTF8')) USING ERRCODE = '22023';
    ELSIF length(p_message_id) > 128 THEN
        RAISE EXCEPTION 'message_id: longer than 128 characters at byte %', octet_length(convert_to(left(p_message_id, 128), 'UTF8')) USING ERRCODE = '22023';
    END IF;
    RETURN p_message_id;
END $$;
COMMENT ON FUNCTION rule_nats_message_id_check(text) IS 'Returns a message id of 1 to 128 characters without spaces and control characters; null passes; else raises 22023 "message_id: <reason> at byte <offset>".';

CREATE OR REPLACE FUNCTION rule_nats_msg_id(p_webhook_id integer, p_message_id text)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN p_message_id ~ '^[!-\-/-~]+$' AND length(p_message_id) <= 116
                THEN coalesce(p_webhook_id, 0) || '_' || p_message_id
                ELSE coalesce(p_webhook_id, 0) || ':' || encode(sha256(convert_to(p_message_id, 'UTF8')), 'hex') END
$$;
COMMENT ON FUNCTION rule_nats_msg_id(integer, text) IS
'The Nats-Msg-Id (and ce-id, and webhook-id) of a message: <webhook_id>_<message_id>, or <webhook_id>:<sha256 of message_id in hex> when the id is longer than 116 characters or has a dot or a character outside printable ASCII. At most 128 bytes, never a dot; webhook 0 is a publish by subject. PublishService derives the same.';

CREATE OR REPLACE FUNCTION rule_webhook_url_check(p_url text)
RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    v_authority text := substring(p_url FROM '^https?://([^/?#]*)');
BEGIN
    IF p_url IS NULL OR p_url !~ '^https?://' THEN
        RAISE EXCEPTION 'Invalid URL format. Must start with http:// or https://' USING ERRCODE = '22023';
    ELSIF length(p_url) > 2048 THEN
        RAISE EXCEPTION 'url_not_allowed: longer than 2048 characters' USING ERRCODE = '22023';
    ELSIF p_url ~ '[[:cntrl:][:space:]\\]' THEN
        RAISE EXCEPTION 'url_not_allowed: whitespace, control character or backslash' USING ERRCODE = '22023';
    ELSIF position('@' IN v_authority) > 0 THEN
        RAISE EXCEPTION 'url_not_allowed: user information in the URL' USING ERRCODE = '22023';
    ELSIF v_authority ~ '^(:|$)' THEN
        RAISE EXCEPTION 'url_not_allowed: no host' USING ERRCODE = '22023';
    END IF;
    RETURN p_url;
END $$;
COMMENT ON FUNCTION rule_webhook_url_check(text) IS
'Returns an http or https URL of at most 2,048 characters without user information; else raises 22023. Which addresses may be reached is decided at connect time, by the delivery worker.';

CREATE OR REPLACE FUNCTION rule_webhook_headers_check(p_headers jsonb, p_of_event boolean DEFAULT false)
RETURNS jsonb LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    v_name text;
    v_value jsonb;
    v_seen text[] := '{}';
    v_bytes integer := 0;
BEGIN
    IF p_headers IS NULL OR p_headers = '{}'::jsonb THEN
        RETURN p_headers;
    END IF;
    IF jsonb_typeof(p_headers) <> 'object' THEN
        RAISE EXCEPTION 'headers: must be a JSON object of strings' USING ERRCODE = '22023';
    END IF;
    FOR v_name, v_value IN SELECT key, value FROM jsonb_each(p_headers) LOOP
        IF v_name !~ '^[!#$%&''*+.^_`|~0-9A-Za-z-]+$' THEN
            RAISE EXCEPTION 'headers[%]: no header name', left(to_json(v_name)::text, 64) USING ERRCODE = '22023';
        ELSIF (lower(v_name) ~ '^(nats|webhook|rule|ce|proxy|sec)-' AND NOT (p_of_event AND lower(v_name) IN ('ce-type', 'ce-source', 'ce-subject', 'ce-dataschema')))
              OR lower(v_name) IN ('connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding',
                'upgrade', 'host', 'expect', 'http2-settings', 'content-length', 'content-encoding', 'traceparent', 'tracestate', 'baggage') THEN
            RAISE EXCEPTION 'headers[%]: reserved header', v_name USING ERRCODE = '22023';
        ELSIF lower(v_name) = ANY (v_seen) THEN
            RAISE EXCEPTION 'headers[%]: given twice; names that differ in case alone are the same header', v_name USING ERRCODE = '22023';
        ELSIF jsonb_typeof(v_value) <> 'string' THEN
            RAISE EXCEPTION 'headers[%]: the value must be a string', v_name USING ERRCODE = '22023';
        ELSIF v_value #>> '{}' ~ '[^ -~]|^ | $' THEN
            RAISE EXCEPTION 'headers[%]: character that is not printable ASCII, or a space at an end', v_name USING ERRCODE = '22023';
        END IF;
        v_seen := v_seen || lower(v_name);
        v_bytes := v_bytes + octet_length(v_name) + octet_length(v_value #>> '{}') + 4;
    END LOOP;
    IF cardinality(v_seen) > 64 OR v_bytes > 8192 THEN
        RAISE EXCEPTION 'headers: more than 64 or larger than 8192 bytes' USING ERRCODE = '54000';
    END IF;
    RETURN p_headers;
END $$;
COMMENT ON FUNCTION rule_webhook_headers_check(jsonb, boolean) IS
'Returns an object of at most 64 header names and values of printable ASCII (8 KiB together), none of them reserved; else raises. The headers of an endpoint, or (p_of_event, the rules of RuleEngineNats.Contracts.HeaderRules) of an event, which may have ce-type, ce-source, ce-subject and ce-dataschema.';

CREATE OR REPLACE FUNCTION rule_nats_payload_text(p_payload jsonb)
RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    c_limit constant integer := 67108864; -- 64 MiB. What is too large for a message of NATS travels through the Object Store.
    v_size integer;
    v_text text;
BEGIN
    IF p_payload IS NULL OR jsonb_typeof(p_payload) = 'null' THEN
        RAISE EXCEPTION 'payload must not be null' USING ERRCODE = '22004';
    END IF;
    -- The size it has unpacked: a value out of a table may come compressed, and then pg_column_size alone says little about it.
    v_size := pg_column_size(p_payload #> '{}');
    -- jsonb keeps 1e131071 in 8 bytes and prints 131,072 digits: a large document is checked before it is printed.
    IF v_size > 2 * c_limit THEN
        RAISE EXCEPTION 'payload is % bytes as jsonb, the limit is %', v_size, 2 * c_limit
            USING ERRCODE = '54000', HINT = 'Publish a reference to the data, or split it into several events.';
    ELSIF v_size <= 4096 THEN
        v_text := p_payload::text;
        -- Too short for 65 levels and for 200 digits: an ordinary small document leaves here, after half the time.
        IF length(v_text) < 130 THEN
            RETURN v_text;
        END IF;
    END IF;
    IF (v_text IS NULL OR v_text ~ '\d{200}')
       AND jsonb_path_exists(p_payload, 'strict $.** ? (@.type() == "number" && (@ >= 1e309 || @ <= -1e309 || (@ != 0 && @ < 1e-308 && @ > -1e-308)))') THEN
        RAISE EXCEPTION 'payload: number out of range' USING ERRCODE = '22023', DETAIL = 'Numbers have an absolute value of 1e-308 to 1e308, or are 0.';
    END IF;
    v_text := coalesce(v_text, p_payload::text);
    IF octet_length(v_text) > c_limit THEN
        RAISE EXCEPTION 'payload is % bytes, the limit is %', octet_length(v_text), c_limit
            USING ERRCODE = '54000', HINT = 'Publish a reference to the data, or split it into several events.';
    END IF;
    -- 2 microseconds for a kilobyte; counting brackets in the text took 30, half of this function.
    IF jsonb_path_exists(p_payload, 'strict $.**{64} ? (@.type() == "array" || @.type() == "object")') THEN
        RAISE EXCEPTION 'payload: deeper than 64 levels' USING ERRCODE = '22023';
    END IF;
    RETURN v_text;
END $$;
COMMENT ON FUNCTION rule_nats_payload_text(jsonb) IS
'The text that is published for a payload. Raises 22004 for null, 54000 over 67,108,864 bytes (64 MiB; as jsonb 128 MiB), 22023 for a number beyond 1e308 or deeper than 64 levels.';

CREATE OR REPLACE FUNCTION rule_webhooks_check() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_new rule_webhooks%ROWTYPE := NEW;
BEGIN
    IF TG_OP = 'INSERT' OR NEW.webhook_name IS DISTINCT FROM OLD.webhook_name THEN
        IF NEW.webhook_name !~ '\S' OR length(NEW.webhook_name) > 255 OR NEW.webhook_name ~ '[[:cntrl:]]' THEN
            RAISE EXCEPTION 'webhook_name must have 1 to 255 characters and no control character' USING ERRCODE = '22023';
        END IF;
    END IF;
    IF TG_OP = 'INSERT' OR NEW.url IS DISTINCT FROM OLD.url THEN
        PERFORM rule_webhook_url_check(NEW.url);
    END IF;
    IF TG_OP = 'INSERT' OR NEW.headers IS DISTINCT FROM OLD.headers THEN
        PERFORM rule_webhook_headers_check(NEW.headers);
    END IF;
    IF NEW.nats_subject IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.nats_subject IS DISTINCT FROM OLD.nats_subject) THEN
        PERFORM rule_nats_subject_check(NEW.nats_subject);
    END IF;
    IF NEW.subject_filter IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.subject_filter IS DISTINCT FROM OLD.subject_filter) THEN
        PERFORM rule_nats_subject_check(NEW.subject_filter, true);
    END IF;
    IF TG_OP = 'UPDATE' THEN
        v_new.webhook_url := OLD.webhook_url; -- Generated columns are null before the row is written.
        v_new.http_method := OLD.http_method;
    END IF;
    IF TG_OP = 'UPDATE' AND v_new IS DISTINCT FROM OLD THEN
        NEW.updated_at := CURRENT_TIMESTAMP;
        IF NEW.enabled AND NOT OLD.enabled THEN
            NEW.disabled_at := NULL;
            NEW.disabled_reason := NULL;
            NEW.disabled_by := NULL;
        ELSIF NOT NEW.enabled AND OLD.enabled AND NEW.disabled_by IS NULL THEN
            NEW.disabled_by := 'user';
        END IF;
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION rule_webhooks_check() IS 'Checks what a row of rule_webhooks holds, whoever writes it.';
CREATE OR REPLACE TRIGGER rule_webhooks_check BEFORE INSERT OR UPDATE ON rule_webhooks
    FOR EACH ROW EXECUTE FUNCTION rule_webhooks_check();

CREATE OR REPLACE FUNCTION rule_nats_streams_check() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NEW.stream_name !~ '^[A-Za-z0-9_-]{1,255}$' THEN
        RAISE EXCEPTION 'stream_name must have 1 to 255 characters of [A-Za-z0-9_-]' USING ERRCODE = '22023';
    END IF;
    IF coalesce(cardinality(NEW.subjects), 0) = 0 THEN
        RAISE EXCEPTION 'Subjects array cannot be empty' USING ERRCODE = '22023';
    ELSIF cardinality(NEW.subjects) > 64 THEN
        RAISE EXCEPTION 'subjects: more than 64' USING ERRCODE = '54000';
    END IF;
    PERFORM rule_nats_subject_check(s, true) FROM unnest(NEW.subjects) s;
    IF EXISTS (SELECT FROM unnest(NEW.subjects) WITH ORDINALITY a(s, n), unnest(NEW.subjects) WITH ORDINALITY b(s, n)
                WHERE a.n < b.n AND rule_nats_subjects_overlap(a.s, b.s)) THEN
        RAISE EXCEPTION 'subjects: two of them overlap' USING ERRCODE = '22023';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION rule_nats_streams_check() IS 'Checks names and subjects of a stream definition, whoever writes it.';
CREATE OR REPLACE TRIGGER rule_nats_streams_check BEFORE INSERT OR UPDATE OF stream_name, subjects ON rule_nats_streams
    FOR EACH ROW EXECUTE FUNCTION rule_nats_streams_check();

CREATE OR REPLACE FUNCTION rule_nats_publish_history_check() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    v_success boolean;
BEGIN
    IF NEW.state = 'pending' AND NEW.sequence_number IS NULL AND NEW.enqueued_xid IS NOT NULL THEN
        IF NEW.success IS NULL THEN
            RETURN NEW; -- Every publish through SQL leaves here.
        END IF;
    ELSIF NEW.state = 'stored' AND NEW.sequence_number >= 1 AND NEW.stream_name IS NOT NULL THEN
        v_success := true;
    ELSIF NEW.state = 'refused' AND NEW.sequence_number IS NULL AND NEW.error_message IS NOT NULL THEN
        v_success := false;
    ELSE
        RAISE EXCEPTION 'state: % does not agree with the other columns: pending has an enqueued_xid and no sequence_number, stored has a stream_name and a sequence_number of 1 or more, refused an error_message and no sequence_number', coalesce(NEW.state, 'null')
            USING ERRCODE = '23514', CONSTRAINT = 'state_and_place_agree', TABLE = 'rule_nats_publish_history';
    END IF;
    IF NEW.success <> coalesce(v_success, NOT NEW.success) THEN
        RAISE EXCEPTION 'success: is derived from state (%); leave it out', NEW.state
            USING ERRCODE = '23514', CONSTRAINT = 'state_and_place_agree', TABLE = 'rule_nats_publish_history';
    END IF;
    NEW.success := v_success;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION rule_nats_publish_history_check() IS
'Keeps state, place and success of an event in agreement, whoever writes the row; else 23514 state_and_place_agree. A trigger because a CHECK and a generated column cost every INSERT eight times as much.';
CREATE OR REPLACE TRIGGER rule_nats_publish_history_check BEFORE INSERT OR UPDATE ON rule_nats_publish_history
    FOR EACH ROW EXECUTE FUNCTION rule_nats_publish_history_check();

CREATE OR REPLACE FUNCTION rule_nats_config_check() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_name text;
    v_value text;
BEGIN
    -- A secret that is written without naming a key is plain text, whatever the row said of the one before.
    IF NEW.auth_token IS NULL OR (TG_OP = 'UPDATE' AND NEW.auth_token IS DISTINCT FROM OLD.auth_token AND NEW.auth_token_key_id IS NOT DISTINCT FROM OLD.auth_token_key_id) THEN
        NEW.auth_token_key_id := NULL;
    END IF;
    IF NEW.auth_nkey_seed IS NULL
       OR (TG_OP = 'UPDATE' AND NEW.auth_nkey_seed IS DISTINCT FROM OLD.auth_nkey_seed AND NEW.auth_nkey_seed_key_id IS NOT DISTINCT FROM OLD.auth_nkey_seed_key_id) THEN
        NEW.auth_nkey_seed_key_id := NULL;
    END IF;
    IF NEW.nats_url IS NULL OR NEW.nats_url !~ '^(nats|tls)://[^[:space:][:cntrl:]]+$' OR length(NEW.nats_url) > 2048 THEN
        RAISE EXCEPTION 'NATS URL must start with nats:// or tls://' USING ERRCODE = '22023',
            HINT = 'nats://host:4222, at most 2,048 characters without spaces; further servers belong into p_nats_cluster_urls.';
    ELSIF NEW.stream_name !~ '^[A-Za-z0-9_-]{1,255}$' THEN
        RAISE EXCEPTION 'stream_name must have 1 to 255 characters of [A-Za-z0-9_-]' USING ERRCODE = '22023';
    ELSIF cardinality(NEW.nats_cluster_urls) > 16 THEN
        RAISE EXCEPTION 'nats_cluster_urls: % URLs, at most 16; the servers tell of each other', cardinality(NEW.nats_cluster_urls) USING ERRCODE = '22023';
    ELSIF EXISTS (SELECT FROM unnest(NEW.nats_cluster_urls) u WHERE u IS NULL OR u !~ '^(nats|tls)://[^[:space:][:cntrl:],]+$' OR length(u) > 2048) THEN
        RAISE EXCEPTION 'nats_cluster_urls: each must start with nats:// or tls:// and have at most 2048 characters, no space and no comma' USING ERRCODE = '22023';
    ELSIF NEW.auth_token_key_id IS NULL AND (length(NEW.auth_token) > 4096 OR NEW.auth_token ~ '[[:space:][:cntrl:]]') THEN
        RAISE EXCEPTION 'auth_token: must have 1 to 4096 characters and no space' USING ERRCODE = '22023';
    ELSIF NEW.auth_nkey_seed_key_id IS NULL AND NEW.auth_nkey_seed !~ '^SU[A-Z2-7]{56}$' THEN
        RAISE EXCEPTION 'auth_nkey_seed: must be the seed of a user key, SU and 56 characters of A-Z and 2-7' USING ERRCODE = '22023';
    ELSIF NEW.max_connections NOT BETWEEN 1 AND 64 THEN
        RAISE EXCEPTION 'max_connections: % is not 1 to 64', NEW.max_connections USING ERRCODE = '22023';
    ELSIF NEW.connection_timeout_ms NOT BETWEEN 1 AND 60000 THEN
        RAISE EXCEPTION 'connection_timeout_ms: % is not 1 to 60000', NEW.connection_timeout_ms USING ERRCODE = '22023';
    ELSIF NEW.reconnect_delay_ms NOT BETWEEN 0 AND 60000 THEN
        RAISE EXCEPTION 'reconnect_delay_ms: % is not 0 to 60000', NEW.reconnect_delay_ms USING ERRCODE = '22023';
    ELSIF NEW.max_reconnect_attempts < -1 THEN
        RAISE EXCEPTION 'max_reconnect_attempts: % is less than -1 (no limit)', NEW.max_reconnect_attempts USING ERRCODE = '22023';
    ELSIF (NEW.tls_cert_file IS NULL) <> (NEW.tls_key_file IS NULL) THEN
        RAISE EXCEPTION 'tls_cert_file and tls_key_file: give both or neither' USING ERRCODE = '22023';
    END IF;
    FOR v_name, v_value IN VALUES ('auth_credentials_file', NEW.auth_credentials_file), ('tls_cert_file', NEW.tls_cert_file),
                                  ('tls_key_file', NEW.tls_key_file), ('tls_ca_file', NEW.tls_ca_file) LOOP
        IF length(v_value) NOT BETWEEN 1 AND 1024 OR v_value ~ '[[:cntrl:]]' THEN
            RAISE EXCEPTION '%: a path has 1 to 1024 characters and no control character', v_name USING ERRCODE = '22023';
        END IF;
    END LOOP;
    IF nullif(NEW.subject_prefix, '') IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.subject_prefix IS DISTINCT FROM OLD.subject_prefix) THEN
        PERFORM rule_nats_subject_check(NEW.subject_prefix);
    END IF;
    -- Services report the version they work with by this time, so two changes must not have the same. Encrypting a secret makes no other version.
    IF TG_OP = 'UPDATE' AND NEW IS DISTINCT FROM OLD
       AND NOT (NEW.auth_token_key_id IS NOT NULL AND NEW.auth_token_key_id IS DISTINCT FROM OLD.auth_token_key_id
                OR NEW.auth_nkey_seed_key_id IS NOT NULL AND NEW.auth_nkey_seed_key_id IS DISTINCT FROM OLD.auth_nkey_seed_key_id) THEN
        NEW.updated_at := clock_timestamp();
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION rule_nats_config_check() IS 'Checks what a NATS configuration holds, whoever writes it, and dates each change.';
CREATE OR REPLACE TRIGGER rule_nats_config_check BEFORE INSERT OR UPDATE ON rule_nats_config
    FOR EACH ROW EXECUTE FUNCTION rule_nats_config_check();

-- Services keep snapshots of these few and rarely changed rows. They listen here and also reload now and then.
CREATE OR REPLACE FUNCTION rule_config_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM pg_notify('rule_config_changed', TG_TABLE_NAME);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION rule_config_changed() IS 'Tells the services, on channel rule_config_changed, which configuration table changed.';
CREATE OR REPLACE TRIGGER rule_config_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON rule_webhooks
    FOR EACH STATEMENT EXECUTE FUNCTION rule_config_changed();
CREATE OR REPLACE TRIGGER rule_config_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON rule_webhook_secrets
    FOR EACH STATEMENT EXECUTE FUNCTION rule_config_changed();
CREATE OR REPLACE TRIGGER rule_config_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON rule_nats_config
    FOR EACH STATEMENT EXECUTE FUNCTION rule_config_changed();
CREATE OR REPLACE TRIGGER rule_config_changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF config_id, stream_name, subjects, storage_type,
        max_messages, max_bytes, max_age_seconds, retention_policy, discard_policy, replicas, duplicate_window_seconds, enabled ON rule_nats_streams
    FOR EACH STATEMENT EXECUTE FUNCTION rule_config_changed();
