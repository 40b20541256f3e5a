-- What operators look at. Calls are counted over both paths: rows of the queue, and first attempts from JetStream that
-- needed no retry and therefore have no row there (call_id is null in the record of attempts).
SET search_path TO public, pg_temp;

CREATE OR REPLACE VIEW webhook_status_summary AS
SELECT w.webhook_id, w.webhook_name, w.url, w.enabled,
       coalesce(c.total, 0) + coalesce(a.total, 0) AS total_calls,
       coalesce(c.successful, 0) + coalesce(a.successful, 0) AS successful_calls,
       coalesce(c.failed, 0) + coalesce(a.failed, 0) AS failed_calls,
       coalesce(c.pending, 0) AS pending_calls,
       coalesce(c.retrying, 0) AS retrying_calls,
       round((coalesce(c.total_ms, 0) + coalesce(a.total_ms, 0)) / nullif(coalesce(c.timed, 0) + coalesce(a.timed, 0), 0), 2) AS avg_execution_time_ms,
       greatest(c.last_at, a.last_at) AS last_call_at,
       coalesce(round(100.0 * (coalesce(c.successful, 0) + coalesce(a.successful, 0))
           / nullif(coalesce(c.successful, 0) + coalesce(a.successful, 0) + coalesce(c.failed, 0) + coalesce(a.failed, 0), 0), 2), 0) AS success_rate_pct
  FROM rule_webhooks w
  LEFT JOIN (SELECT webhook_id, count(*) AS total,
                    count(*) FILTER (WHERE status = 'success') AS successful,
                    count(*) FILTER (WHERE status = 'failed') AS failed,
                    count(*) FILTER (WHERE status IN ('pending', 'processing')) AS pending,
                    count(*) FILTER (WHERE status = 'retrying') AS retrying,
                    sum(execution_time_ms) AS total_ms, count(execution_time_ms) AS timed, max(created_at) AS last_at
               FROM rule_webhook_calls GROUP BY webhook_id) c ON c.webhook_id = w.webhook_id
  LEFT JOIN (SELECT webhook_id, count(*) AS total,
                    count(*) FILTER (WHERE outcome = 'delivered') AS successful,
                    count(*) FILTER (WHERE outcome IN ('failed', 'blocked')) AS failed,
                    sum(execution_time_ms) AS total_ms, count(execution_time_ms) AS timed, max(started_at) AS last_at
               FROM rule_webhook_call_history WHERE call_id IS NULL AND outcome IN ('delivered', 'failed', 'blocked')
              GROUP BY webhook_id) a ON a.webhook_id = w.webhook_id;
COMMENT ON VIEW webhook_status_summary IS 'Per webhook: calls over both paths and how they ended. success_rate_pct is of the finished ones, 0 without any.';

CREATE OR REPLACE VIEW webhook_recent_failures AS
SELECT f.* FROM (
    (SELECT c.call_id, coalesce(w.webhook_name, 'deleted webhook ' || c.webhook_id) AS webhook_name, w.url, c.status, c.retry_count,
            c.error_message, c.response_status, c.payload, c.created_at, c.completed_at
       FROM rule_webhook_calls c LEFT JOIN rule_webhooks w ON w.webhook_id = c.webhook_id
      WHERE c.status IN ('failed', 'retrying') ORDER BY c.created_at DESC LIMIT 100)
    UNION ALL
    (SELECT NULL, coalesce(w.webhook_name, 'deleted webhook ' || a.webhook_id), w.url, 'failed', 0,
            a.error_message, a.response_status, NULL, a.started_at, a.completed_at
       FROM rule_webhook_call_history a LEFT JOIN rule_webhooks w ON w.webhook_id = a.webhook_id
      WHERE a.call_id IS NULL AND a.outcome IN ('failed', 'blocked') ORDER BY a.started_at DESC LIMIT 100)) f
ORDER BY f.created_at DESC LIMIT 100;
COMMENT ON VIEW webhook_recent_failures IS 'The newest 100 calls that failed or are being retried. Shows payloads: not for rule_stats.';

