-- 1. Configure NATS connection
SELECT rule_nats_configure(
    'default',
    'nats://nats-server:4222',
    'none',
    true -- Enable JetStream
);

-- 2. Initialize NATS connection pool (Rust function)
SELECT rule_nats_init('default');

-- 3. Create JetStream stream
SELECT rule_nats_stream_create(
    'WEBHOOKS',
    ARRAY['webhooks.*', 'events.*'],
    'default',
    'limits',
    604800 -- 7 days retention
);

-- 4. Register webhook with NATS enabled
SELECT rule_webhook_register(
    'slack_alerts',
    'https://hooks.slack.com/services/XXX',
    'POST',
    '{"Content-Type": "application/json"}'::JSONB
);

-- 5. Enable NATS for webhook
SELECT rule_webhook_enable_nats(
    1, -- webhook_id
    'webhooks.slack', -- subject
    'nats', -- publish to NATS only
    'default'
);

-- 6. Publish event
SELECT rule_webhook_call_unified(
    1,
    '{"text": "Alert: System error detected!"}'::JSONB
);
