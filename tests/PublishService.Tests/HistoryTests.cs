using Google.Protobuf;
using RuleEngineNats.Contracts.Publishing;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.PublishService.Tests;

[Trait("Category", "Servers")]
public sealed class HistoryTests(PublishFixture fixture) : IClassFixture<PublishFixture>
{
    [Fact]
    public async Task Every_stored_event_has_its_row_at_its_place()
    {
        var (id, _, subject) = await fixture.NewWebhookAsync();
        foreach (var some in Enumerable.Range(0, 700).Chunk(100))
        {
            await Task.WhenAll(some.Select(item => fixture.Client.PublishAsync(PublishFixture.Event(id, $$"""{ "n": {{item}} }""", $"h-{item}"), deadline: PublishFixture.Deadline()).ResponseAsync));
        }

        await RowsAsync(subject, 700);

        var rows = new Dictionary<long, (string MessageId, byte[] Body, string Stream)>();
        await using var command = fixture.Database.CreateCommand(
            "SELECT sequence_number, message_id, body, stream_name FROM rule_nats_publish_history WHERE subject = $1 AND state = 'stored' AND success AND enqueued_xid IS NULL AND latency_ms >= 0");
        command.Parameters.AddWithValue(subject);
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            rows.Add(reader.GetInt64(0), (reader.GetString(1), reader.GetFieldValue<byte[]>(2), reader.GetString(3)));
        }

        var stored = await fixture.StoredAsync(subject);
        Assert.Equal(700, stored.Count);
        Assert.Equal(700, rows.Count);
        Assert.All(stored, message =>
        {
            var row = rows[(long)message.Metadata!.Value.Sequence.Stream];
            Assert.Equal(message.Data, row.Body);
            Assert.Equal("WEBHOOKS", row.Stream);
            Assert.Equal($"{id}_{row.MessageId}", message.Headers!["Nats-Msg-Id"].ToString());
        });
    }

    [Fact]
    public async Task A_repeat_gets_no_second_row()
    {
        var (id, _, subject) = await fixture.NewWebhookAsync();
        for (var round = 0; round < 5; round++)
        {
            await fixture.Client.PublishAsync(PublishFixture.Event(id, "1", "repeat"));
        }

        await fixture.Client.PublishAsync(PublishFixture.Event(id, "2", "last"));
        await Wait.UntilAsync(
            async () => await fixture.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE subject = $1 AND message_id = 'last'", subject) == 1, "the last row is written");

        Assert.Equal(2, await fixture.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE subject = $1", subject));
    }

    [Fact]
    public async Task A_refusal_of_the_server_is_recorded()
    {
        var subject = fixture.NewSubject();
        await fixture.Client.PublishAsync(PublishFixture.Event(subject, "1", "refused"));
        await fixture.RefusedAsync(PublishFixture.Event(subject, "2", "refused"));

        await RowsAsync(subject, 2);

        Assert.Equal(1, await fixture.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE subject = $1 AND success = false AND error_message IS NOT NULL", subject));
    }

    [Fact]
    public async Task With_durability_history_the_row_is_there_first_and_the_event_stored_once()
    {
        var (id, _, subject) = await fixture.NewWebhookAsync();
        var request = PublishFixture.Event(id, """{ "exact" :  true }""", "durable");
        request.Durability = Durability.History;
        request.Headers.Add(new Header { Name = "X-A", Value = "1" });

        var first = await fixture.Client.PublishAsync(request, deadline: PublishFixture.Deadline());
        var repeat = await fixture.Client.PublishAsync(request, deadline: PublishFixture.Deadline());
        var other = request.Clone();
        other.Payload = ByteString.CopyFromUtf8("2");
        var refusal = await fixture.RefusedAsync(other);

        Assert.False(first.Duplicate);
        Assert.True(repeat.Duplicate);
        Assert.Equal(first.Sequence, repeat.Sequence);
        Assert.Equal("MESSAGE_ID_REUSED", refusal.Reason);
        Assert.Single(await fixture.StoredAsync(subject));
        Assert.Equal(
            """{ "exact" :  true }""",
            await fixture.ScalarAsync<string>("SELECT convert_from(body, 'UTF8') FROM rule_nats_publish_history WHERE subject = $1 AND state = 'pending' AND enqueued_xid IS NOT NULL AND headers ->> 'X-A' = '1'", subject));
        Assert.Equal(1, await fixture.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE subject = $1", subject));
    }

    [Fact]
    public async Task An_event_that_sql_published_before_is_found_by_its_id()
    {
        var (id, _, subject) = await fixture.NewWebhookAsync();
        await fixture.ExecuteAsync($$"""SELECT rule_webhook_publish_nats({{id}}, '{"a": 1}', 'both-ways')""");

        var refusal = await fixture.RefusedAsync(PublishFixture.Event(id, """{"a": 2}""", "both-ways"));
        var same = await fixture.Client.PublishAsync(PublishFixture.Event(id, """{"a": 1}""", "both-ways"));
        await fixture.Client.PublishAsync(PublishFixture.Event(id, "0", "after"));
        await RowsAsync(subject, 2);

        Assert.Equal("MESSAGE_ID_REUSED", refusal.Reason);
        Assert.True(same.Sequence > 0);
        Assert.Equal(2, (await fixture.StoredAsync(subject)).Count);
    }

    private Task RowsAsync(string subject, long count) => Wait.UntilAsync(
        async () => await fixture.ScalarAsync<long>("SELECT count(*) FROM rule_nats_publish_history WHERE subject = $1", subject) == count, $"{count} history rows are written");
}
