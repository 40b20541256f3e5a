using RuleEngineNats.Contracts;
using RuleEngineNats.IngestionApi.Messages;
using RuleEngineNats.IngestionApi.Reading;

namespace RuleEngineNats.IngestionApi.Batches;

internal static class BatchesApi
{
    private const string Lines = "{\"order_id\": \"123\", \"total\": 100.50}\n{\"order_id\": \"124\", \"total\": 7}\n";
    private const string Array = """[{"order_id": "123", "total": 100.50}, {"order_id": "124", "total": 7}]""";

    private const string Answer = """
        {"batch_id":"019ace5b-7c1d-7a40-9f0e-5d3c2b1a4f6e","status":"partial","processed":2,"inserted":1,"failed":1,"rejected":1,"unavailable":0,"blank":0,"complete":true,"duration_ms":3,
         "errors":["Line 2: Invalid JSON: not a single JSON value at byte 4"],
         "results":[{"line":1,"status":"accepted","message_id":"019ace5b-7c1d-8000-8101-22334455a1b2"},
                    {"line":2,"status":"rejected","code":"invalid_json","field":"body","detail":"not a single JSON value at byte 4"}]}
        """;

    private const string AnswerLines = "{\"line\":1,\"status\":\"accepted\",\"message_id\":\"019ace5b-7c1d-8000-8101-22334455a1b2\"}\n{\"batch_id\":\"019ace5b-7c1d-7a40-9f0e-5d3c2b1a4f6e\",\"status\":\"success\",\"processed\":1}\n";

    public static void MapBatches(this WebApplication app)
    {
        var slice = app.Services.GetRequiredService<IngestBatch>();
        Describe(app.MapPost("/ingest/batch", (Delegate)slice.HandleAsync), "IngestBatch");
        Describe(app.MapPost("/ingest/batch/{entity}", (Delegate)slice.HandleAsync), "IngestBatchOf").WithEntityPath();
        app.MapGet("/ingest/batch/{batchId}", app.Services.GetRequiredService<GetBatch>().HandleAsync)
            .WithTags("Status").WithName("GetBatch")
            .WithSummary("Says how far a batch is")
            .WithDescription("pending is 0 when nothing will change any more. With lines=true, the lines of which a worker has recorded something, a page at a time.")
            .WithParameter("batchId", "The id that was returned with the batch's verdicts.")
            .WithParameter("lines", "true: with its lines.")
            .WithParameter("status", "Only lines with this status: processing, completed, failed or dlq.")
            .WithParameter("limit", "Most lines in the answer; 100 by default.", (1, GetBatch.MostLines))
            .WithParameter("after", "Only lines with a higher number: next_after of the page before.", (0, IngestMessageId.MaxLine))
            .Produces<BatchStatus>().WithProblems(400, 404, 503);
    }

    private static RouteHandlerBuilder Describe(RouteHandlerBuilder route, string name) => route
        .WithTags("Ingest").WithName(name)
        .WithSummary("Takes many JSON documents, one a line or in an array")
        .WithDescription("Each line has a verdict of its own, in order; what is wrong with one does not touch the others. Accept: application/x-ndjson has each verdict as soon as it is known, and a summary at the end. 503: nothing was accepted; send the batch again after the time in Retry-After.")
        .WithTerms()
        .WithRawBody("One JSON document a line, or a JSON array of them.", required: true, (RequestMedia.JsonLines, Lines), (RequestMedia.Json, Array), ("text/plain", Lines))
        .WithAnswer(StatusCodes.Status202Accepted, "A verdict for each line.", Answer)
        .WithAnswer(StatusCodes.Status202Accepted, "A verdict for each line.", AnswerLines, RequestMedia.JsonLines)
        .WithProblems(400, 408, 413, 415, 422, 429, 503);
}
