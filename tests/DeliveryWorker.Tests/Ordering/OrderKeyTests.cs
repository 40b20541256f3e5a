using Npgsql;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Ordering;
using RuleEngineNats.Messaging;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Ordering;

public sealed class OrderKeyTests
{
    [Theory]
    [InlineData("$.customer.id", """{"customer":{"id":"c-1"}}""", "c-1")]
    [InlineData("$.customer.id", """{"customer":{"id":9007199254740993}}""", "9007199254740993")]
    [InlineData("$.customer.id", """{"customer":{"id":null}}""", "")]
    [InlineData("$.customer.id", """{"customer":[]}""", "")]
    [InlineData("$.customer.id", """{}""", "")]
    [InlineData("$.lines[1].sku", """{"lines":[{"sku":"a"},{"sku":"b"}]}""", "b")]
    [InlineData("$.lines[2].sku", """{"lines":[{"sku":"a"},{"sku":"b"}]}""", "")]
    [InlineData("$[0]", """["x"]""", "x")]
    [InlineData("$.flag", """{"flag":true}""", "true")]
    [Trait("Category", "Servers")]
    public async Task The_worker_and_PostgreSQL_find_the_same_key(string by, string body, string key)
    {
        Assert.Equal(key, OrderKey.Of(Settings(by), new("1", System.Text.Encoding.UTF8.GetBytes(body))));

        var postgres = await PostgresServer.StartAsync();
        await using var database = NpgsqlDataSource.Create(await postgres.CreateDatabaseAsync());
        await using var command = database.CreateCommand("""
            WITH w AS (SELECT rule_webhook_register('a', 'https://example.com') AS id)
            SELECT rule_webhook_configure(w.id, jsonb_build_object('ordering', 'key', 'order_by', $1::text))::text FROM w
            """);
        command.Parameters.Add(new() { Value = by });
        await command.ExecuteNonQueryAsync();
        await using var enqueue = database.CreateCommand("SELECT order_key FROM rule_webhook_calls WHERE call_id = (SELECT rule_webhook_enqueue(1, $1::jsonb))");
        enqueue.Parameters.Add(new() { Value = body });
        await enqueue.ExecuteNonQueryAsync();
        await using var read = database.CreateCommand("SELECT order_key FROM rule_webhook_calls WHERE order_no = call_id AND order_xid IS NOT NULL");
        Assert.Equal(key, await read.ExecuteScalarAsync());
    }

    [Fact]
    public void A_header_is_a_key_as_well()
    {
        var outgoing = new OutgoingEvent("1", default) { Headers = [KeyValuePair.Create("ce-partition", "p1")] };
        Assert.Equal("p1", OrderKey.Of(Settings("header:CE-Partition"), outgoing));
        Assert.Equal("", OrderKey.Of(Settings("header:other"), outgoing));
    }

    [Fact]
    public void A_long_key_is_its_hash_and_what_is_no_json_has_none()
    {
        Assert.Equal(64, OrderKey.Of(Settings("$.a"), new("1", System.Text.Encoding.UTF8.GetBytes($$"""{"a":"{{new string('x', 201)}}"}"""))).Length);
        Assert.Equal("", OrderKey.Of(Settings("$.a"), new("1", new byte[] { 0xff })));
    }

    private static DeliverySettings Settings(string by) => new() { Ordering = "key", OrderBy = by };
}
