namespace RuleEngineNats.IngestionApi.Batches;

/// <summary>How far a batch is.</summary>
internal sealed record BatchStatus
{
    /// <summary>Its id.</summary>
    public required Guid BatchId { get; init; }

    /// <summary>accepted: no worker has recorded any of its lines. processing: some are on their way. completed: all lines are stored. completed_with_errors: none is on its way, and not all are stored.</summary>
    public required string Status { get; init; }

    /// <summary>When its first line was read.</summary>
    public required DateTimeOffset? ReceivedAt { get; init; }

    /// <summary>The highest line number that has a verdict.</summary>
    public required int Lines { get; init; }

    /// <summary>Lines that the stream has taken.</summary>
    public required int Accepted { get; init; }

    /// <summary>Lines that were refused for what they are.</summary>
    public required int Rejected { get; init; }

    /// <summary>Lines that could not be taken; they are to be sent again with the batch's idempotency key.</summary>
    public required int Unavailable { get; init; }

    /// <summary>Of the accepted ones: those whose rows are committed.</summary>
    public required int Completed { get; init; }

    /// <summary>Of the accepted ones: those whose last attempt failed and that are tried again; they are pending, too.</summary>
    public required int Failed { get; init; }

    /// <summary>Of the accepted ones: those that cannot be stored as they are.</summary>
    public required int Dlq { get; init; }

    /// <summary>Of the accepted ones: those that are on their way. 0: nothing will change any more.</summary>
    public required int Pending { get; init; }

    /// <summary>Of the accepted ones: those that no worker came to before the stream's age was over.</summary>
    public required int Expired { get; init; }

    /// <summary>Whether the batch was read to its end.</summary>
    public required bool Complete { get; init; }

    /// <summary>With lines=true: lines of which a worker has recorded something.</summary>
    public IReadOnlyList<BatchLine>? Items { get; init; }

    /// <summary>With lines=true: what to give as after for the next page; null when this is the last.</summary>
    public int? NextAfter { get; init; }
}

/// <summary>A line of a batch.</summary>
/// <param name="Line">Its number.</param>
/// <param name="MessageId">Its id.</param>
/// <param name="Status">As of a document.</param>
/// <param name="RetryCount">Deliveries to a worker beyond the first.</param>
/// <param name="ErrorCode">Of the last failure, for programs.</param>
/// <param name="ErrorMessage">Of the last failure, for people.</param>
internal sealed record BatchLine(int Line, Guid MessageId, string Status, int RetryCount, string? ErrorCode, string? ErrorMessage);
