namespace RuleEngineNats.Contracts;

/// <summary>
/// Where an ingested document is; the values of <c>message_status.status</c>.
/// <code>
/// accepted ─► processing ─► completed
///                │  ▲
///                ▼  │
///              failed ─► dlq
/// </code>
/// </summary>
public static class IngestStatus
{
    /// <summary>It is in the stream; no worker has recorded anything about it.</summary>
    public const string Accepted = "accepted";

    /// <summary>A worker has it, and had it before: it waits for PostgreSQL, or is tried again.</summary>
    public const string Processing = "processing";

    /// <summary>Its rows are committed. Final.</summary>
    public const string Completed = "completed";

    /// <summary>An attempt failed for a reason that may pass, such as a parent row that is missing; it is tried again.</summary>
    public const string Failed = "failed";

    /// <summary>It cannot be stored as it is, and waits in <see cref="StreamNames.MessagesDeadLetter"/>. Final: sending it again gives it another id.</summary>
    public const string DeadLetter = "dlq";
}
