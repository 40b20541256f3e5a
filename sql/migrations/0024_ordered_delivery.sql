-- First in, first out for the webhooks that ask for it, over all workers.
SET search_path TO public, pg_temp;

ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS ordering text NOT NULL DEFAULT 'none';
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS order_by text;
ALTER TABLE rule_webhooks ADD COLUMN IF NOT EXISTS order_on_failure text NOT NULL DEFAULT 'block';
COMMENT ON COLUMN rule_webhooks.ordering IS 'none; webhook: one event after the other, as they lie in the stream or were queued; key: so for each value of order_by. Ordered events go through rule_webhook_calls, one at a time for each key. Not with publish_mode both, whose two paths have no order.';
COMMENT ON COLUMN rule_webhooks.order_by IS 'With ordering key: where the key is, a path of names and indexes ($.customer.id, $.lines[0].sku) or header:<name of a header of the event>. Events without it share one key.';
COMMENT ON COLUMN rule_webhooks.order_on_failure IS 'When an ordered event fails: block, the later ones of its key wait until it is delivered, redriven or discarded; skip, they go on and it is repeated beside them; park, they go on and it is given up at once.';

ALTER TABLE rule_webhook_calls ADD COLUMN IF NOT EXISTS order_key text;
ALTER TABLE rule_webhook_calls ADD COLUMN IF NOT EXISTS order_stream text;
ALTER TABLE rule_webhook_calls ADD COLUMN IF NOT EXISTS order_no bigint;
ALTER TABLE rule_webhook_calls ADD COLUMN IF NOT EXISTS order_xid xid8;
COMMENT ON COLUMN rule_webhook_calls.order_key IS 'Of an ordered webhook: the key whose calls go one after the other; null for a call that waits for none. A failed call that still has it blocks its key.';
COMMENT ON COLUMN rule_webhook_calls.order_stream IS 'The stream whose sequence order_no is; null for a call that was queued.';
COMMENT ON COLUMN rule_webhook_calls.order_no IS 'Its place among those of its key.';
COMMENT ON COLUMN rule_webhook_calls.order_xid IS 'The transaction that queued it: an earlier one that is still open may queue before it.';

CREATE INDEX IF NOT EXISTS idx_webhook_calls_ordered ON rule_webhook_calls (webhook_id, order_key, order_no) WHERE order_key IS NOT NULL AND status <> 'success';
-- What is due for one endpoint, first attempts before repeats: a claim takes from each endpoint what that endpoint may have. A call that is begun anew is a
-- first attempt again, however many were made before: retry_count says so, attempts does not.
CREATE INDEX IF NOT EXISTS idx_webhook_calls_due_of_webhook ON rule_webhook_calls (webhook_id, (retry_count > 0), due_at) WHERE due_at IS NOT NULL AND order_key IS NULL;
