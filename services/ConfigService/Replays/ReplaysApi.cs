using RuleEngineNats.ConfigService.Webhooks;

namespace RuleEngineNats.ConfigService.Replays;

internal static class ReplaysApi
{
    private const string Id = "The id of the replay.";

    public static void MapReplays(this RouteGroupBuilder api)
    {
        api.MapPost("/webhooks/{webhook}/replays", StartReplay.HandleAsync).WithTags("Replays").WithName("StartReplay")
            .WithSummary("Lets a webhook have events of its streams once more")
            .WithDescription("A delivery worker begins within 2 seconds. Deliveries keep their webhook-id and carry webhook-replay. 409 when the webhook is off or takes no events from streams.")
            .WithParameter("webhook", WebhooksApi.Identifier)
            .WithBody<StartReplay.Request>(optional: true).Produces<Replay>(201).WithProblems(404, 409);
        var replays = api.MapGroup("/replays").WithTags("Replays");
        replays.MapGet("/", ListReplays.HandleAsync).WithName("ListReplays")
            .WithSummary("Lists replays").WithDescription("The newest first, a page at a time; those that ended are kept for 30 days.")
            .WithParameter("webhook", WebhooksApi.Identifier)
            .WithParameter("limit", "Most replays in the answer; 50 by default.", (1, ListReplays.MaxLimit))
            .WithParameter("before", "Only replays with a smaller id: next of the page before.")
            .Produces<ReplayPage>().WithProblems(404);
        replays.MapGet("/{id}", CancelReplay.GetAsync).WithName("GetReplay")
            .WithSummary("Shows a replay and how far it is").WithDescription("What was asked for, its counters and its progress.")
            .WithParameter("id", Id)
            .Produces<Replay>().WithProblems(404);
        replays.MapPost("/{id}/cancel", CancelReplay.HandleAsync).WithName("CancelReplay")
            .WithSummary("Ends a replay").WithDescription("It puts nothing more into the queue; what is there already is delivered. 409 when it had ended.")
            .WithParameter("id", Id)
            .Produces<Replay>().WithProblems(404, 409);
    }
}
