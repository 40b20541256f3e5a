-- Setup: One webhook publishes to NATS subject
-- Multiple workers subscribe to same subject with different queue groups

-- Enable NATS for webhook
SELECT rule_webhook_enable_nats(
    1, -- webhook_id
    'events.order.created', -- subject
    'nats'
);

-- Publish event (will be received by ALL subscribers)
SELECT rule_webhook_call_unified(
    1,
    '{
        "order_id": 12345,
        "customer_id": 678,
        "amount": 999.99
    }'::JSONB
);

-- External workers:
-- Worker 1 (Email Service): nats sub -s nats://server:4222 events.order.created
-- Worker 2 (Analytics): nats sub -s nats://server:4222 events.order.created
-- Worker 3 (Audit Log): nats sub -s nats://server:4222 events.order.created
