-- The example's own table, and what a login of role rule_worker needs of it besides.
CREATE TABLE IF NOT EXISTS order_audit (
    event_id     text PRIMARY KEY,
    subject      text NOT NULL,
    stored_at    timestamptz NOT NULL,
    order_number text NOT NULL,
    total        numeric,
    traceparent  text
);
GRANT SELECT, INSERT ON order_audit TO rule_worker;
