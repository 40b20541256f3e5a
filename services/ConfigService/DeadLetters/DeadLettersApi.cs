using RuleEngineNats.ConfigService.Webhooks;

namespace RuleEngineNats.ConfigService.DeadLetters;

internal static class DeadLettersApi
{
    private const string CallId = "The id of the call.";

    public static void MapDeadLetters(this RouteGroupBuilder api)
    {
        var letters = api.MapGroup("/dead-letters").WithTags("DeadLetters");
        letters.MapGet("/", ListDeadLetters.HandleAsync).WithName("ListDeadLetters")
            .WithSummary("Lists calls that were given up")
            .WithDescription("In the order of their ids, a page at a time, without payloads. They stay until they are redriven or discarded, or the webhook's time to keep them is over.")
            .WithParameter("webhook", "Only those of this webhook: its id, which may be that of a deleted one, or its name.")
            .WithParameter("from", "Only those given up at this time (RFC 3339) or later.")
            .WithParameter("to", "Only those given up before this time (RFC 3339).")
            .WithParameter("status", "Only those whose receiver answered this last.", (100, 999))
            .WithParameter("limit", "Most dead letters in the answer; 100 by default.", (1, ListDeadLetters.MaxLimit))
            .WithParameter("after", "Only calls with a larger id: next of the page before.")
            .Produces<DeadLetterPage>().WithProblems(404);
        letters.MapGet("/{callId}", GetDeadLetter.HandleAsync).WithName("GetDeadLetter")
            .WithSummary("Shows a dead letter with its payload and attempts").WithDescription("What was to be sent, and what came of each attempt.")
            .WithParameter("callId", CallId)
            .Produces<DeadLetterDetail>().WithProblems(404);
        letters.MapPost("/{callId}/redrive", RedriveDeadLetters.HandleAsync).WithName("RedriveDeadLetter")
            .WithSummary("Makes a dead letter due again")
            .WithDescription("With all its retries before it: the same webhook-id and bytes, a new timestamp and signature. Where the webhook is off the call waits until it is on.")
            .WithParameter("callId", CallId)
            .Produces(204).WithProblems(404, 409);
        letters.MapDelete("/{callId}", DiscardDeadLetters.HandleAsync).WithName("DiscardDeadLetter")
            .WithSummary("Deletes a dead letter").WithDescription("With its payload; the history of its attempts stays.")
            .WithParameter("callId", CallId)
            .Produces(204).WithProblems(404, 409);
        var ofWebhook = api.MapGroup("/webhooks/{webhook}/dead-letters").WithTags("DeadLetters");
        ofWebhook.MapPost("/redrive", RedriveDeadLetters.HandleAllAsync).WithName("RedriveDeadLetters")
            .WithSummary("Makes dead letters of a webhook due again").WithDescription("Those that the body selects, the oldest first; all without a body.")
            .WithParameter("webhook", WebhooksApi.Identifier)
            .WithBody<DeadLetterFilter>(optional: true).Produces<DeadLetterCount>().WithProblems(404);
        ofWebhook.MapPost("/discard", DiscardDeadLetters.HandleAllAsync).WithName("DiscardDeadLetters")
            .WithSummary("Deletes dead letters of a webhook").WithDescription("Those that the body selects; all without a body. The history of their attempts stays.")
            .WithParameter("webhook", WebhooksApi.Identifier)
            .WithBody<DeadLetterFilter>(optional: true).Produces<DeadLetterCount>().WithProblems(404);
    }
}
