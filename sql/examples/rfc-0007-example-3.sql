-- External workers join same queue group for load balancing
-- Only ONE worker in the group receives each message

-- Worker 1: nats sub -s nats://server:4222 --queue=webhook-workers events.order.*
-- Worker 2: nats sub -s nats://server:4222 --queue=webhook-workers events.order.*
-- Worker 3: nats sub -s nats://server:4222 --queue=webhook-workers events.order.*

-- Publish 100 events - distributed across 3 workers
DO $$
BEGIN
    FOR i IN 1..100 LOOP
        PERFORM rule_webhook_call_unified(
            1,
            jsonb_build_object('order_id', i, 'amount', i * 10)
        );
    END LOOP;
END $$;
