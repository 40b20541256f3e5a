using System.Security.Cryptography;
using System.Text.Json;
using RuleEngineNats.Contracts;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.Interop.Tests;

/// <summary>Stock clients of another language: they publish over gRPC, read the stream, and verify what was delivered.</summary>
[Trait("Category", "Servers")]
public sealed class NodeClientTests(InteropGraph shared) : IClassFixture<InteropGraph>
{
    private const int Bodies = 60;
    private const string TraceId = "4bf92f3577b34da6a3ce929d0e0e4736";

    private ServiceGraph Graph => shared.Graph;

    [Fact]
    public async Task Grpc_js_publishes_and_jetstream_reads_the_same_bytes_with_our_headers_and_standardwebhooks_verifies_the_delivery()
    {
        var webhook = await Graph.RegisterAsync("node");
        var bodies = RandomBodies.Make(1 + (2 * Bodies), seed: 7);

        var published = await PublishAsync(webhook, bodies);
        AssertAnswers(published, webhook);
        AssertRefusals(published.GetProperty("refused"));

        var messages = await NodePrograms.RunAsync(
            "consume.mjs", new { server = Graph.Nats.Url, stream = StreamNames.Webhooks, subject = webhook.Subject, count = bodies.Length });
        var expected = bodies.Order(ByBytes).ToArray();
        Assert.Equal(expected, messages.EnumerateArray().Select(message => message.GetProperty("body").GetBytesFromBase64()).Order(ByBytes));
        Assert.All(messages.EnumerateArray(), message => AssertHeaders(message, webhook));

        await Graph.Receiver.WaitForAsync(
            received => received.At(webhook.Path).DistinctBy(request => request.Id).Count() == bodies.Length, $"{bodies.Length} deliveries");
        var deliveries = Graph.Receiver.At(webhook.Path).ToArray();
        Assert.Equal(expected, deliveries.DistinctBy(request => request.Id).Select(request => request.Body).Order(ByBytes));
        await AssertVerifiedAsync(webhook, deliveries);
    }

    [Fact]
    public async Task Standardwebhooks_verifies_what_was_published_in_SQL_and_what_is_sent_again()
    {
        var webhook = await Graph.RegisterAsync("node-sql");
        Graph.Receiver.Answer(webhook.Path, 500, 500, 200);

        foreach (var body in RandomBodies.Make(20, seed: 11))
        {
            await Graph.ScalarAsync<string>("SELECT rule_webhook_publish_nats($1, convert_from($2, 'UTF8')::jsonb) ->> 'state'", [webhook.Id, body]);
        }

        // Two attempts failed: 22 requests for 20 events.
        await Graph.Receiver.WaitForAsync(received => received.At(webhook.Path).Count() == 22, "20 events and two attempts that failed");
        await AssertVerifiedAsync(webhook, [.. Graph.Receiver.At(webhook.Path)]);
    }

    [Fact]
    public async Task A_secret_rotated_to_ed25519_over_REST_signs_beside_the_old_one_until_its_grace_time_is_over()
    {
        var webhook = await Graph.RegisterAsync("node-rotate");
        using var http = new HttpClient { BaseAddress = Graph.Config.HttpUrl };
        using var content = new StringContent("""{"kind":"ed25519","graceSeconds":8}""", System.Text.Encoding.UTF8, "application/json");
        using var rotated = await http.PostAsync($"/api/v1/webhooks/{webhook.Id}/secrets/signing/rotate", content);
        var answer = JsonSerializer.Deserialize<JsonElement>(await rotated.Content.ReadAsStringAsync());
        var expires = answer.GetProperty("previousExpiresAt").GetDateTimeOffset();

        // One after the other, so that there are some on both sides of that moment.
        await Wait.UntilAsync(
            async () =>
            {
                var before = Graph.Receiver.At(webhook.Path).Count();
                await Graph.ScalarAsync<string>("SELECT rule_webhook_publish_nats($1, '{\"a\":1}') ->> 'state'", [webhook.Id]);
                await Graph.Receiver.WaitForAsync(received => received.At(webhook.Path).Count() > before, "the delivery");
                return Graph.Receiver.At(webhook.Path).Last().Headers["webhook-signature"] is var signature && signature.StartsWith("v1a,", StringComparison.Ordinal) && !signature.Contains(' ', StringComparison.Ordinal);
            },
            "a delivery signed by the new key alone");

        // The first may have left before the worker followed the change.
        var deliveries = Graph.Receiver.At(webhook.Path).ToArray();
        var both = deliveries.Where(request => request.Headers["webhook-signature"].StartsWith("v1a,", StringComparison.Ordinal) && request.Headers["webhook-signature"].Contains(" v1,", StringComparison.Ordinal)).ToArray();
        Assert.NotEmpty(both);
        Assert.All(deliveries.Where(request => request.Headers["webhook-signature"].Contains("v1,", StringComparison.Ordinal)), request => Assert.True(request.At < expires.AddSeconds(1)));
        var verified = await NodePrograms.RunAsync("signatures.mjs", new
        {
            secret = webhook.Secret,
            publicKey = answer.GetProperty("publicKey").GetString(),
            deliveries = both.Select(request => new { profile = "standard", headers = request.Headers, body = request.Body }),
        });
        Assert.Equal("[]", verified.GetProperty("failed").GetRawText());
        Assert.Equal(both.Length, verified.GetProperty("verified").GetProperty("ed25519").GetInt32());
    }

