namespace RuleEngineNats.Contracts;

/// <summary>Names of the headers an event carries inside JetStream. Header names are case-sensitive in NATS: use these constants.</summary>
public static class EventHeaders
{
    /// <summary>The id JetStream deduplicates by; see <see cref="NatsMessageId"/>. Set on every event.</summary>
    public const string MessageId = "Nats-Msg-Id";

    /// <summary>The stream the event must land in; the server refuses it (error 10060) when another stream would take it. Set on every event.</summary>
    public const string ExpectedStream = "Nats-Expected-Stream";

    /// <summary>The webhook the event was published through, for information only: routing is by subject.</summary>
    public const string WebhookId = "rule-webhook-id";

    /// <summary>The <c>rule_webhook_calls.call_id</c> of an event that was also queued (publish mode <c>both</c>); whichever path leases that row delivers.</summary>
    public const string CallId = "rule-call-id";

    /// <summary>SHA-256 of the body in lower-case hexadecimal; tells a repeated event from another event under the same id.</summary>
    public const string BodySha256 = "rule-body-sha256";

    /// <summary>
    /// On an event whose body was too large for a message: <c>RULE_PAYLOADS/&lt;SHA-256 of the body in lower-case hexadecimal&gt;</c>, the bucket and the name
    /// of the object that has it. The message's own body is empty then; see <see cref="PayloadObject"/>.
    /// </summary>
    public const string BodyObject = "rule-object";

    /// <summary>Beside <see cref="BodyObject"/>: bytes of the body, in decimal.</summary>
    public const string BodyObjectSize = "rule-object-size";

    /// <summary>
    /// On an event that the server had lost and that was published again: it may have been delivered before, so outcomes on record count. Any value.
    /// </summary>
    public const string Restored = "rule-restored";

    /// <summary>The id that must be the stream's last; the server refuses the message (error 10070) when another came in between. Set on captured changes, whose order it keeps.</summary>
    public const string ExpectedLastMessageId = "Nats-Expected-Last-Msg-Id";

    /// <summary>On a captured change: the PostgreSQL it came from, as <c>system identifier:timeline</c>. WAL positions of two sources do not compare.</summary>
    public const string CaptureSource = "rule-cdc-source";

    /// <summary>On a part of a captured transaction: its number in decimal, 1 for the first. A capture that goes on behind it counts on from there.</summary>
    public const string CapturePart = "rule-cdc-part";

    /// <summary>On a captured change that is not plain JSON: the media type of its body.</summary>
    public const string ContentType = "content-type";

    /// <summary>On a row that a snapshot read: the snapshot, the row's key where it may be seen, and how many of the table were read up to it, as JSON. A start goes on behind it.</summary>
    public const string CaptureSnapshot = "rule-cdc-snapshot";

    /// <summary>On a dead letter: why, as a word for programs: <c>invalid_envelope</c>, <c>invalid_json</c>, <c>no_entity</c>, <c>invalid_document</c>, <c>constraint</c>, <c>attempts</c> and so on.</summary>
    public const string DeadLetterCode = "rule-dlq-code";

    /// <summary>On a dead letter: why, for people; percent-encoded where it is not visible ASCII, at most 2,048 characters.</summary>
    public const string DeadLetterReason = "rule-dlq-reason";

    /// <summary>On a dead letter: how often it was delivered, in decimal.</summary>
    public const string DeadLetterAttempts = "rule-dlq-attempts";

    /// <summary>On a dead letter: its sequence in <see cref="StreamNames.Messages"/>, in decimal.</summary>
    public const string DeadLetterSequence = "rule-dlq-sequence";

    /// <summary>On a dead letter: the id under which <c>message_status</c> has it; one of the worker's where the message had none that could be read.</summary>
    public const string DeadLetterMessageId = "rule-dlq-message-id";

    /// <summary>CloudEvents <c>id</c>: equal to <see cref="MessageId"/>.</summary>
    public const string CloudEventId = "ce-id";

    /// <summary>CloudEvents <c>type</c>; the subject when the publisher gave none.</summary>
    public const string CloudEventType = "ce-type";

    /// <summary>CloudEvents <c>source</c>, a URI reference; <c>/rule-engine</c> when the publisher gave none.</summary>
    public const string CloudEventSource = "ce-source";

    /// <summary>CloudEvents <c>time</c>: when the event was accepted, RFC 3339 in UTC.</summary>
    public const string CloudEventTime = "ce-time";

    /// <summary>CloudEvents <c>specversion</c>; always <see cref="CloudEventSpecVersionValue"/>.</summary>
    public const string CloudEventSpecVersion = "ce-specversion";

    /// <summary>The CloudEvents version this project writes.</summary>
    public const string CloudEventSpecVersionValue = "1.0";

    /// <summary>CloudEvents extension attribute: the execution of the rule that published the event (<c>rule_execution_id</c>), where there was one.</summary>
    public const string RuleExecutionId = "ce-ruleexecutionid";

    /// <summary>W3C trace context of the publish; the delivery continues it.</summary>
    public const string TraceParent = "traceparent";
}
