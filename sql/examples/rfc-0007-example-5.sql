-- View NATS publish summary
SELECT * FROM nats_publish_summary;

-- Recent failures
SELECT * FROM nats_recent_failures;

-- Performance stats
SELECT * FROM nats_performance_stats;

-- Detailed stats for specific webhook
SELECT rule_nats_stats(1, 24); -- Last 24 hours

-- Overall stats
SELECT rule_nats_stats(NULL, 168); -- Last 7 days, all webhooks
