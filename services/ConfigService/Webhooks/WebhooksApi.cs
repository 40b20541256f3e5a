using RuleEngineNats.Messaging;

namespace RuleEngineNats.ConfigService.Webhooks;

internal static class WebhooksApi
{
    public const string Identifier = "The id of the webhook or, failing that, its name (percent-encoded; one with a slash is found by ?name=).";

    public static void MapWebhooks(this RouteGroupBuilder api)
    {
        var webhooks = api.MapGroup("/webhooks").WithTags("Webhooks");
        webhooks.MapGet("/", ListWebhooks.HandleAsync).WithName("ListWebhooks")
            .WithSummary("Lists webhooks")
            .WithDescription("In the order of their ids, a page at a time. No secrets.")
            .WithParameter("limit", "Most webhooks in the answer; 100 by default.", (1, ListWebhooks.MaxLimit))
            .WithParameter("after", "Only webhooks with a larger id: next of the page before.", (0, int.MaxValue))
            .WithParameter("enabled", "true for enabled ones only, false for disabled ones only.")
            .WithParameter("name", "Only the webhook with exactly this name.")
            .Produces<WebhookPage>().WithProblems();
        webhooks.MapPost("/", CreateWebhook.HandleAsync).WithName("CreateWebhook")
            .WithSummary("Registers a webhook")
            .WithDescription("The answer holds the signing secret, this once. Enable NATS with enable-nats to publish through it; it receives what its subjectFilter or subject selects.")
            .WithBody<CreateWebhook.Request>().Produces<CreatedWebhook>(201).WithProblems(409);
        webhooks.MapGet("/{webhook}", GetWebhook.HandleAsync).WithName("GetWebhook")
            .WithSummary("Shows one webhook").WithDescription("No secrets.")
            .WithParameter("webhook", Identifier)
            .Produces<Webhook>().WithProblems(404);
        webhooks.MapPatch("/{webhook}", UpdateWebhook.HandleAsync).WithName("UpdateWebhook")
            .WithSummary("Changes a webhook")
            .WithDescription("Changes what is given and keeps the rest. null empties description, subjectFilter and deduplicateForSeconds, and takes a header away.")
            .WithParameter("webhook", Identifier)
            .WithBody<UpdateWebhook.Request>(optional: false, "application/merge-patch+json").Produces<Webhook>().WithProblems(404, 409);
        webhooks.MapDelete("/{webhook}", DeleteWebhook.HandleAsync).WithName("DeleteWebhook")
            .WithSummary("Deletes a webhook and its secrets")
            .WithDescription("Its calls, attempts and publish history stay; calls that were due become failed; pending events are still published.")
            .WithParameter("webhook", Identifier)
            .Produces(204).WithProblems(404);
        webhooks.MapPost("/{webhook}/enable-nats", EnableNats.HandleAsync).WithName("EnableNats")
            .WithSummary("Lets a webhook publish to NATS")
            .WithDescription("Without a subject it is <subjectPrefix of the connection>.<name of the webhook>. warnings says so when no stream takes the subject.")
            .WithParameter("webhook", Identifier)
            .WithBody<EnableNats.Request>(optional: true).Produces<EnableNats.Answer>().WithProblems(404);
        webhooks.MapPost("/{webhook}/disable-nats", DisableNats.HandleAsync).WithName("DisableNats")
            .WithSummary("Takes a webhook back to the PostgreSQL queue")
            .WithDescription("Subject and connection are kept; events already pending are still published.")
            .WithParameter("webhook", Identifier)
            .Produces<Webhook>().WithProblems(404);
        webhooks.MapPost("/{webhook}/test", TestWebhook.HandleAsync).WithName("TestWebhook")
            .WithSummary("Queues a call with the payload {\"type\":\"test\"}")
            .WithDescription("It is signed, authorized, retried and recorded as every other; callId finds it. A URL that deliveries may not go to is refused.")
            .WithParameter("webhook", Identifier)
            .Produces<TestWebhook.Answer>(201).WithProblems(404, 409);
        webhooks.MapGet("/{webhook}/delivery", ConfigureDelivery.GetAsync).WithName("GetDeliverySettings")
            .WithSummary("Shows how deliveries to a webhook are made")
            .WithDescription("Every setting with its present value.")
            .WithParameter("webhook", Identifier)
            .Produces<DeliverySettings>().WithProblems(404);
        webhooks.MapPatch("/{webhook}/delivery", ConfigureDelivery.PatchAsync).WithName("ConfigureDelivery")
            .WithSummary("Changes how deliveries to a webhook are made")
            .WithDescription("Changes what is given and keeps the rest; workers follow within 2 seconds. null where a setting may be null.")
            .WithParameter("webhook", Identifier)
            .WithBody<DeliverySettings>(optional: false, "application/merge-patch+json").Produces<DeliverySettings>().WithProblems(404);
    }
}
