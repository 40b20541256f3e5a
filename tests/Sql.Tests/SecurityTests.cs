using Npgsql;
using RuleEngineNats.SchemaMigrator;

namespace RuleEngineNats.Sql.Tests;

[Trait("Category", "Servers")]
public sealed class SecurityTests
{
    // For tests that roll back what they do.
    private static readonly Lazy<Task<SqlDatabase>> Untouched = new(() => SqlDatabase.WithWebhookAsync("both"));

    private static readonly string[] Hostile =
    [
        "x','y'); drop table rule_webhooks; --", "'; DROP TABLE rule_webhooks; --", "\"; DROP TABLE rule_webhooks; --", "$$; DROP TABLE rule_webhooks; $$", "%I %s %L", "\\'; SELECT 1; --",
        "') OR 1=1 --", "1; UPDATE rule_webhooks SET url = 'https://evil.example/'", "{\"a\":\"'; drop table rule_webhooks;--\"}", "webhooks.a'; drop table rule_webhooks; --",
    ];

    [Fact]
    public async Task PUBLIC_may_do_nothing()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT setval('rule_nats_publish_history_publish_id_seq', 6000000), rule_nats_history_maintain()");
        Assert.Null(await database.ScalarAsync<string>("""
            SELECT string_agg(name, ', ') FROM (
                SELECT p.oid::regprocedure::text FROM pg_proc p
                 WHERE p.pronamespace = 'public'::regnamespace AND (p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 0))
                UNION ALL
                SELECT c.oid::regclass::text FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 0
                UNION ALL
                SELECT 'schema public: create' WHERE has_schema_privilege('public', 'public', 'CREATE')) o(name)
            """));
    }

    [Fact]
    public async Task Every_function_is_documented_and_every_definer_pins_its_search_path()
    {
        await using var database = await SqlDatabase.CreateAsync();
        Assert.Null(await database.ScalarAsync<string>("""
            SELECT string_agg(oid::regprocedure::text, ', ') FROM pg_proc
             WHERE pronamespace = 'public'::regnamespace
               AND (coalesce(obj_description(oid, 'pg_proc'), '') = ''
                    OR (prosecdef AND NOT coalesce(proconfig @> ARRAY['search_path=pg_catalog, public, pg_temp'], false)))
            """));
    }

    [Fact]
    public async Task Bug_S1_no_function_composes_statements_but_those_that_make_partitions_and_publications()
    {
        await using var database = await SqlDatabase.CreateAsync();
        Assert.Equal("rule_cdc_table_add,rule_cdc_table_remove,rule_nats_history_maintain", await database.ScalarAsync<string>(
            "SELECT string_agg(proname, ',' ORDER BY proname) FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosrc ~* '\\mEXECUTE\\M'"));
        Assert.Equal("p_partition_rows bigint, p_ahead integer", await database.ScalarAsync<string>(
            "SELECT pg_get_function_identity_arguments('rule_nats_history_maintain'::regproc)"));
    }

    [Fact]
    public async Task Bug_S1_hostile_text_in_every_argument_of_every_function_changes_no_schema()
    {
        await using var database = await SqlDatabase.WithWebhookAsync("both");
        await using var connection = await database.Source.OpenConnectionAsync();
        var before = await SchemaFingerprint.ReadAsync(connection, CancellationToken.None);
        // Text arguments get the string, others null; row-returning and trigger functions included or skipped by what can be called.
        var calls = await database.ScalarAsync<string[]>("""
            SELECT array_agg(format('SELECT %s(%s)::text', p.oid::regproc,
                   (SELECT string_agg(CASE t.type WHEN 'text'::regtype THEN '$1' WHEN 'text[]'::regtype THEN 'ARRAY[$1]' WHEN 'jsonb'::regtype THEN 'to_jsonb($1::text)'
                                      WHEN 'integer'::regtype THEN '1' ELSE 'NULL::' || t.type::regtype END, ', ' ORDER BY t.n)
                      FROM unnest(p.proargtypes) WITH ORDINALITY t(type, n))))
              FROM pg_proc p
             WHERE p.pronamespace = 'public'::regnamespace AND p.prorettype <> 'trigger'::regtype
               AND EXISTS (SELECT FROM unnest(p.proargtypes) t WHERE t IN ('text'::regtype, 'text[]'::regtype, 'jsonb'::regtype))
            """);
        Assert.True(calls.Length > 25, $"{calls.Length} functions");
        var answered = 0;
        foreach (var call in calls)
        {
            foreach (var text in Hostile)
            {
                try
                {
                    await database.ExecuteAsync(connection, call.Replace("$1", "$1::text", StringComparison.Ordinal), text);
                    answered++;
                }
                catch (PostgresException e)
                {
                    // Refused is fine; a statement that was torn apart is not.
                    Assert.False(e.SqlState is PostgresErrorCodes.SyntaxError or PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.UndefinedColumn, $"{call}: {e.MessageText}");
                }
            }
        }

        Assert.True(answered > 50, $"{answered} calls got through");
        var after = await SchemaFingerprint.ReadAsync(connection, CancellationToken.None);
        Assert.DoesNotContain(SchemaFingerprint.Compare(before, after), change => !change.StartsWith("row ", StringComparison.Ordinal));
        Assert.Equal("https://example.com/hook", await database.ScalarAsync<string>("SELECT url FROM rule_webhooks WHERE webhook_id = 1"));
    }

    [Theory]
    [InlineData("rule_publisher", "SELECT rule_webhook_publish_nats(1, '{}', 'a')", true)]
    [InlineData("rule_publisher", "SELECT rule_webhook_call_unified(1, '{}')", true)]
    [InlineData("rule_publisher", "SELECT rule_webhook_enqueue(1, '{}')", true)]
    [InlineData("rule_publisher", "SELECT payload FROM rule_nats_publish_history", false)]
    [InlineData("rule_publisher", "INSERT INTO rule_nats_publish_history (subject, payload, nats_msg_id) VALUES ('a', '{}', 'a')", false)]
    [InlineData("rule_publisher", "SELECT rule_nats_publish_status('a'), rule_nats_publish_wait(1, '0'), rule_webhook_call(1, '{}'), rule_webhook_call_with_http(1, '{}')", true)]
    [InlineData("rule_publisher", "SELECT rule_nats_publish_report(1)", false)]
    [InlineData("rule_publisher", "SELECT rule_webhook_call_status(1)", false)]
    [InlineData("rule_publisher", "SELECT rule_webhook_cleanup_old_calls()", false)]
    [InlineData("rule_publisher", "SELECT rule_webhook_secret_get(1, 'signing')", false)]
    [InlineData("rule_publisher", "SELECT secret_value FROM rule_webhook_secrets", false)]
    [InlineData("rule_publisher", "SELECT auth_token FROM rule_nats_config", false)]
    [InlineData("rule_publisher", "SELECT rule_nats_configure()", false)]
    [InlineData("rule_publisher", "SELECT rule_nats_service_report('s', 'i', '[]')", false)]
    [InlineData("rule_publisher", "SELECT rule_webhook_register('x', 'https://example.com/')", false)]
    [InlineData("rule_relay", "SELECT rule_nats_mark_stored('{}', '{}', '{}', '{}', '{}'), rule_nats_history_maintain()", true)]
    [InlineData("rule_relay", "SELECT rule_webhook_purge_expired()", true)]
    [InlineData("rule_relay", "INSERT INTO rule_nats_publish_history (subject, payload, nats_msg_id) VALUES ('a', '{}', 'a')", true)]
    [InlineData("rule_relay", "SELECT state FROM rule_nats_publish_history", true)]
    [InlineData("rule_relay", "UPDATE rule_nats_publish_history SET state = 'pending'", false)]
    [InlineData("rule_relay", "DELETE FROM rule_nats_publish_history", false)]
    [InlineData("rule_relay", "SELECT nats_url, auth_type FROM rule_nats_config", true)]
    [InlineData("rule_relay", "SELECT auth_token, auth_nkey_seed FROM rule_nats_config", true)]
    [InlineData("rule_relay", "SELECT rule_nats_service_report('s', 'i', '[]')", true)]
    [InlineData("rule_relay", "UPDATE rule_nats_config SET nats_url = 'nats://evil.example'", false)]
    [InlineData("rule_relay", "SELECT secret_value FROM rule_webhook_secrets", false)]
    [InlineData("rule_worker", "SELECT rule_webhook_claim('w'), rule_webhook_secret_get(1, 'signing'), rule_webhook_disable(1, '410')", true)]
    [InlineData("rule_worker", "INSERT INTO rule_webhook_call_history (event_id, webhook_id, outcome) VALUES ('a', 1, 'delivered')", true)]
    [InlineData("rule_worker", "INSERT INTO rule_webhook_calls (webhook_id, payload) VALUES (1, '{}')", true)]
    [InlineData("rule_worker", "DELETE FROM rule_webhook_call_history", false)]
    [InlineData("rule_worker", "UPDATE rule_webhooks SET url = 'https://evil.example/'", false)]
    [InlineData("rule_worker", "SELECT rule_nats_service_report('s', 'i', '[]')", true)]
    [InlineData("rule_ingest", "SELECT rule_nats_publish_subject('events.a', ARRAY['1'], ARRAY['{}'::bytea]), rule_ingest_maintain('1 day'), rule_nats_service_report('s', 'i', '[]')", true)]
    [InlineData("rule_ingest", "INSERT INTO message_status (message_id, received_at, status) VALUES (gen_random_uuid(), now(), 'accepted'); UPDATE ingest_totals SET completed = 1", true)]
    [InlineData("rule_ingest", "SELECT auth_token FROM rule_nats_config", true)]
    [InlineData("rule_ingest", "DELETE FROM message_status", false)]
    [InlineData("rule_ingest", "SELECT payload FROM rule_nats_publish_history", false)]
    [InlineData("rule_ingest", "INSERT INTO rule_nats_publish_history (subject, payload, nats_msg_id) VALUES ('a', '{}', 'a')", false)]
    [InlineData("rule_ingest", "SELECT rule_webhook_publish_nats(1, '{}')", false)]
    [InlineData("rule_ingest", "SELECT secret_value FROM rule_webhook_secrets", false)]
    [InlineData("rule_ingest", "CREATE TABLE orders (id integer)", false)]
    [InlineData("rule_stats", "SELECT status, error_message FROM message_status", true)]
    [InlineData("rule_stats", "UPDATE message_status SET status = 'completed'", false)]
    [InlineData("rule_relay", "SELECT status FROM message_status", false)]
    [InlineData("rule_publisher", "SELECT rule_nats_publish_subject('events.a', '{}', '{}')", false)]
    [InlineData("rule_stats", "SELECT rule_nats_stats(), count(*) FROM nats_publish_summary, webhook_status_summary", true)]
    [InlineData("rule_stats", "SELECT rule_webhook_list(), rule_nats_webhooks_list()", true)]
    [InlineData("rule_stats", "SELECT rule_webhook_call_status(1)", false)]
    [InlineData("rule_stats", "SELECT * FROM nats_recent_failures", false)]
    [InlineData("rule_stats", "SELECT * FROM webhook_recent_failures", false)]
    [InlineData("rule_stats", "SELECT payload FROM rule_nats_publish_history", false)]
    [InlineData("rule_stats", "SELECT headers FROM rule_webhooks", false)]
    [InlineData("rule_stats", "SELECT auth_token FROM rule_nats_config", false)]
    [InlineData("rule_stats", "SELECT auth_nkey_seed FROM rule_nats_config", false)]
    [InlineData("rule_stats", "SELECT secret_value FROM rule_webhook_secrets", false)]
    [InlineData("rule_stats", "SELECT rule_nats_health_check(), rule_nats_test_connection() FROM rule_nats_service_reports", true)]
    [InlineData("rule_stats", "SELECT rule_nats_service_report('s', 'i', '[]')", false)]
    [InlineData("rule_stats", "SELECT rule_webhook_publish_nats(1, '{}')", false)]
    [InlineData("rule_admin", "SELECT rule_webhook_register('x', 'https://example.com/'), rule_nats_configure(), rule_webhook_secret_set(1, 'k', 'v')", true)]
    [InlineData("rule_admin", "SELECT rule_nats_stream_create('ORDERS', ARRAY['orders.>']), rule_webhook_enable_nats(1), rule_webhook_delete(1)", true)]
    [InlineData("rule_admin", "UPDATE rule_webhooks SET nats_subject = 'webhooks.other', url = 'https://example.com/2'", true)]
    [InlineData("rule_admin", "SELECT * FROM nats_recent_failures, webhook_recent_failures", true)]
    [InlineData("rule_admin", "SELECT rule_webhook_call_status(1), rule_webhook_process_retries(), rule_webhook_cleanup_old_calls(), rule_nats_cleanup_expired(), rule_nats_cleanup_old_history()", true)]
    [InlineData("rule_admin", "DELETE FROM rule_nats_publish_history", false)]
    [InlineData("nobody_special", "SELECT rule_webhook_publish_nats(1, '{}')", false)]
    [InlineData("nobody_special", "SELECT 1 FROM rule_webhooks", false)]
    [InlineData("nobody_special", "SELECT rule_nats_stats()", false)]
    public async Task Each_role_may_do_its_own_work_and_no_more(string role, string sql, bool allowed)
    {
        var database = await Untouched.Value;
        await using var connection = await database.Source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await database.ExecuteAsync(connection, """
            DO $$ BEGIN CREATE ROLE nobody_special NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$
            """);
        await database.ExecuteAsync(connection, $"SET ROLE {role}");
        if (allowed)
        {
            await database.ExecuteAsync(connection, sql);
        }
        else
        {
            var refusal = await Assert.ThrowsAsync<PostgresException>(() => database.ExecuteAsync(connection, sql));
            Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refusal.SqlState);
        }

        await transaction.RollbackAsync();
    }

    [Fact]
    public async Task A_table_or_function_of_the_caller_cannot_stand_in_for_ours()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        await using var connection = await database.Source.OpenConnectionAsync();
        await database.ExecuteAsync(connection, "CREATE TEMP TABLE rule_webhooks AS SELECT 1 AS webhook_id, 'evil' AS webhook_name, true AS nats_enabled, 'evil.subject' AS nats_subject");
        await database.ExecuteAsync(connection, "CREATE TEMP TABLE rule_nats_publish_history (publish_id bigint)");
        await database.ExecuteAsync(connection, "SET search_path = pg_temp, public");
        Assert.Equal("webhooks.orders", await database.ScalarAsync<string>(connection, "SELECT public.rule_webhook_publish_nats(1, '{}') ->> 'subject'"));
        Assert.Equal(1L, await database.ScalarAsync<long>("SELECT count(*) FROM public.rule_nats_publish_history"));
    }

    [Fact]
    public async Task The_owner_of_a_database_who_may_not_create_roles_can_migrate()
    {
        await using var server = await PostgresServer.StartPrivateAsync();
        await using (var admin = NpgsqlDataSource.Create(server.ConnectionString("postgres")))
        {
            foreach (var sql in (string[])["CREATE ROLE app LOGIN", "CREATE DATABASE app OWNER app"])
            {
                await using var command = admin.CreateCommand(sql);
                await command.ExecuteNonQueryAsync();
            }
        }

        var connectionString = new NpgsqlConnectionStringBuilder(server.ConnectionString("app")) { Username = "app", Pooling = false }.ConnectionString;
        await using var migrator = ChildProcess.Start(
            "dotnet", [Repository.Service("SchemaMigrator")], new Dictionary<string, string?> { ["ConnectionStrings__rules"] = connectionString });
        await migrator.ExitedAsync();
        Assert.True(migrator.ExitCode == 0, migrator.Output);
        var (exitCode, output) = await Psql.RunAsync(connectionString, "-f", Repository.Path("sql", "examples", "rfc-0007-example-1.sql"));
        Assert.True(exitCode == 0, output);
    }
}
