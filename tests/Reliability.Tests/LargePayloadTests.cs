using System.Text;
using Google.Protobuf;
using NATS.Client.Core;
using NATS.Client.JetStream;
using RuleEngineNats.Contracts.Publishing;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>8 MiB through everything: SQL or gRPC, outbox, Object Store, stream, worker, endpoint; nothing is prepared but what the services make themselves.</summary>
[Trait("Category", "Servers")]
[Collection(SharedGraphCollection.Name)]
public sealed class LargePayloadTests(SharedGraph shared)
{
    private const int Size = 8 * 1024 * 1024;

    private ServiceGraph Graph => shared.Graph;

    [Fact]
    public async Task Eight_mebibytes_from_SQL_are_at_the_endpoint_byte_for_byte_and_signed()
    {
        var webhook = await Graph.RegisterAsync("large-sql");
        await Graph.ScalarAsync<bool>("SELECT (rule_webhook_publish_nats($1, $2::jsonb) ->> 'success')::boolean", [webhook.Id, PayloadBucket.Json(Size)]);

        var request = await ReceivedAsync(webhook);
        var bytes = await Graph.ScalarAsync<byte[]>("SELECT convert_to(payload::text, 'UTF8') FROM rule_nats_publish_history WHERE webhook_id = $1", [webhook.Id]);
        Assert.True(request.Body.AsSpan().SequenceEqual(bytes));
        Assert.InRange(bytes.Length, Size, Size + 100);
    }

    [Fact]
    public async Task Eight_mebibytes_from_gRPC_are_at_the_endpoint_byte_for_byte_and_signed_and_the_bucket_is_as_its_stream_asks()
    {
        var webhook = await Graph.RegisterAsync("large-grpc");
        var body = Encoding.UTF8.GetBytes(PayloadBucket.Json(Size));
        await shared.Publisher.PublishAsync(new PublishRequest { WebhookId = webhook.Id, Payload = ByteString.CopyFrom(body) }, deadline: DateTime.UtcNow.AddSeconds(25));

        Assert.True((await ReceivedAsync(webhook)).Body.AsSpan().SequenceEqual(body));
        await using var connection = new NatsConnection(new NatsOpts { Url = Graph.Nats.Url });
        var bucket = await new NatsJSContext(connection).GetStreamAsync($"OBJ_{PayloadBucket.Name}");
        var stream = await new NatsJSContext(connection).GetStreamAsync("WEBHOOKS");
        Assert.Equal(stream.Info.Config.MaxAge + TimeSpan.FromDays(2), bucket.Info.Config.MaxAge);
    }

    private async Task<ReceivedRequest> ReceivedAsync(GraphWebhook webhook)
    {
        try
        {
            await Graph.Receiver.WaitForAsync(received => received.At(webhook.Path).Any(), "the large event");
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message}\n{Graph.Output}", e);
        }

        var request = Assert.Single(Graph.Receiver.At(webhook.Path));
        Assert.True(StandardWebhookVerifier.Verify(webhook.Secret, request));
        return request;
    }
}
