namespace RuleEngineNats.Contracts;

/// <summary>Headers of an HTTP delivery, as Standard Webhooks 1.0.0 names them.</summary>
public static class WebhookHeaders
{
    /// <summary>The id of the event; the same in every attempt.</summary>
    public const string Id = "webhook-id";

    /// <summary>Unix time in seconds of this attempt.</summary>
    public const string Timestamp = "webhook-timestamp";

    /// <summary>Space-separated signatures over <c>id.timestamp.body</c>, each the base64 of an HMAC-SHA256 after <c>v1,</c> or of an ed25519 one after <c>v1a,</c>.</summary>
    public const string Signature = "webhook-signature";

    /// <summary>GitHub's: <c>sha256=</c> and the hex of the HMAC-SHA256 over the body.</summary>
    public const string GitHubSignature = "X-Hub-Signature-256";

    /// <summary>Stripe's: <c>t=</c> the timestamp, <c>,v1=</c> and the hex of the HMAC-SHA256 over <c>timestamp.body</c>.</summary>
    public const string StripeSignature = "Stripe-Signature";

    /// <summary>The id of the replay that a delivery is part of; not of Standard Webhooks, and only on such deliveries.</summary>
    public const string Replay = "webhook-replay";
}
