using Npgsql;

namespace RuleEngineNats.Sql.Tests;

[Trait("Category", "Servers")]
public sealed class NatsConfigTests
{
    // For statements that are refused and so change nothing.
    private static readonly Lazy<Task<SqlDatabase>> Untouched = new(() => SqlDatabase.WithWebhookAsync());

    [Fact]
    public async Task The_default_configuration_and_stream_refuse_when_full_and_cover_several_tokens()
    {
        await using var database = await SqlDatabase.CreateAsync();
        Assert.Equal("default|nats://localhost:4222|none|t|WEBHOOKS|webhooks|10", await database.ScalarAsync<string>(
            "SELECT concat_ws('|', config_name, nats_url, auth_type, jetstream_enabled, stream_name, subject_prefix, max_connections) FROM rule_nats_config"));
        Assert.Equal("WEBHOOKS|{webhooks.>,events.>}|file|-1|604800|limits|new|120|unknown", await database.ScalarAsync<string>("""
            SELECT concat_ws('|', stream_name, subjects, storage_type, max_messages, max_age_seconds, retention_policy, discard_policy, duplicate_window_seconds, server_state)
              FROM rule_nats_streams
            """));
    }

    [Fact]
    public async Task Configure_takes_four_or_six_arguments_and_keeps_what_it_is_not_told()
    {
        await using var database = await SqlDatabase.CreateAsync();
        const string Row = "SELECT concat_ws('|', nats_url, jetstream_enabled, stream_name, subject_prefix) FROM rule_nats_config WHERE config_name = 'eu'";
        Assert.True(await database.ScalarAsync<bool>("SELECT rule_nats_configure('eu', 'tls://nats:4222', 'none', true, 'ORDERS', 'orders')"));
        Assert.Equal("tls://nats:4222|t|ORDERS|orders", await database.ScalarAsync<string>(Row));
        Assert.True(await database.ScalarAsync<bool>("SELECT rule_nats_configure('eu', 'nats://other:4222', 'none', false)"));
        Assert.Equal("nats://other:4222|f|ORDERS|orders", await database.ScalarAsync<string>(Row));
    }

