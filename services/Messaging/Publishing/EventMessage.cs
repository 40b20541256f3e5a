using RuleEngineNats.Contracts;

namespace RuleEngineNats.Messaging;

/// <summary>One event to publish.</summary>
/// <param name="Subject">Where it goes; already checked by <see cref="SubjectRules"/>.</param>
/// <param name="Body">The bytes, published as they are. Not copied: leave them alone until the publish has ended.</param>
/// <param name="MessageId">Value of <c>Nats-Msg-Id</c>; see <see cref="NatsMessageId"/>.</param>
/// <param name="ExpectedStream">The stream it must land in.</param>
public sealed record EventMessage(string Subject, ReadOnlyMemory<byte> Body, string MessageId, string ExpectedStream)
{
    /// <summary>Configuration (<c>rule_nats_config.config_name</c>) whose servers it goes to. Default: "default".</summary>
    public string Config { get; init; } = ConnectionNames.DefaultConfig;

    /// <summary>The webhook it was published through, if any.</summary>
    public int? WebhookId { get; init; }

    /// <summary>The queued call of the same event (publish mode <c>both</c>), if any.</summary>
    public long? CallId { get; init; }

    /// <summary>The execution of the rule that published it, if any.</summary>
    public long? RuleExecutionId { get; init; }

    /// <summary>W3C trace context of the publisher. Default: the current activity's.</summary>
    public string? TraceParent { get; init; }

    /// <summary>SHA-256 of the body, 32 bytes. Computed when empty.</summary>
    public ReadOnlyMemory<byte> BodySha256 { get; init; }

    /// <summary>
    /// The object that has the body, where that was put into the Object Store beforehand: the message is then sent without it. Null: it is sent with the body or,
    /// where that is too large, put there first.
    /// </summary>
    public PayloadObject? BodyObject { get; init; }

    /// <summary>Whether the headers make it a CloudEvent. Default true; false for what is sent to no webhook.</summary>
    public bool IsCloudEvent { get; init; } = true;

    /// <summary>CloudEvents id. Default: <see cref="MessageId"/>.</summary>
    public string? CloudEventId { get; init; }

    /// <summary>CloudEvents type. Default: the subject.</summary>
    public string? CloudEventType { get; init; }

    /// <summary>CloudEvents source. Default: <c>/rule-engine</c>, with the webhook's id where there is one.</summary>
    public string? CloudEventSource { get; init; }

    /// <summary>CloudEvents time. Default: now.</summary>
    public DateTimeOffset? Time { get; init; }

    /// <summary>Further headers; already checked by <see cref="HeaderRules"/>.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; } = [];
}
