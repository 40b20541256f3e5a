using Npgsql;
using RuleEngineNats.IngestionApi.Streams;

namespace RuleEngineNats.IngestionApi.Health;

/// <summary>What there is and was.</summary>
internal sealed record Statistics
{
    /// <summary>Documents that workers have completed, ever.</summary>
    public required long TotalMessagesProcessed { get; init; }

    /// <summary>The same.</summary>
    public required long Completed { get; init; }

    /// <summary>Documents that became dead letters, ever.</summary>
    public required long DeadLetters { get; init; }

    /// <summary>Rows that were written to entity tables.</summary>
    public required long EntityRows { get; init; }

    /// <summary>Documents that this process has accepted since it began.</summary>
    public required long Accepted { get; init; }

    /// <summary>Documents that this process has refused for what they are.</summary>
    public required long Rejected { get; init; }

    /// <summary>Documents that this process could not take.</summary>
    public required long Unavailable { get; init; }

    /// <summary>How long this process runs.</summary>
    public required long UptimeSeconds { get; init; }

    /// <summary>Documents in the stream that no worker has begun with; null where nats-server does not say.</summary>
    public required long? QueueDepth { get; init; }

    /// <summary>Documents that a worker has and has not acknowledged.</summary>
    public required long? InProgress { get; init; }

    /// <summary>How long the oldest document that is not stored waits; null where none does.</summary>
    public required double? OldestPendingSeconds { get; init; }

    /// <summary>Bytes in the stream.</summary>
    public required long? StreamBytes { get; init; }

    /// <summary>Most bytes of the stream; null for no limit.</summary>
    public required long? StreamMaxBytes { get; init; }

    /// <summary>By entity; those of which no entity is known have none.</summary>
    public required IReadOnlyList<EntityStatistics> Entities { get; init; }
}

/// <summary>What was of one entity.</summary>
/// <param name="EntityType">The entity; empty where none was known.</param>
/// <param name="Completed">Documents that were completed.</param>
/// <param name="DeadLetters">Documents that became dead letters.</param>
/// <param name="EntityRows">Rows that were written.</param>
internal sealed record EntityStatistics(string EntityType, long Completed, long DeadLetters, long EntityRows);

/// <summary>GET /stats: sums of <c>ingest_totals</c>, the stream, and what this process has counted.</summary>
internal sealed class GetStatistics(NpgsqlDataSource rules, LookAtStream look, TimeProvider time)
{
    private readonly long _began = time.GetTimestamp();

    public async Task<IResult> HandleAsync(CancellationToken cancellationToken)
    {
        var seen = await look.LookAsync(cancellationToken);
        var oldest = seen is { Pending: > 0 } ? await look.OldestAsync(seen, cancellationToken) : null;
        var entities = await ReadAsync(cancellationToken);
        var completed = entities.Sum(entity => entity.Completed);
        return Results.Ok(new Statistics
        {
            TotalMessagesProcessed = completed,
            Completed = completed,
            DeadLetters = entities.Sum(entity => entity.DeadLetters),
            EntityRows = entities.Sum(entity => entity.EntityRows),
            Accepted = IngestionMetrics.AcceptedHere,
            Rejected = IngestionMetrics.RejectedHere,
            Unavailable = IngestionMetrics.UnavailableHere,
            UptimeSeconds = (long)time.GetElapsedTime(_began).TotalSeconds,
            QueueDepth = seen is null ? null : seen.Waiting ?? seen.Messages,
            InProgress = seen?.InProgress,
            OldestPendingSeconds = oldest is { } since ? Math.Round(Math.Max(0, (time.GetUtcNow() - since).TotalSeconds), 1) : null,
            StreamBytes = seen?.Bytes,
            StreamMaxBytes = seen is { MaxBytes: > 0 } ? seen.MaxBytes : null,
            Entities = entities,
        });
    }

    private async Task<List<EntityStatistics>> ReadAsync(CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand("""
            SELECT entity_type, sum(completed)::bigint, sum(dlq)::bigint, sum(entity_rows)::bigint FROM ingest_totals GROUP BY entity_type ORDER BY entity_type
            """);
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        var entities = new List<EntityStatistics>();
        while (await row.ReadAsync(cancellationToken))
        {
            entities.Add(new(row.GetString(0), row.GetInt64(1), row.GetInt64(2), row.GetInt64(3)));
        }

        return entities;
    }
}
