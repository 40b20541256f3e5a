namespace RuleEngineNats.Sql.Tests;

/// <summary>What is captured, as SQL says it; CdcRelay.Tests shows what comes of it.</summary>
[Trait("Category", "Servers")]
public sealed class CaptureTests
{
    private const string Tables = "CREATE TABLE orders (id int PRIMARY KEY, card text); CREATE TABLE keyless (id int); CREATE VIEW shown AS SELECT 1 AS one; CREATE UNLOGGED TABLE volatile (id int)";

    private static readonly Lazy<Task<SqlDatabase>> Untouched = new(CreateAsync);

    [Fact]
    public async Task A_table_is_published_its_stream_defined_and_its_settings_replaced_by_the_next_call()
    {
        await using var database = await CreateAsync();
        await database.ExecuteAsync("""SELECT rule_cdc_table_add('orders', p_settings => '{"mask_columns": ["card"], "row_filter": "$.id > 5", "snapshot": true}')""");
        Assert.Equal("orders {} {} {card} $.id > 5", await database.ScalarAsync<string>("SELECT concat_ws(' ', relation, exclude_columns, hash_columns, mask_columns, row_filter) FROM rule_cdc_tables"));
        Assert.Equal("rule_cdc_default orders", await database.ScalarAsync<string>("SELECT pubname || ' ' || tablename FROM pg_publication_tables WHERE pubname LIKE 'rule_cdc%'"));
        Assert.Equal("{postgres.>} 0", await database.ScalarAsync<string>("SELECT concat_ws(' ', subjects, max_age_seconds) FROM rule_nats_streams WHERE stream_name = 'postgres_replication'"));
        Assert.Equal("{orders}", await database.ScalarAsync<string>("SELECT relations::text FROM rule_cdc_snapshot_requests"));

        await database.ExecuteAsync("""SELECT rule_cdc_table_add('orders', p_settings => '{"hash_columns": ["card"]}'); ALTER TABLE orders RENAME TO renamed""");
        Assert.Equal("renamed {} {card} {}", await database.ScalarAsync<string>("SELECT concat_ws(' ', relation, exclude_columns, hash_columns, mask_columns, row_filter) FROM rule_cdc_tables"));
        Assert.True(await database.ScalarAsync<bool>("SELECT rule_cdc_table_remove('renamed')"));
        Assert.False(await database.ScalarAsync<bool>("SELECT rule_cdc_table_remove('renamed')"));
        Assert.Equal(0, await database.ScalarAsync<long>("SELECT count(*) FROM pg_publication_tables WHERE pubname LIKE 'rule_cdc%'"));
        Assert.Equal("no tables", await database.ScalarAsync<string>("SELECT state FROM cdc_status"));
    }

    [Fact]
    public async Task A_capture_is_configured_paused_resumed_and_dropped()
    {
        await using var database = await CreateAsync();
        Assert.Equal("shop shop_slot rule_cdc_shop pause", await database.ScalarAsync<string>(
            """SELECT concat_ws(' ', c.capture_name, c.slot_name, c.publication_name, c.wal_policy) FROM rule_cdc_configure('shop', '{"slot_name": "shop_slot", "wal_policy": "pause", "wal_limit": null}') c"""));
        Assert.True(await database.ScalarAsync<bool>("SELECT rule_cdc_pause('shop')"));
        Assert.False(await database.ScalarAsync<bool>("SELECT rule_cdc_pause('shop')"));
        Assert.Equal("paused", await database.ScalarAsync<string>("SELECT state FROM cdc_status WHERE capture_name = 'shop'"));
        Assert.True(await database.ScalarAsync<bool>("SELECT rule_cdc_resume('shop')"));
        Assert.False(await database.ScalarAsync<bool>("SELECT rule_cdc_resume('shop')"));
        await database.ExecuteAsync("SELECT rule_cdc_recover('shop')");
        Assert.True(await database.ScalarAsync<bool>("SELECT recover FROM rule_cdc_captures WHERE capture_name = 'shop'"));
        await database.ExecuteAsync("SELECT rule_cdc_drop('shop')");
        Assert.Equal("dropping", await database.ScalarAsync<string>("SELECT state FROM cdc_status WHERE capture_name = 'shop'"));
        Assert.Equal("P0002", (await database.RefusedAsync("SELECT rule_cdc_resume('shop')")).SqlState);
    }

