using RuleEngineNats.Contracts;

namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>One pending row of <c>rule_nats_publish_history</c>, copied out of the driver's buffers.</summary>
internal sealed record OutboxRow(long PublishId, ulong Xid, string Subject, ReadOnlyMemory<byte> Body, string NatsMessageId)
{
    /// <summary>The body is large and was left in the table, where <see cref="PrepareLargeRow"/> reads it when it is the row's turn.</summary>
    public bool BodyLeft { get; init; }

    /// <summary>The object that has the body; then it is not here.</summary>
    public PayloadObject? BodyObject { get; init; }

    public long Bytes => BodyObject?.Size ?? Body.Length;

    public int? WebhookId { get; init; }

    public long? CallId { get; init; }

    /// <summary>The NATS configuration; null stands for "default".</summary>
    public int? ConfigId { get; init; }

    /// <summary>The stream the row was written for; where a definition has the subject by now, that one counts.</summary>
    public string? Stream { get; init; }

    public ReadOnlyMemory<byte> BodySha256 { get; init; }

    /// <summary>A JSON object of further headers, or null.</summary>
    public string? Headers { get; init; }

    public string? TraceParent { get; init; }

    public long? RuleExecutionId { get; init; }

    /// <summary>How often it was tried in vain so far.</summary>
    public int Attempts { get; init; }

    /// <summary>When the caller's transaction committed; the time of the insert where the commit time is not known.</summary>
    public DateTimeOffset CommittedAt { get; init; }

    /// <summary>When the event happened: the start of the caller's transaction.</summary>
    public DateTimeOffset PublishedAt { get; init; }
}
