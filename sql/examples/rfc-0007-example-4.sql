-- Use BOTH PostgreSQL queue AND NATS for redundancy
SELECT rule_webhook_enable_nats(
    1,
    'webhooks.critical',
    'both' -- Queue + NATS
);

-- This will:
-- 1. Enqueue to rule_webhook_calls (for PG-based workers)
-- 2. Publish to NATS (for NATS-based workers)
SELECT rule_webhook_call_unified(
    1,
    '{"critical": true, "message": "Payment failed"}'::JSONB
);
