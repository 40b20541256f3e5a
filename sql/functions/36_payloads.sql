-- Which events a webhook receives by their content, and what it is sent of them. The same rules are in services/DeliveryWorker/Payloads.
SET search_path TO public, pg_temp;

-- placeholder  {{ path }} or {{ $word }}, spaces inside the braces allowed
-- path         $ or a name, then .name and [index]
-- name         a letter or _, then letters, digits, _ and -; or anything in double quotes, where \ stands before " and \
CREATE OR REPLACE FUNCTION rule_webhook_template_check(p_template jsonb)
RETURNS jsonb LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    c_name constant text := '(?:[A-Za-z_][A-Za-z0-9_-]*|"(?:[^"\\\u0001-\u001f]|\\["\\])*")';
    c_placeholder constant text := '^\{\{ *(?:\$(?:subject|id|time|type|source|webhook)|(?:\$|' || c_name || ')(?:\.' || c_name || '|\[[0-9]{1,9}\])*) *\}\}';
    v_part record;
    v_at integer;
    v_next integer;
    v_placeholders integer := 0;
BEGIN
    IF p_template IS NULL THEN
        RETURN NULL;
    ELSIF jsonb_typeof(p_template) NOT IN ('object', 'array', 'string') THEN
        RAISE EXCEPTION 'payload_template: must be an object, an array or a string' USING ERRCODE = '22023';
    ELSIF octet_length(p_template::text) > 65536 THEN
        RAISE EXCEPTION 'payload_template: % bytes, at most 65536', octet_length(p_template::text) USING ERRCODE = '22023';
    END IF;
    FOR v_part IN
        WITH RECURSIVE part AS (
            SELECT '' AS place, NULL::text AS name, p_template AS value, 1 AS depth
            UNION ALL
            SELECT p.place || '/' || e.name, CASE jsonb_typeof(p.value) WHEN 'object' THEN e.name END, e.value, p.depth + 1
              FROM part p, LATERAL (
                    SELECT o.key, o.value FROM jsonb_each(CASE jsonb_typeof(p.value) WHEN 'object' THEN p.value END) o
                    UNION ALL
                    SELECT (a.n - 1)::text, a.value FROM jsonb_array_elements(CASE jsonb_typeof(p.value) WHEN 'array' THEN p.value END) WITH ORDINALITY a(value, n)) e(name, value)
             WHERE p.depth <= 32)
        SELECT place, name, depth, CASE jsonb_typeof(value) WHEN 'string' THEN value #>> '{}' END AS text FROM part
    LOOP
        IF v_part.depth > 32 THEN
            RAISE EXCEPTION 'payload_template: deeper than 32 levels' USING ERRCODE = '22023';
        ELSIF v_part.name ~ '\{\{' THEN
            RAISE EXCEPTION 'payload_template: a name has a placeholder at %', left(v_part.place, 200) USING ERRCODE = '22023';
        END IF;
        v_at := 1;
        LOOP
            v_next := position('{{' IN substr(v_part.text, v_at));
            EXIT WHEN coalesce(v_next, 0) = 0;
            v_at := v_at + v_next - 1;
            v_next := length(substring(substr(v_part.text, v_at) FROM c_placeholder));
            v_placeholders := v_placeholders + 1;
            IF v_next IS NULL THEN
                RAISE EXCEPTION 'payload_template: no placeholder at character % of %', v_at, coalesce(nullif(left(v_part.place, 200), ''), 'the text')
                    USING ERRCODE = '22023', HINT = 'A placeholder is {{path}} such as {{customer.name}}, {{items[0]."unit price"}}, {{$}} or {{$subject}}.';
            ELSIF v_placeholders > 256 THEN
                RAISE EXCEPTION 'payload_template: more than 256 placeholders' USING ERRCODE = '22023';
            END IF;
            v_at := v_at + v_next;
        END LOOP;
    END LOOP;
    RETURN p_template;
END $$;
COMMENT ON FUNCTION rule_webhook_template_check(jsonb) IS
'Returns a payload_template if the delivery worker can fill it: an object, array or string of at most 64 KiB, 32 levels and 256 placeholders, none of them in a name; null passes. Else raises 22023 "payload_template: …", for a placeholder with the place (as in JSON Pointer) and the character in it, from 1.';

-- The worker has its own regular expressions: what is let through is what both engines understand alike. What \d, \s and \w stand for depends on the
-- locale of the database, so they are written out.
CREATE OR REPLACE FUNCTION rule_webhook_filter_regex_check(p_pattern text, p_flags text)
RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    c_class constant text := '\[\^?-?(?:\\[ntrfv]|(?:[^\]\[\\^\U00010000-\U0010ffff-]|\\[^A-Za-z0-9])(?:-(?:[^\]\[\\^\U00010000-\U0010ffff-]|\\[^A-Za-z0-9]))?)+-?\]';
    c_atom constant text := '(?:[^\\^$.|?*+(){}\[\]]|\\[ntrfv]|\\[^A-Za-z0-9]|\.|' || c_class || ')';
    c_pattern constant text := '^(?:' || c_atom || '(?:[*+?]|\{[0-9]{1,3}(?:,[0-9]{0,3})?\})?|\)[*+?]?|\((?:\?:)?|[|^$])*$';
    v_token text;
    v_in_class boolean := false;
    v_pattern text := '';
