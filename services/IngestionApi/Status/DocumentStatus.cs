using Npgsql;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.IngestionApi.Status;

/// <summary>Where a document is.</summary>
internal sealed record DocumentStatus
{
    /// <summary>The columns of <see cref="Read"/>, in its order.</summary>
    public const string Columns = "message_id, entity_type, status, received_at, processed_at, retry_count, error_code, error_message, source, resubmitted_as";

    /// <summary>Its id.</summary>
    public required Guid MessageId { get; init; }

    /// <summary>The entity it was stored as, or sent as; null when neither is known.</summary>
    public required string? EntityType { get; init; }

    /// <summary>accepted: it is in the stream. processing: a worker has it and had it before. completed: its rows are committed. failed: it is tried again. dlq: it cannot be stored as it is.</summary>
    public required string Status { get; init; }

    /// <summary>When it was accepted; null where that is not known yet.</summary>
    public required DateTimeOffset? ReceivedAt { get; init; }

    /// <summary>When it was completed or became a dead letter; null before.</summary>
    public required DateTimeOffset? ProcessedAt { get; init; }

    /// <summary>Deliveries to a worker beyond the first.</summary>
    public required int RetryCount { get; init; }

    /// <summary>Of the last failure, for programs.</summary>
    public required string? ErrorCode { get; init; }

    /// <summary>Of the last failure, for people.</summary>
    public required string? ErrorMessage { get; init; }

    /// <summary>Where it came from, as its sender said.</summary>
    public required string? Source { get; init; }

    /// <summary>Of a dead letter that was sent again: the id it has since.</summary>
    public required Guid? ResubmittedAs { get; init; }

    /// <summary>A document of which a worker has recorded nothing.</summary>
    public static DocumentStatus Unrecorded(Guid id) => new()
    {
        MessageId = id,
        EntityType = null,
        Status = IngestStatus.Accepted,
        ReceivedAt = IngestMessageId.TimeOf(id),
        ProcessedAt = null,
        RetryCount = 0,
        ErrorCode = null,
        ErrorMessage = null,
        Source = null,
        ResubmittedAs = null,
    };

    public static DocumentStatus Read(NpgsqlDataReader row) => new()
    {
        MessageId = row.GetGuid(0),
        EntityType = Text(row, 1),
        Status = row.GetString(2),
        ReceivedAt = row.GetFieldValue<DateTimeOffset>(3),
        ProcessedAt = row.IsDBNull(4) ? null : row.GetFieldValue<DateTimeOffset>(4),
        RetryCount = row.GetInt32(5),
        ErrorCode = Text(row, 6),
        ErrorMessage = Text(row, 7),
        Source = Text(row, 8),
        ResubmittedAs = row.IsDBNull(9) ? null : row.GetGuid(9),
    };

    private static string? Text(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);
}
