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
        await database.ExecuteAsync("UPDATE rule_nats_config SET auth_token = 'canary3', auth_nkey_seed = 'canary4'");
        var info = await database.ScalarAsync<string>("SELECT rule_nats_config_info()::text || rule_nats_init()::text");
        Assert.Contains("nats://***@n1:4222,nats://***@n2:4222", info, StringComparison.Ordinal);
        Assert.DoesNotContain("canary", info, StringComparison.Ordinal);
    }
}