BEGIN
    FOR v_token IN SELECT m[1] FROM regexp_matches(p_pattern, '(\\.|.)', 'g') m LOOP
        IF v_token IN ('\d', '\s', '\w') THEN
            -- [a-\d] has no meaning, and would get one here.
            IF v_in_class AND v_pattern ~ '[^[]-$' THEN
                RAISE EXCEPTION 'content_filter: a range in a pattern of like_regex ends with %', v_token USING ERRCODE = '22023';
            END IF;
            v_token := CASE v_token WHEN '\d' THEN '0-9' WHEN '\s' THEN ' \t\n\r\f\v' ELSE 'A-Za-z0-9_' END;
            v_token := CASE WHEN v_in_class THEN v_token ELSE '[' || v_token || ']' END;
        ELSIF v_token IN ('[', ']') THEN
            v_in_class := v_token = '[';
        END IF;
        v_pattern := v_pattern || v_token;
    END LOOP;
    IF length(v_pattern) NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'content_filter: a pattern of like_regex has 1 to 1000 characters' USING ERRCODE = '22023', HINT = '\w and the like count as the classes they stand for.';
    ELSIF p_flags ~ '[^ims]' THEN
        RAISE EXCEPTION 'content_filter: like_regex has the flags i, m and s here' USING ERRCODE = '22023';
    ELSIF p_flags ~ 'i' AND v_pattern ~ '[^\u0001-\u007f]' THEN
        RAISE EXCEPTION 'content_filter: with the flag i a pattern of like_regex has ASCII characters only' USING ERRCODE = '22023';
    ELSIF v_pattern !~ c_pattern OR v_pattern ~ '[\u0001-\u001f\u007f]' THEN
        RAISE EXCEPTION 'content_filter: the pattern of like_regex uses more than characters, ., classes in [], \d, \s, \w, ^, $, |, groups, *, +, ? and {m,n} after one character' USING ERRCODE = '22023';
    ELSIF (SELECT sum(coalesce(m[2], m[1])::integer) FROM regexp_matches(v_pattern, '\{(\d+)(?:,(\d+))?', 'g') m) > 1000 THEN
        RAISE EXCEPTION 'content_filter: the repetitions in a pattern of like_regex add up to more than 1000' USING ERRCODE = '22023';
    END IF;
    RETURN v_pattern;
END $$;
COMMENT ON FUNCTION rule_webhook_filter_regex_check(text, text) IS 'Internal: refuses a pattern or flags of like_regex that the delivery worker does not implement; returns the pattern with \d, \s and \w written out.';

CREATE OR REPLACE FUNCTION rule_webhook_filter_check(p_filter text)
RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    v_path text;
    v_written text := '';
    v_token text;
    v_shape text := '';
    v_before text;
    v_pattern text;
    v_what text;
