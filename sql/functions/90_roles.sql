-- Nothing to PUBLIC. Group roles without login: grant them to the logins of the services and of your applications.
--   rule_publisher  applications: the publish functions and no table
--   rule_relay      CdcRelay, the reconciler and PublishService's history writer
--   rule_worker     DeliveryWorker
--   rule_ingest     IngestionApi and IngestionWorker; the tables of the entities are granted by whoever owns them
--   rule_admin      ConfigService and operators
--   rule_stats      dashboards: counts and times, no payloads, no secrets
SET search_path TO public, pg_temp;

DO $$
DECLARE
    v_role text;
BEGIN
    FOREACH v_role IN ARRAY ARRAY['rule_publisher', 'rule_relay', 'rule_worker', 'rule_ingest', 'rule_admin', 'rule_stats'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = v_role) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', v_role);
            EXCEPTION
                WHEN insufficient_privilege THEN RAISE NOTICE 'role % is missing and % may not create it', v_role, current_user;
                WHEN duplicate_object OR unique_violation THEN NULL; -- Another database of this cluster was faster.
            END;
        END IF;
    END LOOP;
END $$;

-- Every object that these migrations made (and no other) belongs to nobody but its owner...
DO $$
DECLARE
    v_object record;
BEGIN
    FOR v_object IN
        SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, c.oid::regclass::text AS name
          FROM pg_class c
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S') AND pg_has_role(c.relowner, 'USAGE')
           AND (c.relname LIKE 'rule\_webhook%' OR c.relname LIKE 'rule\_nats\_%' OR c.relname LIKE 'rule\_cdc\_%' OR c.relname = 'schema_migrations'
                OR c.relname IN ('message_status', 'ingest_batches', 'ingest_totals',
                                 'webhook_status_summary', 'webhook_recent_failures', 'webhook_performance_stats',
                                 'nats_publish_summary', 'nats_recent_failures', 'nats_performance_stats', 'webhook_delivery_health', 'cdc_status'))
        UNION ALL
        SELECT 'FUNCTION', p.oid::regprocedure::text
          FROM pg_proc p
         WHERE p.pronamespace = 'public'::regnamespace AND pg_has_role(p.proowner, 'USAGE')
           AND (p.proname LIKE 'rule\_webhook%' OR p.proname LIKE 'rule\_nats\_%' OR p.proname LIKE 'rule\_cdc\_%' OR p.proname LIKE 'rule\_ingest\_%'
                OR p.proname = 'rule_config_changed')
    LOOP
        EXECUTE format('REVOKE ALL ON %s %s FROM PUBLIC', v_object.kind, v_object.name);
    END LOOP;
    IF pg_has_role((SELECT nspowner FROM pg_namespace WHERE nspname = 'public'), 'USAGE') THEN
        REVOKE CREATE ON SCHEMA public FROM PUBLIC; -- As PostgreSQL 15 does for new databases; older ones keep the grant.
    END IF;
END $$;

-- ...and the roles get what they need. GRANT takes no IF EXISTS, and a role may be missing: see above.
DO $$
DECLARE
    v_grant record;
