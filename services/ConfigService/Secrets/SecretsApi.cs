using RuleEngineNats.ConfigService.Webhooks;

namespace RuleEngineNats.ConfigService.Secrets;

internal static class SecretsApi
{
    private const string NameOfSecret = "Name of the secret; deliveries are signed with the one named signing and authorized with the one named auth.";

    public static void AddSecrets(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<EncryptSecrets>();
        builder.Services.AddHostedService<SecretsWorker>();
    }

    public static void MapSecrets(this RouteGroupBuilder api)
    {
        var secrets = api.MapGroup("/webhooks/{webhook}/secrets").WithTags("Secrets");
        secrets.MapGet("/", ListSecrets.HandleAsync).WithName("ListSecrets")
            .WithSummary("Lists the names of a webhook's secrets").WithDescription("Never the values; of an ed25519 key the public half, which receivers need.")
            .WithParameter("webhook", WebhooksApi.Identifier)
            .Produces<SecretList>().WithProblems(404);
        secrets.MapPut("/{name}", SetSecret.HandleAsync).WithName("SetSecret")
            .WithSummary("Stores or replaces a secret")
            .WithDescription("Takes effect at once: deliveries are no longer signed with the value before. To keep both for a while, rotate.")
            .WithParameter("webhook", WebhooksApi.Identifier).WithParameter("name", NameOfSecret)
            .WithBody<SetSecret.Request>().Produces(204).WithProblems(404);
        secrets.MapDelete("/{name}", DeleteSecret.HandleAsync).WithName("DeleteSecret")
            .WithSummary("Deletes a secret").WithDescription("Without any signing secret deliveries are not signed.")
            .WithParameter("webhook", WebhooksApi.Identifier).WithParameter("name", NameOfSecret)
            .Produces(204).WithProblems(404);
        secrets.MapPost("/signing/rotate", RotateSecret.HandleAsync).WithName("RotateSigningSecret")
            .WithSummary("Makes a new signing secret")
            .WithDescription("The answer holds it, this once, or the public key of an ed25519 one. Deliveries carry signatures of both secrets until the grace time of the old one is over.")
            .WithParameter("webhook", WebhooksApi.Identifier)
            .WithBody<RotateSecret.Request>(optional: true).Produces<RotateSecret.Answer>().WithProblems(404);
    }
}