BEGIN
    IF p_filter IS NULL THEN
        RETURN NULL;
    ELSIF octet_length(p_filter) > 8192 THEN
        RAISE EXCEPTION 'content_filter: % bytes, at most 8192', octet_length(p_filter) USING ERRCODE = '22023';
    END IF;
    BEGIN
        v_path := p_filter::jsonpath::text;
    EXCEPTION WHEN syntax_error OR data_exception OR feature_not_supported OR program_limit_exceeded THEN
        RAISE EXCEPTION 'content_filter: %', SQLERRM USING ERRCODE = '22023';
    END;
    -- As PostgreSQL prints it every name and text is quoted. Each becomes an s, and what is left shows the form alone.
    FOR v_token IN SELECT m[1] FROM regexp_matches(v_path, '("(?:[^"\\]|\\.)*"|[^"]+)', 'g') m LOOP
        IF v_token ~ '^"' AND v_shape ~ ' like_regex $' THEN
            v_pattern := rule_webhook_filter_regex_check(v_token::jsonb #>> '{}', '');
            v_token := to_json(v_pattern)::text;
        ELSIF v_token ~ '^"' AND v_shape ~ ' like_regex s flag $' THEN
            PERFORM rule_webhook_filter_regex_check(v_pattern, v_token::jsonb #>> '{}');
        END IF;
        v_written := v_written || v_token;
        v_shape := v_shape || CASE WHEN v_token ~ '^"' THEN 's' ELSE v_token END;
    END LOOP;
    v_what := CASE
        WHEN v_shape ~ '^strict' THEN 'strict mode'
        WHEN v_shape ~ '\.\*\*' THEN '.**'
        WHEN v_shape ~ '\.\*' THEN '.*'
        WHEN v_shape ~ '\.[a-z_]+\(' THEN substring(v_shape FROM '\.[a-z_]+\(') || ')'
        WHEN v_shape ~ '\$s' THEN 'a variable'
        WHEN v_shape ~ 'is unknown' THEN 'is unknown'
        WHEN v_shape ~ 'last' THEN 'last'
        WHEN v_shape ~ '\[(?!\*\]|[0-9]{1,9}\])' THEN 'an index that is not one number'
        WHEN v_shape ~ ' [-+*/%] | ?-[($@]' THEN 'arithmetic' END;
    IF v_what IS NOT NULL THEN
        RAISE EXCEPTION 'content_filter: % is not supported', v_what USING ERRCODE = '22023';
    END IF;
    v_shape := regexp_replace(replace(v_shape, '.s', '.m'), '\[[0-9]{1,9}\]', '[*]', 'g');
    v_shape := regexp_replace(v_shape, '-?[0-9]+(?:\.[0-9]+)?|\m(?:true|false|null)\M', 'n', 'g');
    -- What is understood is replaced from the inside outwards: P a path, F a filter, B a condition.
    FOR v_pass IN 1 .. 300 LOOP
        v_before := v_shape;
        v_shape := regexp_replace(v_shape, '[$@P](?:\.m|\[\*\]|F)*', 'P', 'g');
        v_shape := regexp_replace(v_shape, '[Pns] (?:(?:==|!=|<=?|>=?) [Pns](?![.?[F])|starts with s|like_regex s(?: flag s)?)|exists \(P\)|!\(B\)', 'B', 'g');
        v_shape := regexp_replace(v_shape, 'B(?: (?:&&|\|\|) B)+', 'B', 'g');
        v_shape := regexp_replace(v_shape, '\?\(B\)', 'F', 'g');
        v_shape := regexp_replace(v_shape, '(^|[^?!])\(B\)', '\1B', 'g');
        EXIT WHEN v_shape = v_before;
    END LOOP;
    IF v_shape NOT IN ('P', 'B') THEN
        RAISE EXCEPTION 'content_filter: must be a path from $, or conditions of such paths, with at most 250 levels' USING ERRCODE = '22023';
    END IF;
    v_path := v_written::jsonpath::text;
    -- What is returned is checked again whenever the row is written, and has to pass.
    IF octet_length(v_path) > 8192 THEN
        RAISE EXCEPTION 'content_filter: % bytes when written out, at most 8192', octet_length(v_path) USING ERRCODE = '22023';
    END IF;
    RETURN v_path;
END $$;
COMMENT ON FUNCTION rule_webhook_filter_check(text) IS
'Returns a content_filter as PostgreSQL prints it if the delivery worker implements all of it; null passes. A SQL/JSON path in lax mode: $ and @, .name, [index], [*], filters ?( ), ==, !=, <>, <, <=, >, >=, starts with, like_regex with the flags i, m and s, exists( ), &&, ||, !( ), numbers, strings, true, false and null. Not: strict, .*, .**, methods, arithmetic, variables, last, lists and ranges of indices, is unknown. \d, \s and \w of a pattern are those of ASCII. Else raises 22023 "content_filter: …", which names the part.';

-- A predicate finds true, false or null in any document; a path finds nothing of the kind in a text.
CREATE OR REPLACE FUNCTION rule_webhook_filter_matches(p_filter jsonpath, p_payload jsonb)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT p_filter IS NULL
        OR coalesce(CASE WHEN jsonb_typeof(jsonb_path_query_first('"x"', p_filter, silent => true)) IN ('boolean', 'null')
                         THEN p_payload @@ p_filter ELSE p_payload @? p_filter END, false)
$$;
COMMENT ON FUNCTION rule_webhook_filter_matches(jsonpath, jsonb) IS
'True when a content_filter lets a payload through: payload @@ filter for a predicate, payload @? filter for any other path; unknown is false. Null lets everything through.';

CREATE OR REPLACE FUNCTION rule_webhook_matches(p_webhook_id integer, p_subject text, p_payload jsonb)
RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    v_matches boolean;
BEGIN
    PERFORM rule_nats_subject_check(p_subject);
    SELECT w.enabled AND w.nats_enabled AND coalesce(rule_nats_subject_covers(coalesce(w.subject_filter, w.nats_subject), p_subject), false)
           AND rule_webhook_filter_matches(w.content_filter::jsonpath, p_payload)
      INTO v_matches FROM rule_webhooks w WHERE w.webhook_id = p_webhook_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Webhook not found: %', p_webhook_id USING ERRCODE = 'P0002';
    END IF;
    RETURN coalesce(v_matches, false);
END $$;
COMMENT ON FUNCTION rule_webhook_matches(integer, text, jsonb) IS
'Whether a webhook would be sent an event with this subject and payload: it is on, subject_filter (or nats_subject) matches, and so does content_filter. Calls that are queued for it explicitly are sent in any case. 22023 for a subject that cannot be, P0002 for an unknown webhook.';