CREATE OR REPLACE VIEW webhook_performance_stats AS
SELECT w.webhook_id, w.webhook_name, count(*) AS total_calls,
       round(avg(t.ms), 2) AS avg_time_ms, min(t.ms) AS min_time_ms, max(t.ms) AS max_time_ms,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY t.ms) AS p50_time_ms,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY t.ms) AS p95_time_ms,
       percentile_cont(0.99) WITHIN GROUP (ORDER BY t.ms) AS p99_time_ms
  FROM rule_webhooks w
  JOIN (SELECT webhook_id, execution_time_ms AS ms FROM rule_webhook_calls WHERE status = 'success' AND execution_time_ms IS NOT NULL
        UNION ALL
        SELECT webhook_id, execution_time_ms FROM rule_webhook_call_history
         WHERE call_id IS NULL AND outcome = 'delivered' AND execution_time_ms IS NOT NULL) t ON t.webhook_id = w.webhook_id
 GROUP BY w.webhook_id, w.webhook_name;
COMMENT ON VIEW webhook_performance_stats IS 'Per webhook: how long successful calls took, over both paths.';

-- The README of the NATS examples calls the queue by this name and its key queue_id.
CREATE OR REPLACE VIEW rule_webhook_queue AS
SELECT call_id AS queue_id, call_id, webhook_id, status, payload, rule_name, rule_execution_id, scheduled_at, started_at, completed_at,
       retry_count, next_retry_at, response_status, response_body, error_message, execution_time_ms, created_at
  FROM rule_webhook_calls;
COMMENT ON VIEW rule_webhook_queue IS 'rule_webhook_calls under the name and key (queue_id) that the NATS examples use.';

CREATE OR REPLACE VIEW nats_publish_summary AS
SELECT w.webhook_id, w.webhook_name, w.nats_subject AS subject, w.publish_mode,
       count(h.publish_id) AS total_published,
       count(*) FILTER (WHERE h.state = 'stored') AS successful,
       count(*) FILTER (WHERE h.state = 'refused') AS failed,
       round(100.0 * count(*) FILTER (WHERE h.state = 'stored') / nullif(count(*) FILTER (WHERE h.state IN ('stored', 'refused')), 0), 2) AS success_rate_pct,
       round(avg(h.latency_ms), 2) AS avg_latency_ms,
       min(h.latency_ms) AS min_latency_ms,
       max(h.latency_ms) AS max_latency_ms,
       max(h.published_at) AS last_published_at,
       count(*) FILTER (WHERE h.state = 'pending') AS pending
  FROM rule_webhooks w LEFT JOIN rule_nats_publish_history h ON h.webhook_id = w.webhook_id
 WHERE w.nats_enabled
 GROUP BY w.webhook_id, w.webhook_name, w.nats_subject, w.publish_mode;
COMMENT ON VIEW nats_publish_summary IS 'Per NATS-enabled webhook. Only refused counts as failed, pending as neither; success_rate_pct is null while nothing is finished.';

CREATE OR REPLACE VIEW nats_recent_failures AS
SELECT h.publish_id, coalesce(w.webhook_name, 'deleted webhook ' || h.webhook_id) AS webhook_name, h.subject, h.error_message, h.payload,
       h.published_at, h.latency_ms
  FROM rule_nats_publish_history h LEFT JOIN rule_webhooks w ON w.webhook_id = h.webhook_id
 WHERE h.state = 'refused' AND h.published_at >= now() - interval '24 hours'
 ORDER BY h.published_at DESC LIMIT 100;
COMMENT ON VIEW nats_recent_failures IS 'The newest 100 refused events of the last 24 hours. Shows payloads: not for rule_stats.';

CREATE OR REPLACE VIEW nats_performance_stats AS
SELECT w.webhook_name, h.subject, count(*) AS message_count,
       round(avg(h.latency_ms), 2) AS avg_latency_ms, min(h.latency_ms) AS min_latency_ms, max(h.latency_ms) AS max_latency_ms,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY h.latency_ms) AS p50_latency_ms,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY h.latency_ms) AS p95_latency_ms,
       percentile_cont(0.99) WITHIN GROUP (ORDER BY h.latency_ms) AS p99_latency_ms
  FROM rule_nats_publish_history h JOIN rule_webhooks w ON w.webhook_id = h.webhook_id
 WHERE h.state = 'stored' AND h.published_at >= now() - interval '24 hours'
 GROUP BY w.webhook_name, h.subject;
COMMENT ON VIEW nats_performance_stats IS 'Per webhook and subject: publish latency of the events stored in the last 24 hours.';
