using System.Globalization;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.IngestionApi.Tests.Messages;

[Collection(nameof(SharedService))]
[Trait("Category", "Servers")]
public sealed class MessageTests(SharedService shared)
{
    private IngestionService Api => shared.Api;

    [Fact]
    public async Task A_document_is_in_the_stream_as_it_was_sent_when_the_answer_says_accepted()
    {
        const string Document = """{"order_id": "123", "total": 100.50, "big": 9007199254740993, "__proto__": {"$type": "x"}, "text": "é\u00e9 \"quoted\""}""";
        var answer = (await Api.PostAsync("/ingest/message", Document)).Is(202);
        Assert.Equal(["message_id", "status", "timestamp"], answer.Json.AsObject().Select(member => member.Key));
        Assert.Equal("accepted", answer.Text("status"));
        Assert.EndsWith("Z", answer.Text("timestamp"), StringComparison.Ordinal);
        Assert.Equal($"/ingest/status/{answer.Text("message_id")}", answer.Header("Location"));
        var sent = DateTimeOffset.Parse(answer.Text("timestamp"), CultureInfo.InvariantCulture);

        var stored = (await Api.StoredAsync()).Single(message => message.MessageId == answer.Text("message_id"));
        Assert.Equal("messages.ingest.default", stored.Subject);
        Assert.True(IngestEnvelope.TryRead(stored.Data, out var envelope, out _));
        Assert.Equal(Document, System.Text.Encoding.UTF8.GetString(envelope!.Body.Span));
        Assert.Equal((answer.Text("message_id"), null, 0, null), (envelope.MessageId.ToString(), envelope.EntityType, envelope.RetryCount, envelope.Source));
        Assert.InRange(envelope.ReceivedAt, sent.AddMilliseconds(-1), sent.AddMilliseconds(1));
    }
}
