using Npgsql;

namespace RuleEngineNats.ConfigService.Statistics;

/// <param name="Items">The refused events, newest first.</param>
internal sealed record PublishFailures(IReadOnlyList<RefusedEvent> Items);

/// <param name="PublishId">publish_id of the history row, which has the payload.</param>
/// <param name="Name">webhook_name; "deleted webhook" and its id when it is gone.</param>
/// <param name="Subject">The subject.</param>
/// <param name="Error">Why it can never be stored.</param>
/// <param name="PublishedAt">When it was published.</param>
/// <param name="LatencyMs">Time to the refusal.</param>
internal sealed record RefusedEvent(long PublishId, string? Name, string? Subject, string? Error, DateTimeOffset? PublishedAt, double? LatencyMs);

internal static class ListPublishFailures
{
    public static async Task<IResult> HandleAsync(NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand(
            "SELECT publish_id, webhook_name, subject, error_message, published_at, latency_ms::float8 FROM nats_recent_failures ORDER BY published_at DESC");
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        var items = new List<RefusedEvent>();
        while (await row.ReadAsync(cancellationToken))
        {
            items.Add(new RefusedEvent(
                row.GetInt64(0), row.Nullable<string>(1), row.Nullable<string>(2), row.Nullable<string>(3), row.Time(4), row.Number(5)));
        }

        return Results.Ok(new PublishFailures(items));
    }
}
