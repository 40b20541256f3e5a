using Google.Protobuf;
using Grpc.Core;
using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.Contracts.Publishing;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>I3 and I4: one message id, one event, over both edges.</summary>
[Trait("Category", "Servers")]
[Collection(SharedGraphCollection.Name)]
public sealed class MessageIdTests(SharedGraph shared)
{
    // As jsonb prints it, so that SQL and gRPC say the same bytes.
    private const string Body = """{"order": 17}""";
    private const string OtherBody = """{"order": 18}""";

    private ServiceGraph Graph => shared.Graph;

    [Fact]
    public async Task I3_a_message_id_repeated_over_gRPC_is_answered_with_the_first_place()
    {
        var webhook = await Graph.RegisterAsync("repeated-grpc");

        var first = await PublishAsync(webhook, "order-17", Body);
        var second = await PublishAsync(webhook, "order-17", Body);

        Assert.False(first.Duplicate);
        Assert.True(second.Duplicate);
        Assert.Equal((StreamNames.Webhooks, first.Sequence), (second.Stream, second.Sequence));
        Assert.Equal(first.Sequence, Assert.Single(await StoredAsync(webhook)).Sequence);
    }

    [Fact]
    public async Task I3_a_message_id_repeated_in_SQL_is_answered_with_the_first_row()
    {
        var webhook = await Graph.RegisterAsync("repeated-sql");

        var first = await PublishSqlAsync(webhook, "order-17", Body);
        await StoredInHistoryAsync(first.PublishId);
        var second = await PublishSqlAsync(webhook, "order-17", Body);

        Assert.False(first.Duplicate);
        Assert.True(second.Duplicate);
        Assert.Equal(first.PublishId, second.PublishId);
        var stored = Assert.Single(await StoredAsync(webhook));
        Assert.Equal((long)stored.Sequence, second.Sequence);
    }

    [Fact]
    public async Task I3_the_same_message_id_for_two_webhooks_is_two_events()
    {
        var one = await Graph.RegisterAsync("namespace-one");
        var other = await Graph.RegisterAsync("namespace-other");

        Assert.False((await PublishAsync(one, "order-17", Body)).Duplicate);
        Assert.False((await PublishAsync(other, "order-17", OtherBody)).Duplicate);
        Assert.False((await PublishSqlAsync(one, "order-18", Body)).Duplicate);
        var last = await PublishSqlAsync(other, "order-18", OtherBody);
        Assert.False(last.Duplicate);

        await StoredInHistoryAsync(last.PublishId);
        await Graph.Receiver.WaitForAsync(received => received.At(other.Path).Count() == 2, "both events of the second webhook");
        Assert.Equal(2, (await StoredAsync(one)).Count);
        Assert.Equal(2, (await StoredAsync(other)).Count);
    }

    [Fact]
    public async Task I3_an_event_published_over_gRPC_and_in_SQL_is_stored_once()
    {
        var webhook = await Graph.RegisterAsync("both-edges");

        var first = await PublishAsync(webhook, "grpc-first", Body);
        var again = await PublishSqlAsync(webhook, "grpc-first", Body);
        await StoredInHistoryAsync(again.PublishId);
        var row = await PublishSqlAsync(webhook, "sql-first", Body);
        await StoredInHistoryAsync(row.PublishId);
        var answer = await PublishAsync(webhook, "sql-first", Body);

        Assert.True(answer.Duplicate);
        var stored = await StoredAsync(webhook);
        Assert.Equal([first.Sequence, answer.Sequence], stored.Select(item => item.Sequence));
        Assert.Equal([NatsMessageId.For(webhook.Id, "grpc-first"), NatsMessageId.For(webhook.Id, "sql-first")], stored.Select(item => item.Id));

        // Both history rows of one event, if there are two, name the same place.
        var places = (await HistoryRow.ReadAsync(Graph.Database, webhook.Id, CancellationToken.None)).Where(item => item.State == "stored");
        Assert.Equal(2, places.Select(item => (item.Id, item.Sequence)).Distinct().Count());
    }

