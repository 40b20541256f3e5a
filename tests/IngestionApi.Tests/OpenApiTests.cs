using System.Text.Json.Nodes;

namespace RuleEngineNats.IngestionApi.Tests;

[Collection(nameof(SharedService))]
[Trait("Category", "Servers")]
public sealed class OpenApiTests(SharedService shared)
{
    private static readonly string[] Routes =
    [
        "post /ingest/message", "post /ingest/message/{entity}", "post /ingest/batch", "post /ingest/batch/{entity}",
        "get /ingest/status", "get /ingest/status/{messageId}", "get /ingest/batch/{batchId}",
        "get /ingest/dead-letters", "get /ingest/dead-letters/{messageId}", "post /ingest/dead-letters/{messageId}/resubmit", "post /ingest/dead-letters/redrive",
        "get /health", "get /ready", "get /stats",
    ];

    [Fact]
    public async Task The_document_lists_every_route_and_no_other()
        => Assert.Equal(Routes.Order(StringComparer.Ordinal), (await OperationsAsync()).Select(operation => operation.Route).Order(StringComparer.Ordinal));

    [Fact]
    public async Task Every_operation_has_a_summary_an_id_an_answer_and_problems()
    {
        foreach (var (route, operation) in await OperationsAsync())
        {
            foreach (var member in (string[])["summary", "description", "operationId"])
            {
                Assert.False(string.IsNullOrEmpty(operation[member]?.GetValue<string>()), $"{route} {member}");
            }

            var responses = operation["responses"]!.AsObject();
            Assert.True(responses.Any(response => response.Key is "200" or "202" && response.Value!["content"]?["application/json"]?["schema"] is not null), route);
            Assert.True(responses.Any(response => response.Value!["content"]?["application/problem+json"]?["schema"] is not null), route);
        }
    }

    [Fact]
    public async Task Documents_and_batches_have_examples_and_their_headers()
    {
        foreach (var (route, operation) in (await OperationsAsync()).Where(operation => operation.Route.StartsWith("post /ingest/message", StringComparison.Ordinal) || operation.Route.StartsWith("post /ingest/batch", StringComparison.Ordinal)))
        {
            Assert.All(operation["requestBody"]!["content"]!.AsObject(), form => Assert.NotNull(form.Value!["example"]));
            Assert.NotNull(operation["responses"]!["202"]!["content"]!["application/json"]!["example"]);
            var parameters = operation["parameters"]!.AsArray().Select(parameter => parameter!["name"]!.GetValue<string>()).Order(StringComparer.Ordinal);
            string[] headers = ["Idempotency-Key", "X-Api-Key", "X-Entity-Type", "X-Source"];
            Assert.Equal(route.EndsWith("{entity}", StringComparison.Ordinal) ? [.. headers, "entity"] : headers, parameters);
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
    public async Task The_page_and_all_that_it_loads_come_from_here()
    {
        var page = (await shared.Api.GetAsync("/swagger-ui/index.html")).Is(200);
        Assert.DoesNotContain("https://", page.Body.Replace("https://www.w3.org", "", StringComparison.Ordinal), StringComparison.Ordinal);
        (await shared.Api.GetAsync("/swagger-ui/swagger-ui-bundle.js")).Is(200);
        Assert.Contains("/api-docs/openapi.json", (await shared.Api.GetAsync("/swagger-ui/index.js")).Is(200).Body, StringComparison.Ordinal);
    }

    private async Task<JsonNode> DocumentAsync() => (await shared.Api.GetAsync("/api-docs/openapi.json")).Is(200).Json;

    private async Task<IReadOnlyList<(string Route, JsonNode Operation)>> OperationsAsync()
        => [.. (await DocumentAsync())["paths"]!.AsObject()
            .SelectMany(path => path.Value!.AsObject().Select(operation => ($"{operation.Key} {path.Key.TrimEnd('/')}", operation.Value!)))];
}
