namespace RuleEngineNats.Sql.Tests;

/// <summary>Documents that are events, and how long statuses are kept.</summary>
[Trait("Category", "Servers")]
public sealed class IngestionTests
{
    private const string Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    [Fact]
    public async Task Documents_that_are_events_are_pending_in_the_outbox_byte_for_byte_and_a_rollback_leaves_none()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("SELECT rule_nats_stream_create('SALES', ARRAY['sales.>'])");
        const string Publish = """
            SELECT rule_nats_publish_subject('sales.orders', ARRAY['a', 'b.c'], ARRAY['{"n" : 1.50}'::bytea, '[1,  2]'::bytea], ARRAY[NULL, $1], 'tests')
            """;
        await using (var connection = await database.Source.OpenConnectionAsync())
        {
            await using var transaction = await connection.BeginTransactionAsync();
            await database.ExecuteAsync(connection, Publish, Trace);
            await transaction.RollbackAsync();
        }

        Assert.Equal(2, await database.ScalarAsync<int>(Publish, Trace));
        Assert.Equal("sales.orders SALES pending tests a 0_a {\"n\" : 1.50} {\"n\": 1.50} t", await database.ScalarAsync<string>("""
            SELECT concat_ws(' ', subject, stream_name, state, triggered_by, message_id, nats_msg_id, convert_from(body, 'UTF8'), payload, body_sha256 = sha256(body))
              FROM rule_nats_publish_history WHERE message_id = 'a' AND webhook_id IS NULL AND trace_parent IS NULL
            """));
        Assert.True(await database.ScalarAsync<bool>(
            "SELECT nats_msg_id = rule_nats_msg_id(0, 'b.c') AND trace_parent = $1 AND convert_from(body, 'UTF8') = '[1,  2]' FROM rule_nats_publish_history WHERE message_id = 'b.c'", Trace));
        Assert.Equal(2, await database.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE enqueued_xid IS NOT NULL"));
    }

    [Theory]
    [InlineData("NULL, '{}', '{}'", "22023", "subject: empty at byte 0")]
    [InlineData("'sales.*', '{}', '{}'", "22023", "subject: ")]
    [InlineData("'messages.ingest.Order', '{}', '{}'", "22023", "subject: messages.ingest.Order belongs to ingestion")]
    [InlineData("'sales', ARRAY['a'], '{}'", "22023", "p_message_ids, p_bodies and p_traceparents must have the same length")]
    [InlineData("'sales', ARRAY['a'], NULL", "22023", "p_message_ids, p_bodies and p_traceparents must have the same length")]
    [InlineData("'sales', ARRAY['a'], ARRAY['{}'::bytea], ARRAY['x', 'y']", "22023", "p_message_ids, p_bodies and p_traceparents must have the same length")]
    [InlineData("'sales', ARRAY['a'], ARRAY['{}'::bytea], ARRAY['x']", "22023", "traceparent: not ")]
    [InlineData("'sales', ARRAY['a b'], ARRAY['{}'::bytea]", "22023", "message_id: space or control character at byte 1")]
    [InlineData("'sales', ARRAY['a'], ARRAY['null'::bytea]", "22004", "payload must not be null")]
    [InlineData("'sales', ARRAY['a'], ARRAY['[1e999]'::bytea]", "22023", "payload: number out of range")]
    [InlineData("'sales', ARRAY['a'], ARRAY['no'::bytea]", "22P02", "invalid input syntax for type json")]
    [InlineData("'sales', ARRAY['a'], ARRAY['\\xff'::bytea]", "22021", "invalid byte sequence")]
    [InlineData("'sales', '{}', '{}', NULL, repeat('x', 256)", "54000", "triggered_by: 256 characters, the limit is 255")]
    public async Task What_cannot_be_published_is_refused_by_name(string arguments, string state, string message)
    {
        var database = await Untouched.Value;
        var refusal = await database.RefusedAsync($"SELECT rule_nats_publish_subject({arguments})");
        Assert.Equal(state, refusal.SqlState);
        Assert.StartsWith(message, refusal.MessageText, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("NULL", "p_keep: must be at least 1 second")]
    [InlineData("'-1 day'", "p_keep: must be at least 1 second")]
    [InlineData("'1 day', 0", "p_limit: 0 is not 1 to 5000")]
    [InlineData("'1 day', 5001", "p_limit: 5001 is not 1 to 5000")]
    [InlineData("'1 day', NULL", "p_limit: <NULL> is not 1 to 5000")]
    public async Task Maintenance_refuses_by_name(string arguments, string message)
    {
        var refusal = await (await Untouched.Value).RefusedAsync($"SELECT rule_ingest_maintain({arguments})");
        Assert.Equal("22023", refusal.SqlState);
        Assert.Equal(message, refusal.MessageText);
    }

    [Fact]
    public async Task Maintenance_runs_in_one_session_at_a_time_and_takes_no_more_than_a_portion()
    {
        await using var database = await SqlDatabase.CreateAsync();
        await database.ExecuteAsync("""
            INSERT INTO message_status (message_id, received_at, processed_at, status)
            SELECT gen_random_uuid(), now() - interval '2 days', now() - interval '2 days', 'completed' FROM generate_series(1, 30)
            """);
        await using var connection = await database.Source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        Assert.Equal(20, await database.ScalarAsync<int>(connection, "SELECT rule_ingest_maintain('1 day', 20)"));
        Assert.Equal(0, await database.ScalarAsync<int>("SELECT rule_ingest_maintain('1 day', 20)"));
        await transaction.CommitAsync();
        Assert.Equal(10, await database.ScalarAsync<int>("SELECT rule_ingest_maintain('1 day', 20)"));
        Assert.Equal(0, await database.ScalarAsync<int>("SELECT rule_ingest_maintain('1 day', 20)"));
    }

    private static readonly Lazy<Task<SqlDatabase>> Untouched = new(() => SqlDatabase.CreateAsync());
}
