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
        string[] services = [];
        await Wait.UntilAsync(
            async () =>
            {
                services = await ServicesOfAsync(dashboard, trace);
                return services.Contains("publish-service") && services.Contains("delivery-worker");
            },
            $"the dashboard has spans of both services in trace {trace}");
        await NothingBuriesItAsync(dashboard);

        await running.StopAsync();
        await Wait.UntilAsync(() => running.Survivors().Count == 0, "all that the AppHost started has ended");
        Assert.False(File.Exists(running.EndpointsFile));
    }

    // Probes, and statements that belong to no request or event, come all the time.
    private static async Task NothingBuriesItAsync(HttpClient dashboard)
    {
        var json = await dashboard.GetFromJsonAsync<JsonElement>(new Uri("/api/telemetry/traces?limit=1000", UriKind.Relative));
        var spans = json.GetProperty("data").GetProperty("resourceSpans").EnumerateArray()
            .SelectMany(resource => resource.GetProperty("scopeSpans").EnumerateArray())
            .SelectMany(scope => scope.GetProperty("spans").EnumerateArray().Select(span => (Scope: scope.GetProperty("scope").GetProperty("name").GetString(), Span: span)))
            .ToArray();
        Assert.Contains(spans, item => item.Span.GetProperty("name").GetString() == "POST /ruleengine.publish.v1.PublishService/Publish");
        Assert.DoesNotContain(spans, item => item.Span.GetProperty("name").GetString()!.Contains("/health/", StringComparison.Ordinal));
        Assert.DoesNotContain(spans, item => item.Scope == "Npgsql" && !item.Span.TryGetProperty("parentSpanId", out _));
    }

    // OTLP JSON: data.resourceSpans[].resource.attributes[service.name]
    private static async Task<string[]> ServicesOfAsync(HttpClient dashboard, string trace)
    {
        using var answer = await dashboard.GetAsync(new Uri($"/api/telemetry/traces/{trace}", UriKind.Relative));
        if (!answer.IsSuccessStatusCode)
        {
            return [];
        }

        var json = await answer.Content.ReadFromJsonAsync<JsonElement>();
        return [.. json.GetProperty("data").GetProperty("resourceSpans").EnumerateArray()
            .SelectMany(spans => spans.GetProperty("resource").GetProperty("attributes").EnumerateArray())
            .Where(attribute => attribute.GetProperty("key").GetString() == "service.name")
            .Select(attribute => attribute.GetProperty("value").GetProperty("stringValue").GetString()!)
            .Distinct()];
    }
}