    [Theory]
    [InlineData("rule_nats_configure('x', '')", "NATS URL cannot be empty")]
    [InlineData("rule_nats_configure('x', 'http://nats:4222')", "NATS URL must start with nats:// or tls://")]
    [InlineData("rule_nats_configure('x', E'nats://n\\nats')", "NATS URL must start with nats:// or tls://")]
    [InlineData("rule_nats_configure('x', 'nats://n', 'password')", "Invalid auth_type: password. Must be: none, token, credentials, or nkey")]
    [InlineData("rule_nats_configure('x', 'nats://n', 'none', true, 'A.B')", "stream_name must have 1 to 255 characters of [A-Za-z0-9_-]")]
    [InlineData("rule_nats_configure('x', 'nats://n', 'none', true, 'A', 'a b')", "subject: whitespace at byte 1")]
    [InlineData("rule_nats_configure('', 'nats://n')", "Config name must have 1 to 128 characters of [A-Za-z0-9_.-]")]
    [InlineData("rule_nats_configure('x', 'nats://n', p_nats_cluster_urls => ARRAY['nats://a', 'http://b'])", "nats_cluster_urls: each must start with nats:// or tls:// and have at most 2048 characters, no space and no comma")]
    [InlineData("rule_nats_configure('x', 'nats://n', p_nats_cluster_urls => ARRAY['nats://a', NULL])", "nats_cluster_urls: each must start with nats:// or tls:// and have at most 2048 characters, no space and no comma")]
    [InlineData("rule_nats_configure('x', 'nats://n', p_nats_cluster_urls => (SELECT array_agg('nats://n' || i) FROM generate_series(1, 17) i))", "nats_cluster_urls: 17 URLs, at most 16; the servers tell of each other")]
    [InlineData("rule_nats_configure('x', 'nats://n', 'token', p_auth_token => 'a b')", "auth_token: must have 1 to 4096 characters and no space")]
    [InlineData("rule_nats_configure('x', 'nats://n', 'token', p_auth_token => repeat('a', 4097))", "auth_token: must have 1 to 4096 characters and no space")]
    [InlineData("rule_nats_configure('x', 'nats://n', 'nkey', p_auth_nkey_seed => 'SUSHORT')", "auth_nkey_seed: must be the seed of a user key, SU and 56 characters of A-Z and 2-7")]
    [InlineData("rule_nats_configure('x', 'nats://n', 'credentials', p_auth_credentials_file => E'a\nb')", "auth_credentials_file: a path has 1 to 1024 characters and no control character")]
    [InlineData("rule_nats_configure('x', 'nats://n', p_tls_cert_file => 'c.pem')", "tls_cert_file and tls_key_file: give both or neither")]
    [InlineData("rule_nats_configure('x', 'nats://n', p_tls_cert_file => 'c.pem', p_tls_key_file => E'k\t')", "tls_key_file: a path has 1 to 1024 characters and no control character")]
    [InlineData("rule_nats_configure('x', 'nats://n', p_tls_cert_file => repeat('c', 1025), p_tls_key_file => 'k')", "tls_cert_file: a path has 1 to 1024 characters and no control character")]
    [InlineData("rule_nats_configure('x', 'nats://n', p_tls_ca_file => repeat('c', 1025))", "tls_ca_file: a path has 1 to 1024 characters and no control character")]
    [InlineData("rule_nats_configure('x', 'nats://n', p_max_connections => 0)", "max_connections: 0 is not 1 to 64")]
    [InlineData("rule_nats_configure('x', 'nats://n', p_connection_timeout_ms => 60001)", "connection_timeout_ms: 60001 is not 1 to 60000")]
    [InlineData("rule_nats_configure('x', 'nats://n', p_reconnect_delay_ms => -1)", "reconnect_delay_ms: -1 is not 0 to 60000")]
    [InlineData("rule_nats_configure('x', 'nats://n', p_max_reconnect_attempts => -2)", "max_reconnect_attempts: -2 is less than -1 (no limit)")]
    [InlineData("rule_nats_service_report('a b', 'i', '[]')", "p_service: must have 1 to 128 characters of [A-Za-z0-9_.-]")]
    [InlineData("rule_nats_service_report('s', '', '[]')", "p_instance: must have 1 to 255 characters")]
    [InlineData("rule_nats_service_report('s', 'i', '{}')", "p_reports: must be a JSON array")]
    [InlineData("rule_nats_stream_create('', ARRAY['a.>'])", "Stream name cannot be empty")]
    [InlineData("rule_nats_stream_create('A.B', ARRAY['a.>'])", "stream_name must have 1 to 255 characters of [A-Za-z0-9_-]")]
    [InlineData("rule_nats_stream_create('../x', ARRAY['a.>'])", "stream_name must have 1 to 255 characters of [A-Za-z0-9_-]")]
    [InlineData("rule_nats_stream_create(repeat('A', 256), ARRAY['a.>'])", "stream_name must have 1 to 255 characters of [A-Za-z0-9_-]")]
    [InlineData("rule_nats_stream_create('A', NULL)", "Subjects array cannot be empty")]
    [InlineData("rule_nats_stream_create('A', '{}')", "Subjects array cannot be empty")]
    [InlineData("rule_nats_stream_create('A', ARRAY[NULL])", "subject: empty at byte 0")]
    [InlineData("rule_nats_stream_create('A', ARRAY['$JS.>'])", "subject: reserved at byte 0")]
    [InlineData("rule_nats_stream_create('A', ARRAY['a.*', 'a.b'])", "subjects: two of them overlap")]
    [InlineData("rule_nats_stream_create('A', ARRAY['a.>'], 'default', 'forever')", "Invalid retention_policy: forever. Must be: limits, interest, or workqueue")]
    [InlineData("rule_nats_stream_create('A', ARRAY['a.>'], 'default', 'limits', -1)", "p_max_age_seconds must be 0 (no limit) to 3153600000")]
    [InlineData("rule_webhook_enable_nats(1, NULL, 'BOTH ')", "Invalid publish_mode: BOTH . Must be: queue, nats, or both")]
    [InlineData("rule_webhook_enable_nats(1, 'a b')", "subject: whitespace at byte 1")]
    [InlineData("rule_webhook_enable_nats(1, 'a.>')", "subject: wildcard at byte 2")]
    [InlineData("rule_webhook_enable_nats(1, '')", "subject: empty at byte 0")]
    public async Task A_mistaken_argument_is_named(string call, string message)
    {
        var database = await Untouched.Value;
        var refusal = await database.RefusedAsync($"SELECT {call}");
        Assert.Equal(("22023", message), (refusal.SqlState, refusal.MessageText));
    }

