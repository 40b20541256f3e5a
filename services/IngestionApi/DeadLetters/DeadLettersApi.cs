using RuleEngineNats.IngestionApi.Reading;
using RuleEngineNats.IngestionApi.Status;

namespace RuleEngineNats.IngestionApi.DeadLetters;

internal static class DeadLettersApi
{
    private const string Id = "The id of the document.";

    public static void MapDeadLetters(this WebApplication app)
    {
        var letters = app.MapGroup("/ingest/dead-letters").WithTags("DeadLetters");
        letters.MapGet("/", ListDeadLetters.HandleAsync).WithName("ListDeadLetters")
            .WithSummary("Lists documents that could not be stored")
            .WithDescription("In the order of their acceptance, a page at a time, without the documents; those that were sent again are among them and say so.")
            .WithParameter("since", "Only those accepted at this time (RFC 3339) or later.")
            .WithParameter("until", "Only those accepted before this time (RFC 3339).")
            .WithParameter("entity", "Only those of this entity.")
            .WithParameter("code", "Only those with this error code.")
            .WithParameter("limit", "Most dead letters in the answer; 100 by default.", (1, StatusQuery.MostLimit))
            .WithParameter("cursor", "next_cursor of the page before.")
            .Produces<DeadLetterPage>().WithProblems(400, 503);
        letters.MapGet("/{messageId}", GetDeadLetter.HandleAsync).WithName("GetDeadLetter")
            .WithSummary("Shows a document that could not be stored, and why")
            .WithDescription("As JSON (document), as text where it is none, in Base64 where it is no text. 410: the stream no longer has it.")
            .WithParameter("messageId", Id)
            .Produces<DeadLetter>().WithProblems(400, 404, 410, 503);
        letters.MapPost("/{messageId}/resubmit", app.Services.GetRequiredService<ResubmitDeadLetter>().HandleAsync).WithName("ResubmitDeadLetter")
            .WithSummary("Sends a document again, as it was or corrected")
            .WithDescription("It gets a new id; the old one stays dlq and says which. A repeat with the same body has the same answer.")
            .WithParameter("messageId", Id)
            .WithParameter("entity", "The entity that it is; by default the one it was sent as.")
            .WithRawBody("The corrected document; none to send it as it was.", required: false, (RequestMedia.Json, """{"order_id": "123", "total": 100.50}"""))
            .Produces<Resubmitted>(StatusCodes.Status202Accepted).WithProblems(400, 404, 409, 410, 413, 415, 422, 503);
        letters.MapPost("/redrive", app.Services.GetRequiredService<RedriveDeadLetters>().HandleAsync).WithName("RedriveDeadLetters")
            .WithSummary("Sends many documents again, as they were")
            .WithDescription("Those that the body selects and that were not sent again yet, the oldest first, for at most 20 s: remaining says how many are left, and next_cursor where to go on.")
            .Accepts<RedriveDeadLetters.Request>(isOptional: true, RequestMedia.Json)
            .Produces<RedriveDeadLetters.Answer>().WithProblems(400, 413, 415, 503);
    }
}
