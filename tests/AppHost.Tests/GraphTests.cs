using System.Diagnostics;
using System.Net;
using System.Text;
using System.Text.Json;
using Aspire.Hosting.Testing;
using Google.Protobuf;
using Grpc.Core;
using RuleEngineNats.Contracts.Publishing;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.AppHost.Tests;

[Trait("Category", "Servers")]
public sealed class GraphTests(Graph graph) : IClassFixture<Graph>
{
    private const string Payload = """{"order": 9007199254740993, "note": "it's \"paid\" – ✓"}""";

    [Fact]
    public async Task A_publish_in_sql_arrives_signed_and_in_the_trace_of_its_transaction()
    {
        var webhook = await Webhook.RegisterAsync(graph.Database, graph.Receiver, "from-sql");
        var trace = ActivityTraceId.CreateRandom().ToHexString();

        await using var connection = await graph.Database.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await Webhook.ExecuteAsync(connection, "SELECT set_config('rule.traceparent', $1, true)", $"00-{trace}-{ActivitySpanId.CreateRandom().ToHexString()}-01");
        await Webhook.ExecuteAsync(connection, "SELECT rule_webhook_publish_nats($1, $2::jsonb, 'paid-1')", webhook.Id, Payload);
        await transaction.CommitAsync();

        var request = await webhook.ReceivedAsync();
        Assert.True(StandardWebhookVerifier.Verify(webhook.Secret, request));
        Assert.Equal(trace, TraceOf(request));
    }

    [Fact]
    public async Task A_publish_by_grpc_arrives_signed_byte_for_byte_and_in_the_trace_of_the_call()
    {
        var webhook = await Webhook.RegisterAsync(graph.Database, graph.Receiver, "from-grpc");
        var trace = ActivityTraceId.CreateRandom().ToHexString();
        using var channel = graph.OpenChannel();
        var answer = await new PublishService.PublishServiceClient(channel).PublishAsync(
            new() { WebhookId = webhook.Id, Payload = ByteString.CopyFromUtf8(Payload), MessageId = "paid-1" },
            new Metadata { { "traceparent", $"00-{trace}-{ActivitySpanId.CreateRandom().ToHexString()}-01" } });

        var request = await webhook.ReceivedAsync();
        Assert.False(answer.Duplicate);
        Assert.True(answer.Sequence >= 1);
        Assert.Equal(Payload, Encoding.UTF8.GetString(request.Body));
        Assert.True(StandardWebhookVerifier.Verify(webhook.Secret, request));
        Assert.Equal(trace, TraceOf(request));
    }

    [Fact]
    public async Task Two_replicas_behind_one_address_share_what_they_remember()
    {
        var webhook = await Webhook.RegisterAsync(graph.Database, graph.Receiver, "replicas");
        var answers = new List<PublishResponse>();
        for (var i = 0; i < 8; i++)
        {
            using var channel = graph.OpenChannel();
            answers.Add(await new PublishService.PublishServiceClient(channel).PublishAsync(
                new() { WebhookName = webhook.Name, Payload = ByteString.CopyFromUtf8(Payload), MessageId = "once" }));
        }

        Assert.False(answers[0].Duplicate);
        Assert.All(answers.Skip(1), answer => Assert.True(answer.Duplicate));
        Assert.Single(answers.Select(answer => (answer.Stream, answer.Sequence)).Distinct());

        // A later event must arrive, and the repeated one must then have arrived once.
        using var last = graph.OpenChannel();
        await new PublishService.PublishServiceClient(last).PublishAsync(
            new() { WebhookId = webhook.Id, Payload = ByteString.CopyFromUtf8(Payload), MessageId = "later" });
        await graph.Receiver.WaitForAsync(
            received => received.At(webhook.Path).Any(request => request.Id.EndsWith("later", StringComparison.Ordinal)), "the later event");
        Assert.Single(graph.Receiver.At(webhook.Path), request => request.Id.EndsWith("once", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_document_by_http_becomes_a_row_and_arrives_at_the_webhook_that_asked_for_its_events()
    {
        var webhook = await Webhook.RegisterAsync(graph.Database, graph.Receiver, "web-orders", "events.orders.web");
        using var client = graph.App.CreateHttpClient("ingestion-api", "http");
        const string Document = """{"order_id": "123", "total": 100.50}""";
        using var content = new StringContent(Document, Encoding.UTF8, "application/json");
        using var answer = await client.PostAsync(new Uri("/ingest/message", UriKind.Relative), content);
        Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        using var accepted = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        Assert.Equal(["message_id", "status", "timestamp"], accepted.RootElement.EnumerateObject().Select(field => field.Name));
        Assert.Equal("accepted", accepted.RootElement.GetProperty("status").GetString());

        var id = accepted.RootElement.GetProperty("message_id").GetString();
        await Wait.UntilAsync(
            async () => (await client.GetStringAsync(new Uri($"/ingest/status/{id}", UriKind.Relative))).Contains("\"status\":\"completed\"", StringComparison.Ordinal), "it is completed");
        await using var command = graph.Database.CreateCommand("SELECT order_id || ' ' || total FROM web_orders");
        Assert.Equal("123 100.50", await command.ExecuteScalarAsync());
        var request = await webhook.ReceivedAsync();
        Assert.True(StandardWebhookVerifier.Verify(webhook.Secret, request));
        Assert.Equal(Document, Encoding.UTF8.GetString(request.Body));
    }

    [Fact]
    public async Task Every_service_answers_its_health_endpoints()
    {
        foreach (var service in Graph.Services)
        {
            using var client = graph.App.CreateHttpClient(service, "http");
            foreach (var path in (string[])["/health/live", "/health/ready"])
            {
                // The graph waits for the first replica; another one may still be on its way.
                await Wait.UntilAsync(
                    async () =>
                    {
                        using var response = await client.GetAsync(new Uri(path, UriKind.Relative));
                        return response.IsSuccessStatusCode;
                    },
                    $"{service} answers {path}");
            }
        }
    }

    private static string TraceOf(ReceivedRequest request) => request.Headers["traceparent"].Split('-')[1];
}