    [Theory]
    [InlineData("rule_nats_stream_create('A', ARRAY['a.>'], 'nowhere')", "P0002", "NATS config nowhere not found")]
    [InlineData("rule_nats_stream_create('WEBHOOKS', ARRAY['webhooks.>', 'other.>'])", "23505", "Stream WEBHOOKS exists in NATS config default and does not cover subject other.>")]
    [InlineData("rule_nats_stream_create('A', ARRAY['webhooks.x'])", "55000", "subjects overlap with those of stream WEBHOOKS")]
    [InlineData("rule_nats_stream_create('A', (SELECT array_agg('s' || i) FROM generate_series(1, 1000) i))", "54000", "subjects: more than 64")]
    [InlineData("rule_webhook_enable_nats(1, 'a', 'nats', 'nowhere')", "P0002", "NATS config nowhere not found or disabled")]
    [InlineData("rule_webhook_enable_nats(9)", "P0002", "Webhook 9 not found")]
    [InlineData("rule_webhook_disable_nats(9)", "P0002", "Webhook 9 not found")]
    [InlineData("rule_nats_init('nowhere')", "P0002", "NATS configuration not found or disabled")]
    [InlineData("rule_nats_config_info('nowhere')", "P0002", "NATS config nowhere not found")]
    public async Task What_does_not_fit_or_is_not_there_is_named(string call, string state, string message)
    {
        var database = await Untouched.Value;
        var refusal = await database.RefusedAsync($"SELECT {call}");
        Assert.Equal((state, message), (refusal.SqlState, refusal.MessageText));
    }

    [Fact]
    public async Task A_stream_that_covers_the_request_is_returned_and_differences_are_noticed()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await using var connection = await database.Source.OpenConnectionAsync();
        var notices = new List<string>();
        connection.Notice += (_, e) => notices.Add(e.Notice.MessageText);
        Assert.Equal(1, await database.ScalarAsync<int>(
            connection, "SELECT rule_nats_stream_create('WEBHOOKS', ARRAY['webhooks.*'], 'default', 'interest', 60, 'mine')"));
        Assert.Equal(
            [
                "Stream WEBHOOKS exists in NATS config default and covers the request", "subjects {webhooks.>,events.>} kept, {webhooks.*} asked for",
                "retention_policy limits kept, interest asked for", "max_age_seconds 604800 kept, 60 asked for", "description kept, another asked for",
            ],
            notices);
        notices.Clear();
        Assert.Equal(1, await database.ScalarAsync<int>(connection, "SELECT rule_nats_stream_create('WEBHOOKS', ARRAY['events.>', 'webhooks.>'])"));
        Assert.Equal(["Stream WEBHOOKS exists in NATS config default and covers the request"], notices);

