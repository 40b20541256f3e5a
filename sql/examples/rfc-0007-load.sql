-- Load test: Publish 10,000 messages
DO $$
DECLARE
    v_start TIMESTAMP;
    v_end TIMESTAMP;
    v_duration NUMERIC;
BEGIN
    v_start := clock_timestamp();

    FOR i IN 1..10000 LOOP
        PERFORM rule_webhook_call_unified(
            1,
            jsonb_build_object('id', i, 'data', 'test')
        );
    END LOOP;

    v_end := clock_timestamp();
    v_duration := EXTRACT(EPOCH FROM (v_end - v_start));

    RAISE NOTICE 'Published 10,000 messages in % seconds (% msg/sec)',
        v_duration,
        ROUND(10000 / v_duration);
END $$;

-- Expected: >1,000 msg/sec with NATS