    [Theory]
    [InlineData("rule_cdc_configure('Shop')", "22023", "capture_name: 'Shop' must be 1 to 50 of a-z, 0-9 and _")]
    [InlineData("rule_cdc_configure('default', '[]')", "22023", "p_settings: must be a JSON object")]
    [InlineData("rule_cdc_configure('default', '{\"slot\": \"x\"}')", "22023", "p_settings: there is no setting slot; the settings are slot_name,")]
    [InlineData("rule_cdc_configure('default', '{\"slot_name\": \"a-b\"}')", "22023", "slot_name: 'a-b' must be 1 to 63 of a-z, 0-9 and _")]
    [InlineData("rule_cdc_configure('default', '{\"slot_name\": null}')", "22023", "slot_name: cannot be null")]
    [InlineData("rule_cdc_configure('default', '{\"publication_name\": \"\"}')", "22023", "publication_name: must be 1 to 63 bytes")]
    [InlineData("rule_cdc_configure('default', '{\"config_name\": \"other\"}')", "22023", "config_name: there is no NATS configuration 'other'")]
    [InlineData("rule_cdc_configure('default', '{\"stream_name\": \"a.b\"}')", "22023", "stream_name: must be 1 to 255 of A-Z, a-z, 0-9, _ and -")]
    [InlineData("rule_cdc_configure('default', '{\"subject_prefix\": \"a.*\"}')", "22023", "subject_prefix: ")]
    [InlineData("rule_cdc_configure('default', '{\"format\": \"xml\"}')", "22023", "format: must be json, debezium, cloudevents or protobuf")]
    [InlineData("rule_cdc_configure('default', '{\"event_unit\": \"row\"}')", "22023", "event_unit: must be change or transaction")]
    [InlineData("rule_cdc_configure('default', '{\"oversized\": \"drop\"}')", "22023", "oversized: must be stop or dead-letter")]
    [InlineData("rule_cdc_configure('default', '{\"typed_values\": \"perhaps\"}')", "22023", "typed_values: ")]
    [InlineData("rule_cdc_configure('default', '{\"wal_policy\": \"forget\"}')", "22023", "wal_policy: must be alert, pause")]
    [InlineData("rule_cdc_configure('default', '{\"wal_limit\": 5}')", "22023", "wal_limit: 5 is less than 1048576 bytes")]
    [InlineData("rule_cdc_configure('default', '{\"heartbeat_seconds\": -1}')", "22023", "heartbeat_seconds: -1 is not 0 to 3600")]
    [InlineData("rule_cdc_table_add('shown')", "22023", "p_table: shown is no permanent table")]
    [InlineData("rule_cdc_table_add('volatile')", "22023", "p_table: volatile is no permanent table")]
    [InlineData("rule_cdc_table_add(NULL)", "22023", "p_table: null is no permanent table")]
    [InlineData("rule_cdc_table_add('rule_webhooks')", "22023", "p_table: rule_webhooks is one of this system's own")]
    [InlineData("rule_cdc_table_add('orders', 'other')", "P0002", "Capture not found: other")]
    [InlineData("rule_cdc_table_add('orders', p_settings => '{\"columns\": []}')", "22023", "p_settings: there is no setting columns")]
    [InlineData("rule_cdc_table_add('orders', p_settings => '{\"mask_columns\": \"card\"}')", "22023", "mask_columns: must be an array of column names")]
    [InlineData("rule_cdc_table_add('orders', p_settings => '{\"mask_columns\": [\"crad\"]}')", "22023", "mask_columns: orders has no column crad")]
    [InlineData("rule_cdc_table_add('orders', p_settings => '{\"row_filter\": \"$.id >\"}')", "22023", "row_filter: ")]
    [InlineData("rule_cdc_table_add('orders', p_settings => '{\"row_filter\": \"$.card like_regex \\\"x\\\"\"}')", "22023", "row_filter: must be a SQL/JSON path without like_regex")]
    [InlineData("rule_cdc_table_add('orders', p_settings => '{\"snapshot\": 1}')", "22023", "snapshot: must be true or false")]
    [InlineData("rule_cdc_table_add('keyless', p_settings => '{\"snapshot\": true}')", "22023", "p_tables: keyless has no primary key and no replica identity index")]
    [InlineData("rule_cdc_snapshot()", "22023", "p_tables: capture default has no tables")]
    [InlineData("rule_cdc_snapshot(ARRAY['orders']::regclass[])", "22023", "p_tables: orders is not captured; call rule_cdc_table_add first")]
    [InlineData("rule_cdc_pause('other')", "P0002", "Capture not found: other")]
    [InlineData("rule_cdc_drop(NULL)", "P0002", "Capture not found: <NULL>")]
    public async Task What_cannot_be_is_refused_by_name(string call, string state, string message)
    {
        var refused = await (await Untouched.Value).RefusedAsync($"SELECT {call}");
        Assert.Equal(state, refused.SqlState);
        Assert.StartsWith(message, refused.MessageText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_slot_that_is_in_use_is_not_renamed()
    {
        await using var database = await CreateAsync();
        var slot = $"renamed_{Environment.ProcessId}";
        await database.ExecuteAsync($$"""SELECT rule_cdc_configure(p_settings => '{"slot_name": "{{slot}}"}')""");
        await database.ExecuteAsync($"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
        Assert.Equal("55000", (await database.RefusedAsync("""SELECT rule_cdc_configure(p_settings => '{"slot_name": "another"}')""")).SqlState);
        await database.ExecuteAsync($"SELECT pg_drop_replication_slot('{slot}')");
    }

    private static async Task<SqlDatabase> CreateAsync()
    {
        var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync(Tables);
        return database;
    }
}
