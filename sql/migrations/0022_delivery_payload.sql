-- What is sent to one webhook: which of the events, in which form.
SET search_path TO public, pg_temp;

ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS payload_template jsonb;
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS content_filter text;
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS content_encoding text NOT NULL DEFAULT 'identity';
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS cloudevents_mode text NOT NULL DEFAULT 'binary';

COMMENT ON COLUMN rule_webhooks.payload_template IS 'What is sent instead of the event''s body: an object, array or string of at most 64 KiB in which {{customer.name}}, {{items[0]."unit price"}} or {{$}} stands for that part of the body and {{$subject}}, {{$id}}, {{$time}}, {{$type}}, {{$source}}, {{$webhook}} for what is known of the event. A string that is one placeholder becomes the value itself, null where there is none; elsewhere the value is inserted as text. Null: the body, byte for byte.';
COMMENT ON COLUMN rule_webhooks.content_filter IS 'A SQL/JSON path in lax mode: of the events of its subjects it receives those for which payload @@ content_filter is true or, where it is no predicate, payload @? content_filter. The parts of the language that may be used: rule_webhook_filter_check. Kept as PostgreSQL prints it. Null: every event.';
COMMENT ON COLUMN rule_webhooks.content_encoding IS 'identity, or gzip: bodies over 1 KiB are sent compressed, with Content-Encoding: gzip. The signature is that of the body before it was compressed.';
COMMENT ON COLUMN rule_webhooks.cloudevents_mode IS 'binary: the attributes of CloudEvents are the headers ce-… of the request. structured: they are members of its body, application/cloudevents+json, which has the payload in data, or in data_base64 when it is no JSON.';