    [Fact]
    public async Task I4_the_same_message_id_with_another_body_is_ALREADY_EXISTS_over_gRPC()
    {
        var webhook = await Graph.RegisterAsync("another-body-grpc");
        var first = await PublishAsync(webhook, "order-17", Body);

        var refusal = await Assert.ThrowsAsync<RpcException>(() => PublishAsync(webhook, "order-17", OtherBody));

        Assert.Equal(StatusCode.AlreadyExists, refusal.StatusCode);
        Assert.Equal("MESSAGE_ID_REUSED", Refusal.Of(refusal).Reason);
        Assert.Equal(first.Sequence, Assert.Single(await StoredAsync(webhook)).Sequence);
    }

    [Fact]
    public async Task I4_the_same_message_id_with_another_body_is_23505_in_SQL()
    {
        var webhook = await Graph.RegisterAsync("another-body-sql");
        var first = await PublishSqlAsync(webhook, "order-17", Body);
        await StoredInHistoryAsync(first.PublishId);

        var refusal = await Assert.ThrowsAsync<PostgresException>(() => PublishSqlAsync(webhook, "order-17", OtherBody));

        Assert.Equal(PostgresErrorCodes.UniqueViolation, refusal.SqlState);
        Assert.Contains("order-17", refusal.MessageText, StringComparison.Ordinal);
        Assert.Single(await StoredAsync(webhook));
    }

    [Fact]
    public async Task I4_another_body_is_refused_across_the_edges_too()
    {
        var webhook = await Graph.RegisterAsync("another-body-across");
        var row = await PublishSqlAsync(webhook, "sql-first", Body);
        await StoredInHistoryAsync(row.PublishId);
        await PublishAsync(webhook, "grpc-first", Body);
        // gRPC's history row and key follow the answer within milliseconds.
        await Wait.UntilAsync(
            () => Graph.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM rule_nats_message_keys WHERE webhook_id = $1 AND message_id = 'grpc-first')", [webhook.Id]),
            "the key of the gRPC publish is kept");

        var overGrpc = await Assert.ThrowsAsync<RpcException>(() => PublishAsync(webhook, "sql-first", OtherBody));
        var inSql = await Assert.ThrowsAsync<PostgresException>(() => PublishSqlAsync(webhook, "grpc-first", OtherBody));

        Assert.Equal(StatusCode.AlreadyExists, overGrpc.StatusCode);
        Assert.Equal(PostgresErrorCodes.UniqueViolation, inSql.SqlState);
        Assert.Equal(2, (await StoredAsync(webhook)).Count);
    }

    private async Task<PublishResponse> PublishAsync(GraphWebhook webhook, string messageId, string body) => await shared.Publisher.PublishAsync(
        new() { WebhookId = webhook.Id, MessageId = messageId, Payload = ByteString.CopyFromUtf8(body) }, deadline: Deadline.Of(TimeSpan.FromSeconds(20)));

    private async Task<(long PublishId, bool Duplicate, long? Sequence)> PublishSqlAsync(GraphWebhook webhook, string messageId, string body)
    {
        await using var command = Graph.Database.CreateCommand("""
            SELECT (r ->> 'publish_id')::bigint, (r ->> 'duplicate')::boolean, (r ->> 'sequence')::bigint
              FROM rule_webhook_publish_nats($1, $2::jsonb, $3) r
            """);
        foreach (var value in (object[])[webhook.Id, body, messageId])
        {
            command.Parameters.Add(new() { Value = value });
        }

        await using var reader = await command.ExecuteReaderAsync();
        await reader.ReadAsync();
        return (reader.GetInt64(0), reader.GetBoolean(1), reader.IsDBNull(2) ? null : reader.GetInt64(2));
    }

    private Task StoredInHistoryAsync(long publishId) => Wait.UntilAsync(
        () => Graph.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM rule_nats_publish_history WHERE publish_id = $1 AND state = 'stored')", [publishId]),
        $"publish {publishId} is stored");

    private Task<IReadOnlyList<StoredEvent>> StoredAsync(GraphWebhook webhook) => StreamContents.ReadAsync(Graph.Nats.Url, webhook.Subject);
}
