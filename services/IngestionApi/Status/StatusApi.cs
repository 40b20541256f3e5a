namespace RuleEngineNats.IngestionApi.Status;

internal static class StatusApi
{
    public static void MapStatus(this WebApplication app)
    {
        var status = app.MapGroup("/ingest/status").WithTags("Status");
        status.MapGet("/", ListStatus.HandleAsync).WithName("ListStatus")
            .WithSummary("Lists documents of which a worker has recorded something")
            .WithDescription("In the order of their acceptance, a page at a time. Those that wait in the stream are counted (pending), not listed: nothing is recorded about them.")
            .WithParameter("since", "Only those accepted at this time (RFC 3339) or later.")
            .WithParameter("until", "Only those accepted before this time (RFC 3339).")
            .WithParameter("status", "Only those with this status: accepted, processing, completed, failed or dlq.")
            .WithParameter("entity", "Only those of this entity.")
            .WithParameter("limit", "Most documents in the answer; 100 by default.", (1, StatusQuery.MostLimit))
            .WithParameter("cursor", "next_cursor of the page before.")
            .Produces<StatusPage>().WithProblems(400, 503);
        status.MapGet("/{messageId}", GetStatus.HandleAsync).WithName("GetStatus")
            .WithSummary("Says where a document is")
            .WithDescription("An id that was returned is never unknown: without a record of a worker it is accepted, until the stream's age is over. It never goes back from completed or dlq.")
            .WithParameter("messageId", "The id that was returned when the document was accepted.")
            .Produces<DocumentStatus>().WithProblems(400, 404, 503);
    }
}
