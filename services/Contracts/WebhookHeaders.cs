namespace RuleEngineNats.Contracts;

/// <summary>Headers of an HTTP delivery, as Standard Webhooks 1.0.0 names them.</summary>
public static class WebhookHeaders
{
    /// <summary>The id of the event; the same in every attempt.</summary>
    public const string Id = "webhook-id";

    /// <summary>Unix time in seconds of this attempt.</summary>
    public const string Timestamp = "webhook-timestamp";

    /// <summary>Space-separated signatures, <c>v1,</c> and the base64 of the HMAC-SHA256 over <c>id.timestamp.body</c>.</summary>
    public const string Signature = "webhook-signature";

    /// <summary>The id of the replay that a delivery is part of; not of Standard Webhooks, and only on such deliveries.</summary>
    public const string Replay = "webhook-replay";
}
