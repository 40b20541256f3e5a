using RuleEngineNats.Contracts;
using RuleEngineNats.Contracts.Publishing;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.PublishService.Publishing;

/// <summary>Where an event goes.</summary>
/// <param name="Config">Servers.</param>
/// <param name="Subject">Subject.</param>
/// <param name="Stream">Stream it must land in.</param>
/// <param name="Webhook">Webhook it is published through, if any.</param>
internal sealed record EventTarget(NatsConfig Config, string Subject, string Stream, WebhookDefinition? Webhook)
{
    /// <summary>How long an id given by the client is remembered in PostgreSQL; null leaves it to the stream's duplicate window.</summary>
    public TimeSpan? RememberFor => Webhook?.DeduplicateFor is { } time && time > TimeSpan.Zero ? time : null;

    public string NatsMessageId(string messageId)
        => Webhook is null ? Contracts.NatsMessageId.ForSubject(messageId) : Contracts.NatsMessageId.For(Webhook.Id, messageId);
}

/// <summary>Decides from a configuration snapshot where a request goes.</summary>
internal static class FindTarget
{
    public static (EventTarget? Target, PublishVerdict.Declined? Declined) In(ConfigSnapshot snapshot, PublishRequest request) => request.TargetCase switch
    {
        PublishRequest.TargetOneofCase.Subject => BySubject(snapshot, request.Subject),
        PublishRequest.TargetOneofCase.WebhookId => ByWebhook(snapshot, snapshot.WebhooksById.GetValueOrDefault(request.WebhookId), "webhook_id", $"{request.WebhookId}"),
        _ => ByWebhook(snapshot, snapshot.WebhooksByName.GetValueOrDefault(request.WebhookName), "webhook_name", "of this name"),
    };

    private static (EventTarget? Target, PublishVerdict.Declined? Declined) BySubject(ConfigSnapshot snapshot, string subject)
    {
        if (snapshot.ConfigsByName.GetValueOrDefault(ConnectionNames.DefaultConfig) is not { Enabled: true } config)
        {
            return Decline(DeclineReason.ConfigurationDisabled, "subject", "the NATS configuration \"default\" is missing or disabled");
        }

        return snapshot.StreamFor(config.Id, subject) is { } stream
            ? (new EventTarget(config, subject, stream.Name, null), null)
            : Decline(DeclineReason.SubjectNotAllowed, "subject", "subject: no configured stream has it");
    }

    // Whether the webhook is enabled does not matter: others may listen to its subject.
    private static (EventTarget? Target, PublishVerdict.Declined? Declined) ByWebhook(
        ConfigSnapshot snapshot, WebhookDefinition? webhook, string field, string which)
    {
        if (webhook is null)
        {
            return Decline(DeclineReason.WebhookNotFound, field, $"{field}: no webhook {which}");
        }

        if (!webhook.NatsEnabled || webhook.Subject is not { } subject)
        {
            return Decline(DeclineReason.WebhookNotNatsEnabled, field, $"{field}: webhook {webhook.Id} is not enabled for NATS");
        }

        if (SubjectRules.Check(subject, allowWildcards: false) is { } problem)
        {
            return Decline(DeclineReason.WebhookNotNatsEnabled, field, $"{field}: webhook {webhook.Id} has an unusable nats_subject ({problem})");
        }

        return snapshot.ConfigOf(webhook) is { } config
            ? (new EventTarget(config, subject, snapshot.ExpectedStream(config, subject), webhook), null)
            : Decline(DeclineReason.ConfigurationDisabled, field, $"{field}: the NATS configuration of webhook {webhook.Id} is disabled");
    }

    private static (EventTarget? Target, PublishVerdict.Declined? Declined) Decline(DeclineReason reason, string field, string message)
        => (null, new PublishVerdict.Declined(reason, field, message));
}
