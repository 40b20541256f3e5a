using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Npgsql;
using RuleEngineNats.Contracts.Publishing;
using RuleEngineNats.TestKit;
using Xunit;

namespace RuleEngineNats.AppHost.Tests;

/// <summary>The AppHost as <c>./run</c> starts it: a process of its own, with the dashboard and the file of endpoints.</summary>
[Trait("Category", "Servers")]
public sealed class RunTests
{
    [Fact]
    public async Task The_dashboard_shows_one_trace_from_the_publish_call_through_the_stream_to_the_delivery()
    {
        await using var running = await RunningAppHost.StartAsync();
        await using var receiver = await WebhookReceiver.StartAsync();
        await using var database = NpgsqlDataSource.Create(running.ConnectionString);
        var webhook = await Webhook.RegisterAsync(database, receiver, "traced");
        var trace = ActivityTraceId.CreateRandom().ToHexString();

        using (var channel = GrpcChannel.ForAddress(running.Endpoint("publish")))
        {
            await new PublishService.PublishServiceClient(channel).PublishAsync(
                new() { WebhookId = webhook.Id, Payload = ByteString.CopyFromUtf8("""{"traced": true}""") },
                new Metadata { { "traceparent", $"00-{trace}-{ActivitySpanId.CreateRandom().ToHexString()}-01" } });
        }

        await webhook.ReceivedAsync();
        using var dashboard = new HttpClient { BaseAddress = new(running.Endpoint("dashboard")) };
        Span[] spans = [];
        await Wait.UntilAsync(
            async () =>
            {
                spans = await SpansAsync(dashboard);
                var ours = spans.Where(span => span.Trace == trace).ToArray();
                return ours.Any(span => span.Name == "POST /ruleengine.publish.v1.PublishService/Publish") && ours.Any(span => span.Service == "delivery-worker");
            },
            $"the dashboard has the call and the delivery in trace {trace}");
        // Probes, and statements that belong to no request or event, come all the time and would bury it.
        Assert.DoesNotContain(spans, span => span.Name.Contains("/health/", StringComparison.Ordinal));
        Assert.DoesNotContain(spans, span => span is { Scope: "Npgsql", HasParent: false });

        await running.StopAsync();
        await Wait.UntilAsync(() => running.Survivors().Count == 0, "all that the AppHost started has ended");
        Assert.False(File.Exists(running.EndpointsFile));
    }

    // OTLP JSON: data.resourceSpans[].{resource.attributes[service.name], scopeSpans[].{scope.name, spans[]}}
    private static async Task<Span[]> SpansAsync(HttpClient dashboard)
    {
        using var answer = await dashboard.GetAsync(new Uri("/api/telemetry/traces?limit=1000", UriKind.Relative));
        if (!answer.IsSuccessStatusCode)
        {
            return [];
        }

        var json = await answer.Content.ReadFromJsonAsync<JsonElement>();
        return [.. json.GetProperty("data").GetProperty("resourceSpans").EnumerateArray().SelectMany(resource =>
        {
            var service = resource.GetProperty("resource").GetProperty("attributes").EnumerateArray()
                .First(attribute => attribute.GetProperty("key").GetString() == "service.name").GetProperty("value").GetProperty("stringValue").GetString()!;
            return resource.GetProperty("scopeSpans").EnumerateArray().SelectMany(scope => scope.GetProperty("spans").EnumerateArray().Select(span => new Span(
                span.GetProperty("traceId").GetString()!,
                service,
                scope.GetProperty("scope").GetProperty("name").GetString()!,
                span.GetProperty("name").GetString()!,
                span.TryGetProperty("parentSpanId", out _))));
        })];
    }

    private sealed record Span(string Trace, string Service, string Scope, string Name, bool HasParent);
}