BEGIN
    FOR v_grant IN
        SELECT r.role, g.what
          FROM (VALUES
            ('rule_publisher rule_admin', 'EXECUTE ON FUNCTION rule_webhook_publish_nats, rule_webhook_call_unified, rule_nats_accept_event, rule_nats_publish_status,
                rule_nats_publish_wait, rule_webhook_enqueue, rule_webhook_call, rule_webhook_call_with_http, rule_nats_init'),
            ('rule_publisher', 'EXECUTE ON FUNCTION rule_nats_msg_id, rule_nats_subject_check, rule_nats_subject_covers, rule_nats_message_id_check, rule_webhook_get'),
            ('rule_relay', 'EXECUTE ON FUNCTION rule_nats_mark_stored, rule_nats_mark_refused, rule_nats_park, rule_nats_scan_pending, rule_nats_parked_destinations, rule_nats_parked_due,
                rule_nats_mark_restored, rule_nats_history_maintain, rule_webhook_purge_expired, rule_nats_subject_check, rule_nats_subject_covers,
                rule_nats_msg_id'),
            ('rule_relay rule_worker', 'SELECT ON rule_nats_config'),
            ('rule_relay rule_worker rule_admin', 'EXECUTE ON FUNCTION rule_nats_service_report'),
            ('rule_relay', 'INSERT ON rule_nats_publish_history'),
            ('rule_relay', 'SELECT, INSERT, UPDATE ON rule_nats_message_keys'),
            ('rule_relay', 'USAGE ON SEQUENCE rule_nats_publish_history_publish_id_seq'),
            ('rule_relay', 'SELECT ON rule_nats_publish_history, rule_nats_streams, rule_nats_relay_parked, rule_webhooks'),
            ('rule_relay', 'SELECT, UPDATE ON rule_nats_relay_state'),
            ('rule_relay', 'SELECT, INSERT, UPDATE ON rule_nats_reconcile_state, rule_nats_reconcile_runs'),
            ('rule_relay', 'EXECUTE ON FUNCTION rule_nats_stored_since, rule_nats_consumer_restart, rule_nats_reconcile_maintain'),
            ('rule_worker', 'SELECT, UPDATE (done_at) ON rule_nats_consumer_restarts'),
            ('rule_admin', 'EXECUTE ON FUNCTION rule_nats_reconcile'),
            ('rule_stats rule_admin', 'SELECT ON rule_nats_reconcile_runs, rule_nats_reconcile_state, rule_nats_consumer_restarts'),
            ('rule_worker', 'EXECUTE ON FUNCTION rule_webhook_claim, rule_webhook_lease, rule_webhook_retry, rule_webhook_retry_delay, rule_webhook_retry_delays, rule_webhook_disable,
                rule_webhook_record_outcomes, rule_webhook_take_probes, rule_webhook_take_tokens, rule_webhook_check_backlogs,
                rule_webhook_secret_get, rule_nats_consumer_update_stats, rule_nats_subject_covers, rule_nats_event_body'),
            ('rule_worker', 'SELECT ON rule_webhooks, rule_webhook_secrets, rule_nats_streams'),
            ('rule_worker', 'SELECT, INSERT, UPDATE ON rule_webhook_calls'),
            ('rule_worker', 'SELECT, INSERT ON rule_webhook_call_history'),
            ('rule_worker', 'SELECT, INSERT, UPDATE ON rule_nats_consumer_stats'),
            ('rule_worker', 'USAGE ON SEQUENCE rule_webhook_calls_call_id_seq, rule_webhook_call_history_history_id_seq, rule_nats_consumer_stats_consumer_id_seq'),
            ('rule_admin', 'SELECT, INSERT, UPDATE, DELETE ON rule_webhooks, rule_webhook_secrets, rule_nats_config, rule_nats_streams, rule_nats_consumer_stats'),
            ('rule_admin', 'SELECT ON rule_webhook_calls, rule_webhook_call_history, rule_webhook_queue, rule_nats_publish_history, rule_nats_message_keys,
                rule_nats_routes, rule_nats_relay_state, rule_nats_relay_parked, schema_migrations, webhook_recent_failures, nats_recent_failures'),
            ('rule_admin', 'EXECUTE ON FUNCTION rule_webhook_register, rule_webhook_update, rule_webhook_delete, rule_webhook_configure, rule_webhook_secret_set, rule_webhook_secret_get,
                rule_webhook_secret_delete, rule_webhook_retry, rule_webhook_process_retries, rule_webhook_call_status, rule_webhook_disable,
                rule_nats_configure, rule_nats_stream_create, rule_webhook_enable_nats, rule_webhook_disable_nats, rule_nats_history_maintain,
                rule_nats_cleanup_expired, rule_nats_cleanup_old_history, rule_webhook_cleanup_old_calls, rule_webhook_purge_expired'),
            ('rule_admin', 'USAGE ON SEQUENCE rule_webhooks_webhook_id_seq, rule_webhook_secrets_secret_id_seq, rule_nats_config_config_id_seq,
                rule_nats_streams_stream_id_seq, rule_nats_consumer_stats_consumer_id_seq'),
            ('rule_stats rule_admin', 'SELECT ON webhook_status_summary, webhook_performance_stats, nats_publish_summary, nats_performance_stats, rule_nats_consumer_stats'),
            ('rule_stats rule_admin', 'SELECT ON rule_nats_service_reports'),
            ('rule_stats rule_admin', 'EXECUTE ON FUNCTION rule_nats_stats, rule_nats_config_info, rule_nats_health_check, rule_nats_test_connection,
                rule_nats_service_states, rule_nats_webhooks_list, rule_webhook_list, rule_webhook_get, rule_webhook_settings, rule_webhook_settings_of'),
            ('rule_relay rule_worker rule_admin', 'EXECUTE ON FUNCTION rule_webhook_settings_of, rule_webhook_retry_delays, rule_webhook_retry_delay'),
            ('rule_worker', 'SELECT, INSERT, UPDATE ON rule_webhook_health'),
            ('rule_stats rule_admin', 'SELECT ON rule_webhook_health, webhook_delivery_health'),
            ('rule_admin', 'EXECUTE ON FUNCTION rule_webhook_close_circuit'),
            ('rule_admin', 'EXECUTE ON FUNCTION rule_webhook_matches'),
            ('rule_stats rule_admin', 'SELECT ON rule_webhook_dead_letters, rule_webhook_replays'),
            ('rule_stats rule_admin', 'EXECUTE ON FUNCTION rule_webhook_replay_status'),
            ('rule_admin', 'EXECUTE ON FUNCTION rule_webhook_dead_letter, rule_webhook_dead_letter_list, rule_webhook_redrive, rule_webhook_redrive_all,
                rule_webhook_discard, rule_webhook_discard_all, rule_webhook_replay, rule_webhook_replay_cancel'),
            ('rule_worker', 'SELECT, UPDATE ON rule_webhook_replays'),
            ('rule_worker', 'EXECUTE ON FUNCTION rule_webhook_replay_open, rule_webhook_outcomes'),
            ('rule_relay', 'SELECT, UPDATE (enabled, paused_reason, recover, captured_since, updated_at), DELETE ON rule_cdc_captures'),
            ('rule_relay', 'SELECT ON rule_cdc_tables'),
            ('rule_relay', 'SELECT, INSERT, UPDATE ON rule_cdc_reports, rule_cdc_snapshots'),
            ('rule_relay', 'SELECT, DELETE ON rule_cdc_snapshot_requests'),
            ('rule_admin', 'SELECT ON rule_cdc_captures, rule_cdc_snapshot_requests'),
            ('rule_admin', 'SELECT, INSERT, UPDATE, DELETE ON rule_cdc_tables'),
            ('rule_admin', 'EXECUTE ON FUNCTION rule_cdc_configure, rule_cdc_table_add, rule_cdc_table_remove, rule_cdc_pause, rule_cdc_resume, rule_cdc_recover, rule_cdc_drop, rule_cdc_snapshot'),
            ('rule_stats rule_admin', 'SELECT ON cdc_status, rule_cdc_snapshots'),
            ('rule_stats rule_admin', 'EXECUTE ON FUNCTION rule_cdc_get'),
            ('rule_ingest', 'SELECT, INSERT, UPDATE ON message_status, ingest_batches, ingest_totals'),
            ('rule_ingest', 'EXECUTE ON FUNCTION rule_nats_publish_subject, rule_ingest_maintain, rule_nats_consumer_update_stats, rule_nats_service_report,
                rule_webhook_settings_of, rule_webhook_retry_delays, rule_webhook_retry_delay'),
            ('rule_ingest', 'SELECT ON rule_nats_config, rule_nats_streams, rule_webhooks'),
            ('rule_stats rule_admin', 'SELECT ON message_status, ingest_batches, ingest_totals')
          ) AS g(roles, what), unnest(string_to_array(g.roles, ' ')) AS r(role)
         WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = r.role)
    LOOP
        EXECUTE format('GRANT %s TO %I', v_grant.what, v_grant.role);
    END LOOP;
END $$;
