using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.IngestionApi.Reading;

namespace RuleEngineNats.IngestionApi.Messages;

internal static class MessagesApi
{
    private const string Document = """{"order_id": "123", "total": 100.50}""";
    private const string Accepted = """{"message_id":"019ace5b-7c1d-7a40-9f0e-5d3c2b1a4f6e","status":"accepted","timestamp":"2025-11-09T21:27:00.000Z"}""";

    public static void MapMessages(this WebApplication app)
    {
        var slice = app.Services.GetRequiredService<IngestMessage>();
        Describe(app.MapPost("/ingest/message", (Delegate)slice.HandleAsync), "IngestMessage");
        Describe(app.MapPost("/ingest/message/{entity}", (Delegate)slice.HandleAsync), "IngestMessageOf").WithEntityPath();
    }

    /// <summary>The headers that documents and batches have in common.</summary>
    public static RouteHandlerBuilder WithTerms(this RouteHandlerBuilder route) => route
        .WithHeader(ClientTerms.EntityHeader, "The entity that the documents are, where the path does not say so: its name or prefix. A document's own field entity_type says it as well.", "Order")
        .WithHeader(Refusals.IdempotencyKey, "Makes a repeat safe: the same key with the same body has the same ids and is stored once. 1 to 255 visible ASCII characters.", "order-123-2025-11-09")
        .WithHeader(ClientTerms.SourceHeader, "Where the documents come from, for the record.", "till-4")
        .WithHeader(ClientTerms.ApiKeyHeader, "Who asks: idempotency keys and the request rate belong to it.", "shop-7f3a");

    private static RouteHandlerBuilder Describe(RouteHandlerBuilder route, string name) => route
        .WithTags("Ingest").WithName(name)
        .WithSummary("Takes one JSON document")
        .WithDescription("202 means that the stream has it: it is stored, and a worker will write its rows. 503 and 429 say in Retry-After when to send it again.")
        .WithTerms()
        .WithRawBody("Any JSON value in UTF-8, compressed by gzip where Content-Encoding says so.", required: true, (RequestMedia.Json, Document))
        .WithAnswer(StatusCodes.Status202Accepted, "The stream has it.", Accepted)
        .WithProblems(400, 408, 409, 413, 415, 422, 429, 503);
}
