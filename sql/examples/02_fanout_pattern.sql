-- Fan-out: one registration, four webhooks, each with a subject below webhooks.user.registered and a fate of its own.
--
--   psql "<the postgres URI that ./run prints>" -v ON_ERROR_STOP=1 -f sql/examples/02_fanout_pattern.sql
--   ... -v receiver=https://example.com/hooks    your endpoint; without one the requests go to port 9000 of this machine
--
-- Makes a table users. May be run again: what was published is then recognised by its id.
--
-- Where every receiver gets the same event, one webhook that publishes and a subject_filter at the others need no function at all:
-- the delivery worker sends a message to each webhook whose filter has its subject. Here each has a subject, so that who gets what
-- is decided in SQL, and the history and the statistics tell the four apart.
\if :{?receiver}
\else
    \set receiver http://localhost:9000
\endif

\echo '== 1. Four webhooks'
SELECT w.name, rule_webhook_register(w.name, :'receiver' || w.path) AS registered
  FROM (VALUES ('slack_user_registration', '/slack'), ('email_welcome', '/email'),
               ('analytics_user_event', '/analytics'), ('crm_contact_create', '/crm')) w(name, path)
 WHERE NOT EXISTS (SELECT FROM rule_webhooks r WHERE r.webhook_name = w.name);
SELECT r.webhook_name, s.subject, rule_webhook_update(r.webhook_id, p_url => :'receiver' || s.path) AS updated,
       rule_webhook_enable_nats(r.webhook_id, s.subject, 'nats') AS enabled
  FROM (VALUES ('slack_user_registration', '/slack', 'webhooks.user.registered.slack'),
               ('email_welcome', '/email', 'webhooks.user.registered.email'),
               ('analytics_user_event', '/analytics', 'webhooks.user.registered.analytics'),
               ('crm_contact_create', '/crm', 'webhooks.user.registered.crm')) s(name, path, subject)
  JOIN rule_webhooks r ON r.webhook_name = s.name;

-- Publishes one event through each of these webhooks. Each has a savepoint: what is refused for one is reported, and the others get theirs.
CREATE OR REPLACE FUNCTION fan_out(p_webhooks text[], p_event jsonb, p_event_id text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v_webhook record;
    v_result jsonb;
    v_results jsonb := '[]';
    v_accepted integer := 0;
BEGIN
    FOR v_webhook IN
        SELECT webhook_id, webhook_name, nats_subject FROM rule_webhooks
         WHERE webhook_name = ANY (p_webhooks) AND enabled AND nats_enabled ORDER BY webhook_id
    LOOP
        BEGIN
            v_result := rule_webhook_publish_nats(v_webhook.webhook_id, p_event, p_event_id || '-' || v_webhook.webhook_name);
            v_accepted := v_accepted + 1;
        EXCEPTION WHEN OTHERS THEN
            v_result := jsonb_build_object('success', false, 'error', SQLERRM, 'sqlstate', SQLSTATE);
        END;
        v_results := v_results || jsonb_build_object('webhook', v_webhook.webhook_name, 'subject', v_webhook.nats_subject, 'result', v_result);
    END LOOP;
    RETURN jsonb_build_object('success', v_accepted = jsonb_array_length(v_results), 'webhooks_triggered', v_accepted, 'results', v_results);
END $$;

-- To every webhook below webhooks.user.registered. The event's time is that of the registration: said again, it is the same event.
CREATE OR REPLACE FUNCTION notify_user_registered(p_user_id integer, p_email text, p_name text, p_signup_date timestamptz DEFAULT now())
RETURNS jsonb LANGUAGE sql AS $$
    SELECT fan_out(
        ARRAY(SELECT webhook_name FROM rule_webhooks WHERE rule_nats_subject_covers('webhooks.user.registered.*', nats_subject)),
        jsonb_build_object('event', 'user.registered', 'user_id', p_user_id, 'email', p_email, 'name', p_name,
                           'signup_date', p_signup_date, 'timestamp', p_signup_date),
        'user-reg-' || p_user_id)
$$;

-- Slack and e-mail always, the CRM for premium users.
CREATE OR REPLACE FUNCTION notify_user_registered_conditional(p_user_id integer, p_email text, p_name text, p_user_type text)
RETURNS jsonb LANGUAGE sql AS $$
    SELECT fan_out(
        ARRAY['slack_user_registration', 'email_welcome'] || CASE WHEN p_user_type = 'premium' THEN ARRAY['crm_contact_create'] ELSE '{}' END,
        jsonb_build_object('event', 'user.registered', 'user_id', p_user_id, 'email', p_email, 'name', p_name, 'user_type', p_user_type),
        'user-reg-' || p_user_id)
$$;

\echo '== 2. One call, four events'
SELECT jsonb_pretty(notify_user_registered(1001, 'ada@example.com', 'Ada', '2026-01-01 10:00+00')) AS fan_out;

\echo '== 3. By a trigger: an INSERT into users is all the application does'
CREATE TABLE IF NOT EXISTS users (
    user_id    serial PRIMARY KEY,
    email      text NOT NULL UNIQUE,
    name       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE OR REPLACE FUNCTION trigger_user_registered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM notify_user_registered(NEW.user_id, NEW.email, NEW.name, NEW.created_at);
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER user_after_insert AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION trigger_user_registered();
INSERT INTO users (email, name) VALUES ('grace@example.com', 'Grace'), ('edsger@example.com', 'Edsger') ON CONFLICT (email) DO NOTHING;

-- An INSERT that is rolled back announces nobody.
BEGIN;
INSERT INTO users (email, name) VALUES ('nobody@example.com', 'Nobody');
ROLLBACK;

\echo '== 4. By condition: the CRM hears of premium users only'
SELECT notify_user_registered_conditional(1002, 'barbara@example.com', 'Barbara', 'premium') ->> 'webhooks_triggered' AS premium,
       notify_user_registered_conditional(1003, 'donald@example.com', 'Donald', 'free') ->> 'webhooks_triggered' AS free;

\echo '== 5. What one refuses the others get: this id is already another event of the CRM'
SELECT webhook_id AS crm FROM rule_webhooks WHERE webhook_name = 'crm_contact_create' \gset
SELECT rule_webhook_publish_nats(:crm, '{"event": "user.imported", "user_id": 1004}', 'user-reg-1004-crm_contact_create') ->> 'state' AS imported;
SELECT r -> 'webhook' AS webhook, r #> '{result,success}' AS success, coalesce(r #>> '{result,state}', r #>> '{result,error}') AS result
  FROM jsonb_array_elements(notify_user_registered(1004, 'tony@example.com', 'Tony', '2026-01-01 11:00+00') -> 'results') r;

DO $$
BEGIN
    FOR tenth IN 1..100 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM rule_nats_publish_history WHERE subject LIKE 'webhooks.user.registered.%' AND state = 'pending');
        PERFORM pg_sleep(0.1);
    END LOOP;
END $$;

\echo '== 6. Each webhook by itself'
SELECT webhook_name, subject, total_published, successful, failed, pending, success_rate_pct, avg_latency_ms
  FROM nats_publish_summary WHERE subject LIKE 'webhooks.user.registered.%' ORDER BY webhook_name;
