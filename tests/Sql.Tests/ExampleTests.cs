namespace RuleEngineNats.Sql.Tests;

[Trait("Category", "Servers")]
public sealed class ExampleTests
{
    [Fact]
    public async Task Rfc_0007_example_1_runs_in_psql_exactly_as_written()
    {
        await using var database = await SqlDatabase.CreateAsync();
        var (exitCode, output) = await Psql.RunAsync(database.ConnectionString, "-f", Repository.Path("sql", "examples", "rfc-0007-example-1.sql"));

        Assert.True(exitCode == 0, output);
        Assert.Contains("exists in NATS config default and covers the request", output, StringComparison.Ordinal);
        Assert.Equal(
            "webhooks.slack|pending|{\"text\": \"Alert: System error detected!\"}",
            await database.ScalarAsync<string>("SELECT concat_ws('|', subject, state, payload) FROM rule_nats_publish_history WHERE webhook_id = 1"));
        Assert.Equal("nats://nats-server:4222", await database.ScalarAsync<string>("SELECT rule_nats_config_info() ->> 'nats_url'"));
        Assert.Equal(["webhooks.>", "events.>"], await database.ScalarAsync<string[]>("SELECT subjects FROM rule_nats_streams"));
    }

    [Fact]
    public async Task The_migration_queries_of_the_examples_readme_work_on_the_tables()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT rule_webhook_register('Orders', 'https://example.com/')");
        await database.ExecuteAsync("""
            UPDATE rule_webhooks SET publish_mode = 'both', nats_enabled = true, nats_subject = 'webhooks.' || LOWER(webhook_name) WHERE webhook_id = 1
            """);
        await database.ExecuteAsync("SELECT rule_webhook_call_unified(1, '{}')");
        Assert.Equal(
            "webhooks.orders|WEBHOOKS|pending",
            await database.ScalarAsync<string>("SELECT concat_ws('|', subject, stream_name, state) FROM rule_nats_publish_history"));
        Assert.Equal(1L, await database.ScalarAsync<long>("SELECT queue_id FROM rule_webhook_queue WHERE status = 'pending'"));
        await database.ExecuteAsync("UPDATE rule_nats_streams SET storage_type = 'memory', max_messages = 10000000 WHERE stream_name = 'WEBHOOKS'");
        await database.ExecuteAsync("UPDATE rule_nats_config SET max_connections = 50 WHERE config_name = 'default'");
        Assert.Equal("default", await database.ScalarAsync<string>("SELECT rule_nats_init('default') ->> 'config'"));
    }
}