    private static Comparer<byte[]> ByBytes { get; } = Comparer<byte[]>.Create((one, other) => one.AsSpan().SequenceCompareTo(other));

    private Task<JsonElement> PublishAsync(GraphWebhook webhook, byte[][] bodies) => NodePrograms.RunAsync("publish.mjs", new
    {
        address = $"127.0.0.1:{Graph.Publish.GrpcPort}",
        protos = Repository.Path("services", "Contracts", "Protos"),
        webhookId = webhook.Id,
        run = "a",
        bodies = new { unary = bodies[0], batch = bodies[1..(Bodies + 1)], stream = bodies[(Bodies + 1)..] },
        traceparent = $"00-{TraceId}-00f067aa0ba902b7-01",
    });

    private static void AssertAnswers(JsonElement published, GraphWebhook webhook)
    {
        var unary = published.GetProperty("unary");
        Assert.Equal(StreamNames.Webhooks, unary.GetProperty("stream").GetString());
        Assert.Equal(webhook.Subject, unary.GetProperty("subject").GetString());
        Assert.Equal("unary-a-0", unary.GetProperty("message_id").GetString());
        Assert.False(unary.GetProperty("duplicate").GetBoolean());
        Assert.True(published.GetProperty("repeated").GetProperty("duplicate").GetBoolean());
        Assert.Equal(Sequence(unary), Sequence(published.GetProperty("repeated")));

        var batch = published.GetProperty("batch");
        Assert.Equal((Bodies, 0), (batch.GetProperty("stored").GetInt32(), batch.GetProperty("failed").GetInt32()));
        JsonElement[] results = [.. batch.GetProperty("results").EnumerateArray(), .. published.GetProperty("stream").EnumerateArray()];
        Assert.Equal(2 * Bodies, results.Length);
        Assert.Equal(
            Enumerable.Range(0, Bodies).Concat(Enumerable.Range(0, Bodies)).Select(index => $"{index}"),
            results.Select(result => result.GetProperty("index").GetString()));
        Assert.Equal(2 * Bodies, results.Select(result => Sequence(result.GetProperty("stored"))).Distinct().Count());
    }

    private static void AssertRefusals(JsonElement refused)
    {
        var subject = refused.GetProperty("subject");
        Assert.Equal(3, subject.GetProperty("code").GetInt32());
        var violation = Detail(subject, "google.rpc.BadRequest").GetProperty("field_violations")[0];
        Assert.Equal("subject", violation.GetProperty("field").GetString());
        Assert.Equal("subject: whitespace at byte 10", violation.GetProperty("description").GetString());

        var reused = refused.GetProperty("reused");
        Assert.Equal(6, reused.GetProperty("code").GetInt32());
        var info = Detail(reused, "google.rpc.ErrorInfo");
        Assert.Equal(("ruleengine", "MESSAGE_ID_REUSED"), (info.GetProperty("domain").GetString(), info.GetProperty("reason").GetString()));
    }

    private static void AssertHeaders(JsonElement message, GraphWebhook webhook)
    {
        var headers = message.GetProperty("headers");
        var body = message.GetProperty("body").GetBytesFromBase64();
        var id = Header(EventHeaders.MessageId);
        Assert.StartsWith($"{webhook.Id}_", id, StringComparison.Ordinal);
        Assert.Equal(StreamNames.Webhooks, Header(EventHeaders.ExpectedStream));
        Assert.Equal($"{webhook.Id}", Header(EventHeaders.WebhookId));
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(body)), Header(EventHeaders.BodySha256));
        Assert.Equal(id, Header(EventHeaders.CloudEventId));
        Assert.Equal(EventHeaders.CloudEventSpecVersionValue, Header(EventHeaders.CloudEventSpecVersion));
        Assert.Equal(webhook.Subject, Header(EventHeaders.CloudEventType));
        Assert.NotEmpty(Header(EventHeaders.CloudEventSource));
        Assert.True(DateTimeOffset.TryParse(Header(EventHeaders.CloudEventTime), out _));
        Assert.Contains(TraceId, Header(EventHeaders.TraceParent), StringComparison.Ordinal);
        Assert.Equal("node", Header("X-Client"));

        string Header(string name) => headers.TryGetProperty(name, out var value) ? value.GetString()! : throw new KeyNotFoundException($"{name} in {headers}");
    }

    private static async Task AssertVerifiedAsync(GraphWebhook webhook, ReceivedRequest[] deliveries)
    {
        var answer = await NodePrograms.RunAsync("verify.mjs", new
        {
            secret = webhook.Secret,
            deliveries = deliveries.Select(request => new { headers = request.Headers, body = request.Body }),
        });
        Assert.Equal("[]", answer.GetProperty("failed").GetRawText());
        Assert.Equal(deliveries.Length, answer.GetProperty("verified").GetInt32());
        Assert.Equal(0, answer.GetProperty("unnoticed").GetInt32());
    }

    private static JsonElement Detail(JsonElement refusal, string type)
        => refusal.GetProperty("details").EnumerateArray().Single(detail => detail.GetProperty("type").GetString() == type);

    private static ulong Sequence(JsonElement stored) => ulong.Parse(stored.GetProperty("sequence").GetString()!);
}
