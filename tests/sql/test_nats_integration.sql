-- Test NATS configuration
BEGIN;
SELECT plan(5);

-- Test: Create NATS config
SELECT ok(
    rule_nats_configure('test', 'nats://localhost:4222', 'none', true),
    'Should create NATS config'
);

-- Test: Enable NATS for webhook
SELECT ok(
    rule_webhook_enable_nats(1, 'test.subject', 'nats', 'test'),
    'Should enable NATS for webhook'
);

-- Test: Publish to NATS
SELECT ok(
    (rule_webhook_call_unified(1, '{"test": true}'::jsonb)->>'success')::boolean,
    'Should publish to NATS successfully'
);

-- Test: Verify history
SELECT ok(
    EXISTS(SELECT 1 FROM rule_nats_publish_history WHERE webhook_id = 1),
    'Should record publish in history'
);

-- Test: Get stats
SELECT ok(
    (rule_nats_stats(1, 1)->>'total_published')::int > 0,
    'Should return stats'
);

SELECT * FROM finish();
ROLLBACK;