        Assert.Equal(2, await database.ScalarAsync<int>(
            connection, "SELECT rule_nats_stream_create(p_stream_name => 'ORDERS', p_subjects => ARRAY['orders.>'], p_description => 'Orders')"));
        Assert.Equal("Orders|limits|new|-1|-1|604800", await database.ScalarAsync<string>(
            "SELECT concat_ws('|', description, retention_policy, discard_policy, max_messages, max_bytes, max_age_seconds) FROM rule_nats_streams WHERE stream_id = 2"));
    }

    [Theory]
    [InlineData("a b.*", "The webhook's name makes no subject (subject: whitespace at byte 10); give p_nats_subject")]
    [InlineData("grün", "The webhook's name makes no subject (subject: character not in [A-Za-z0-9_-] at byte 11); give p_nats_subject")]
    [InlineData("orders.", "The webhook's name makes no subject (subject: empty token at byte 16); give p_nats_subject")]
    [InlineData("user.registered", null)]
    public async Task Bug_S7_a_default_subject_is_checked(string name, string? error)
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT rule_webhook_register($1, 'https://example.com/')", name);
        if (error is null)
        {
            Assert.True(await database.ScalarAsync<bool>("SELECT rule_webhook_enable_nats(1)"));
            Assert.Equal($"webhooks.{name}", await database.ScalarAsync<string>("SELECT nats_subject FROM rule_webhooks"));
            return;
        }

        Assert.Equal(error, (await database.RefusedAsync("SELECT rule_webhook_enable_nats(1)")).MessageText);
        Assert.True(await database.ScalarAsync<bool>("SELECT rule_webhook_enable_nats(1, 'webhooks.fine')"));
    }

    [Fact]
    public async Task Subjects_and_filters_are_checked_in_plain_updates_too()
    {
        await using var database = await SqlDatabase.WithWebhookAsync();
        Assert.Equal("subject: wildcard at byte 9", (await database.RefusedAsync("UPDATE rule_webhooks SET nats_subject = 'webhooks.*'")).MessageText);
        Assert.Equal("subject: reserved at byte 0", (await database.RefusedAsync("UPDATE rule_webhooks SET nats_subject = '$JS.API.STREAM.PURGE.X'")).MessageText);
        Assert.Equal("subject: wildcard at byte 1", (await database.RefusedAsync("UPDATE rule_webhooks SET subject_filter = 'a*'")).MessageText);
        Assert.Equal("subject: whitespace at byte 1", (await database.RefusedAsync("UPDATE rule_nats_streams SET subjects = ARRAY['a b']")).MessageText);
        await database.ExecuteAsync("UPDATE rule_webhooks SET subject_filter = 'webhooks.*.created.>'");
        Assert.Equal(PostgresErrorCodes.CheckViolation, (await database.RefusedAsync("UPDATE rule_webhooks SET publish_mode = 'smoke-signals'")).SqlState);
    }

    [Fact]
    public async Task A_subject_without_a_stream_is_allowed_with_a_warning()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT rule_webhook_register('one', 'https://example.com/')");
        await using var connection = await database.Source.OpenConnectionAsync();
        var warnings = new List<string>();
        connection.Notice += (_, e) => warnings.Add($"{e.Notice.Severity}: {e.Notice.MessageText}");
        await database.ExecuteAsync(connection, "SELECT rule_webhook_enable_nats(1, 'webhooks.orders.created')");
        Assert.Empty(warnings);
        await database.ExecuteAsync(connection, "SELECT rule_webhook_enable_nats(1, 'orders.created')");
        Assert.Equal(["WARNING: No stream of NATS config default covers subject orders.created: events stay pending until one does"], warnings);
    }

    [Fact]
    public async Task The_default_subject_starts_with_the_configured_prefix()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT rule_webhook_register('one', 'https://example.com/'), rule_nats_configure('eu', 'nats://n:4222', 'none', true, 'EU', 'eu.orders')");
        await database.ExecuteAsync("SELECT rule_webhook_enable_nats(1, NULL, 'both', 'eu')");
        Assert.Equal("eu.orders.one", await database.ScalarAsync<string>("SELECT nats_subject FROM rule_webhooks"));
        Assert.Equal("EU", await database.ScalarAsync<string>("SELECT rule_webhook_publish_nats(1, '{}') ->> 'stream'"));
        await database.ExecuteAsync("SELECT rule_webhook_disable_nats(1)");
        Assert.Equal("f|queue|eu.orders.one", await database.ScalarAsync<string>("SELECT concat_ws('|', nats_enabled, publish_mode, nats_subject) FROM rule_webhooks"));
    }

    [Fact]
    public async Task Bug_S11_what_reports_a_configuration_shows_no_credentials()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT rule_nats_configure('default', 'nats://alice:canary1@n1:4222,nats://bob:canary2@n2:4222')");
        await database.ExecuteAsync("UPDATE rule_nats_config SET auth_token = 'canary3', auth_nkey_seed = 'SU' || repeat('CANARY4', 8)");
        var info = await database.ScalarAsync<string>("SELECT rule_nats_config_info()::text || rule_nats_init()::text");
        Assert.Contains("nats://***@n1:4222,nats://***@n2:4222", info, StringComparison.Ordinal);
        Assert.DoesNotContain("canary", info, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Every_setting_can_be_set_kept_and_cleared()
    {
        await using var database = await SqlDatabase.CreateAsync();
        const string Row = """
            SELECT concat_ws('|', nats_cluster_urls, auth_type, auth_token, auth_credentials_file, auth_nkey_seed, tls_enabled, tls_cert_file, tls_key_file, tls_ca_file,
                             max_connections, connection_timeout_ms, reconnect_delay_ms, max_reconnect_attempts, enabled)
              FROM rule_nats_config WHERE config_name = 'eu'
            """;
        const string Info = "SELECT rule_nats_config_info('eu')::text";
        const string Seed = "SUAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        await database.ExecuteAsync("""
            SELECT rule_nats_configure('eu', 'nats://a:4222', 'token', p_nats_cluster_urls => ARRAY['nats://u:p@b:4222'], p_auth_token => 'tok', p_auth_credentials_file => '/c.creds',
                                       p_auth_nkey_seed => $1, p_tls_enabled => true, p_tls_cert_file => '/c.pem', p_tls_key_file => '/k.pem', p_tls_ca_file => '/ca.pem',
                                       p_max_connections => 3, p_connection_timeout_ms => 4, p_reconnect_delay_ms => 5, p_max_reconnect_attempts => 6, p_enabled => false)
            """, Seed);
        var all = $"{{nats://u:p@b:4222}}|token|tok|/c.creds|{Seed}|t|/c.pem|/k.pem|/ca.pem|3|4|5|6|f";
        Assert.Equal(all, await database.ScalarAsync<string>(Row));
        var info = await database.ScalarAsync<string>(Info);
        string[] shown =
        [
            "\"nats_cluster_urls\" : [\"nats://***@b:4222\"]", "\"auth_token_set\" : true", "\"auth_credentials_file\" : \"/c.creds\"", "\"auth_nkey_seed_set\" : true", "\"tls_enabled\" : true",
            "\"tls_cert_file\" : \"/c.pem\"", "\"tls_key_file\" : \"/k.pem\"", "\"tls_ca_file\" : \"/ca.pem\"", "\"max_connections\" : 3", "\"connection_timeout_ms\" : 4",
            "\"reconnect_delay_ms\" : 5", "\"max_reconnect_attempts\" : 6", "\"enabled\" : false", "\"effective_urls\" : null",
        ];
        Assert.All(shown, text => Assert.Contains(text, info, StringComparison.Ordinal));
        Assert.DoesNotContain("tok\"", info, StringComparison.Ordinal);
        Assert.DoesNotContain("SUA", info, StringComparison.Ordinal);

        await database.ExecuteAsync("SELECT rule_nats_configure('eu', 'nats://a:4222', 'token')");
        Assert.Equal(all, await database.ScalarAsync<string>(Row));
        await database.ExecuteAsync("""
            SELECT rule_nats_configure('eu', 'nats://a:4222', 'none', p_nats_cluster_urls => '{}', p_auth_token => '', p_auth_credentials_file => '', p_auth_nkey_seed => '',
                                       p_tls_enabled => false, p_tls_cert_file => '', p_tls_key_file => '', p_tls_ca_file => '', p_enabled => true)
            """);
        Assert.Equal("none|f|3|4|5|6|t", await database.ScalarAsync<string>(Row));
        Assert.Contains("\"auth_token_set\" : false", await database.ScalarAsync<string>(Info), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_change_is_dated_and_an_update_that_changes_nothing_is_none()
    {
        await using var database = await SqlDatabase.CreateAsync();
        const string Version = "SELECT updated_at::text FROM rule_nats_config";
        var first = await database.ScalarAsync<string>(Version);
        await database.ExecuteAsync("SELECT rule_nats_configure()");
        Assert.Equal(first, await database.ScalarAsync<string>(Version));
        await database.ExecuteAsync("UPDATE rule_nats_config SET max_connections = 11");
        Assert.NotEqual(first, await database.ScalarAsync<string>(Version));
        Assert.Equal("max_connections: 65 is not 1 to 64", (await database.RefusedAsync("UPDATE rule_nats_config SET max_connections = 65")).MessageText);
    }

    [Fact]
    public async Task Health_is_the_sum_of_what_the_publish_services_report_and_not_a_placeholder()
    {
        await using var database = await SqlDatabase.CreateAsync();
        const string Health = "SELECT rule_nats_health_check()::text";
        Assert.Contains("\"connected\": false", await database.ScalarAsync<string>("SELECT rule_nats_health_check('nowhere')::text"), StringComparison.Ordinal);
        var none = await database.ScalarAsync<string>(Health);
        Assert.Contains("\"success\": false", none, StringComparison.Ordinal);
        Assert.Contains("No PublishService has reported", none, StringComparison.Ordinal);
        Assert.Contains("No service has reported", await database.ScalarAsync<string>("SELECT rule_nats_test_connection()::text"), StringComparison.Ordinal);
        Assert.Equal(
            """{"success" : false, "message" : "Configuration not found or disabled"}""",
            await database.ScalarAsync<string>("SELECT rule_nats_test_connection('nowhere')::text"));

        await ReportAsync("PublishService", "a", connections: 2, healthy: 2, served: 10);
        await ReportAsync("PublishService", "b", connections: 2, healthy: 1, served: 5);
        await ReportAsync("CdcRelay", "c", connections: 2, healthy: 2, served: 99);
        Assert.Equal(
            """{"requests_served": 15, "health_percentage": 75.00, "total_connections": 4, "healthy_connections": 3}""",
            await database.ScalarAsync<string>("SELECT (rule_nats_health_check() -> 'pool_stats')::text"));
        Assert.Equal("true|default|true|true|3", await database.ScalarAsync<string>(
            "SELECT concat_ws('|', h -> 'success', h ->> 'config', h -> 'connected', h -> 'jetstream_enabled', jsonb_array_length(h -> 'services')) FROM rule_nats_health_check() h"));
        Assert.Equal("t|3 of 3 services are connected", await database.ScalarAsync<string>(
            "SELECT concat_ws('|', (t ->> 'success')::boolean, t ->> 'message') FROM rule_nats_test_connection() t"));

        await ReportAsync("CdcRelay", "c", connections: 2, healthy: 0, served: 99);
        Assert.Equal("f|2 of 3 services are connected|no luck at nats://***@n:4222", await database.ScalarAsync<string>(
            "SELECT concat_ws('|', (t ->> 'success')::boolean, t ->> 'message', t -> 'services' -> 0 ->> 'error') FROM rule_nats_test_connection() t"));
        Assert.Equal("[\"nats://***@n:4222\"]", await database.ScalarAsync<string>("SELECT (rule_nats_config_info() -> 'effective_urls')::text"));

        // A service that has ended says so; one that died is forgotten.
        await database.ExecuteAsync("SELECT rule_nats_service_report('PublishService', 'b', '[]')");
        await database.ExecuteAsync("UPDATE rule_nats_service_reports SET reported_at = reported_at - interval '31 seconds' WHERE instance_id = 'a'");
        Assert.Contains("No PublishService has reported", await database.ScalarAsync<string>(Health), StringComparison.Ordinal);
        await ReportAsync("CdcRelay", "c", connections: 2, healthy: 2, served: 99);
        Assert.Equal("c", await database.ScalarAsync<string>("SELECT string_agg(instance_id, ',') FROM rule_nats_service_reports"));

        Task ReportAsync(string service, string instance, int connections, int healthy, int served) => database.ExecuteAsync(
            """
            SELECT rule_nats_service_report($1, $2, jsonb_build_array(jsonb_build_object('config_name', 'default', 'connected', $4 > 0, 'nats_url', 'nats://u:p@n:4222',
                'total_connections', $3, 'healthy_connections', $4, 'requests_served', $5, 'error', CASE WHEN $4 < $3 THEN 'no luck at nats://u:p@n:4222' END)))
            """, service, instance, connections, healthy, served);
    }
}
