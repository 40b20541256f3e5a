using System.Net;
using System.Text.Json.Nodes;

namespace RuleEngineNats.ConfigService.Tests;

[Collection(nameof(RunningService))]
[Trait("Category", "Servers")]
public sealed class OpenApiTests(RunningService service)
{
    private static readonly string[] Routes =
    [
        "get /api/v1/connections", "get /api/v1/connections/{name}", "get /api/v1/connections/{name}/health", "put /api/v1/connections/{name}",
        "get /api/v1/dead-letters", "get /api/v1/dead-letters/{callId}", "delete /api/v1/dead-letters/{callId}", "post /api/v1/dead-letters/{callId}/redrive",
        "post /api/v1/webhooks/{webhook}/dead-letters/redrive", "post /api/v1/webhooks/{webhook}/dead-letters/discard",
        "post /api/v1/webhooks/{webhook}/replays", "get /api/v1/replays", "get /api/v1/replays/{id}", "post /api/v1/replays/{id}/cancel",
        "get /api/v1/delivery-statistics", "get /api/v1/pool",
        "get /api/v1/publish-statistics", "get /api/v1/publish-statistics/failures", "get /api/v1/publish-statistics/latencies",
        "get /api/v1/publish-statistics/webhooks",
        "get /api/v1/streams", "post /api/v1/streams", "get /api/v1/streams/{name}",
        "get /api/v1/webhooks", "post /api/v1/webhooks",
        "get /api/v1/webhooks/{webhook}", "patch /api/v1/webhooks/{webhook}", "delete /api/v1/webhooks/{webhook}",
        "post /api/v1/webhooks/{webhook}/disable-nats", "post /api/v1/webhooks/{webhook}/enable-nats",
        "post /api/v1/webhooks/{webhook}/test", "get /api/v1/webhooks/{webhook}/delivery", "patch /api/v1/webhooks/{webhook}/delivery",
        "get /api/v1/webhooks/{webhook}/secrets", "put /api/v1/webhooks/{webhook}/secrets/{name}",
        "delete /api/v1/webhooks/{webhook}/secrets/{name}", "post /api/v1/webhooks/{webhook}/secrets/signing/rotate",
    ];

    [Fact]
    public async Task The_document_lists_every_route_and_no_other()
        => Assert.Equal(Routes.Order(StringComparer.Ordinal), (await OperationsAsync()).Select(operation => operation.Route).Order(StringComparer.Ordinal));

    [Fact]
    public async Task Every_operation_has_a_summary_an_id_a_success_type_and_problems()
    {
        foreach (var (route, operation) in await OperationsAsync())
        {
            Assert.False(string.IsNullOrEmpty(operation["summary"]?.GetValue<string>()), route);
            Assert.False(string.IsNullOrEmpty(operation["description"]?.GetValue<string>()), route);
            Assert.False(string.IsNullOrEmpty(operation["operationId"]?.GetValue<string>()), route);
            var responses = operation["responses"]!.AsObject();
            Assert.True(responses.Any(response => response.Key is "204"
                || (response.Key is "200" or "201" && response.Value!["content"]?["application/json"]?["schema"] is not null)), route);
            Assert.True(route.EndsWith("/pool", StringComparison.Ordinal)
                || responses.Any(response => response.Value!["content"]?["application/problem+json"]?["schema"] is not null), route);
        }
    }

    [Fact]
    public async Task Every_parameter_and_every_field_is_described()
    {
        foreach (var (route, operation) in await OperationsAsync())
        {
            foreach (var parameter in operation["parameters"]?.AsArray() ?? [])
            {
                Assert.False(string.IsNullOrEmpty(parameter!["description"]?.GetValue<string>()), $"{route} {parameter["name"]}");
            }
        }

        foreach (var (name, schema) in (await DocumentAsync())["components"]!["schemas"]!.AsObject())
        {
            foreach (var (field, property) in schema!["properties"]?.AsObject() ?? [])
            {
                Assert.True(property!.ToJsonString().Contains("\"description\"", StringComparison.Ordinal), $"{name}.{field}");
            }
        }
    }

    [Fact]
    public async Task Bodies_name_their_required_fields_and_integers_are_integers()
    {
        var document = await DocumentAsync();
        var registration = document["paths"]!["/api/v1/webhooks"]!["post"]!["requestBody"]!["content"]!["application/json"]!["schema"]!["$ref"]!.GetValue<string>();
        var schema = document["components"]!["schemas"]![registration.Split('/')[^1]]!;
        Assert.Equal(["name", "url"], schema["required"]!.AsArray().Select(field => field!.GetValue<string>()).Order(StringComparer.Ordinal));
        var hours = document["paths"]!["/api/v1/publish-statistics"]!["get"]!["parameters"]!.AsArray().Single(parameter => parameter!["name"]!.GetValue<string>() == "hours")!;
        Assert.Equal("integer", hours["schema"]!["type"]!.GetValue<string>());
        Assert.Equal(8760, hours["schema"]!["maximum"]!.GetValue<int>());
    }

    private async Task<JsonNode> DocumentAsync()
    {
        var answer = await service.GetAsync("/openapi/v1.json");
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        return answer.Json;
    }

    private async Task<IReadOnlyList<(string Route, JsonNode Operation)>> OperationsAsync()
        => [.. (await DocumentAsync())["paths"]!.AsObject()
            .SelectMany(path => path.Value!.AsObject().Select(operation => ($"{operation.Key} {path.Key.TrimEnd('/')}", operation.Value!)))];
}
