-- Row changes: a webhook that gets what happens to a table, with no trigger and no publish.
--
--   psql "<the postgres URI that ./run prints>" -v ON_ERROR_STOP=1 -f sql/examples/05_row_changes.sql
--   ... -v receiver=https://example.com/hooks    your endpoint; without one the requests go to port 9000 of this machine
--
-- May be run again.
\if :{?receiver}
\else
    \set receiver http://localhost:9000
\endif

\echo '== 1. A table like any other'
CREATE TABLE IF NOT EXISTS customer_orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, total numeric NOT NULL, state text NOT NULL DEFAULT 'new', card text);
INSERT INTO customer_orders (total, card) SELECT 500, '4111 1111 1111 1111' WHERE NOT EXISTS (SELECT FROM customer_orders);

\echo '== 2. It is captured: cards are masked, small orders left out, and what is there already is read'
SELECT rule_cdc_table_add('customer_orders', p_settings => '{"mask_columns": ["card"], "row_filter": "$.total >= 100", "snapshot": true}');

\echo '== 3. A webhook that asks for its changes'
SELECT rule_webhook_register('order_changes', :'receiver' || '/order-changes') AS registered
 WHERE NOT EXISTS (SELECT FROM rule_webhooks WHERE webhook_name = 'order_changes');
SELECT webhook_id AS changes FROM rule_webhooks WHERE webhook_name = 'order_changes' \gset
SELECT rule_webhook_update(:changes, p_url => :'receiver' || '/order-changes') AS updated, rule_webhook_enable_nats(:changes, 'webhooks.order_changes', 'nats') AS enabled;
UPDATE rule_webhooks SET subject_filter = 'postgres.public.customer_orders.*' WHERE webhook_id = :changes;

-- The capture makes its slot; what commits from then on is an event.
DO $$
BEGIN
    FOR tenth IN 1..300 LOOP
        EXIT WHEN (SELECT state FROM cdc_status WHERE capture_name = 'default') = 'capturing' AND NOT EXISTS (SELECT FROM rule_cdc_snapshot_requests);
        COMMIT;
        PERFORM pg_sleep(0.1);
    END LOOP;
END $$;

\echo '== 4. Changes, in transactions of their own'
INSERT INTO customer_orders (total, card) VALUES (250, '4222 2222 2222 2222'), (20, NULL);
UPDATE customer_orders SET state = 'paid' WHERE state = 'new';

\echo '== 5. How the capture is doing, and what it has read'
SELECT capture_name, state, tables, wal_status, behind_bytes FROM cdc_status;
SELECT table_name, state, rows_read FROM rule_cdc_snapshots ORDER BY started_at DESC LIMIT 1;
