-- Workers report more about themselves than upstream's six arguments can say.
SET search_path TO public, pg_temp;

DROP FUNCTION IF EXISTS rule_nats_consumer_update_stats(text, text, bigint, bigint, bigint, numeric);

COMMENT ON TABLE rule_nats_consumer_stats IS 'One row per worker process and stream, written by that worker. Counts begin with the process.';
COMMENT ON COLUMN rule_nats_consumer_stats.consumer_name IS 'Names the process: durable@machine:process id for this project''s workers.';
COMMENT ON COLUMN rule_nats_consumer_stats.queue_group IS 'The durable whose messages the workers share.';
COMMENT ON COLUMN rule_nats_consumer_stats.ack_policy IS 'ack_policy of the durable: explicit, all or none.';
COMMENT ON COLUMN rule_nats_consumer_stats.max_deliver IS 'max_deliver of the durable; -1 for no limit, where the worker counts attempts itself.';
COMMENT ON COLUMN rule_nats_consumer_stats.messages_delivered IS 'Messages this worker got, repeats included.';
COMMENT ON COLUMN rule_nats_consumer_stats.messages_acknowledged IS 'Messages whose acknowledgement the server confirmed to this worker.';
COMMENT ON COLUMN rule_nats_consumer_stats.messages_pending IS 'Messages that the server has for the durable and gave to no worker yet.';
COMMENT ON COLUMN rule_nats_consumer_stats.messages_redelivered IS 'Messages this worker got that some worker had got before.';
COMMENT ON COLUMN rule_nats_consumer_stats.avg_processing_time_ms IS 'Milliseconds from getting a message to being done with it, averaged since the report before.';
COMMENT ON COLUMN rule_nats_consumer_stats.last_active_at IS 'Time of the last report. A live worker reports at least every 30 seconds.';
COMMENT ON COLUMN rule_nats_consumer_stats.active IS 'False after an orderly stop. A worker that died keeps true and an old last_active_at.';
