using Npgsql;

namespace RuleEngineNats.ConfigService.Statistics;

/// <param name="Items">One entry per NATS-enabled webhook.</param>
internal sealed record PublishSummary(IReadOnlyList<WebhookPublishes> Items);

/// <param name="WebhookId">webhook_id.</param>
/// <param name="Name">webhook_name.</param>
/// <param name="Subject">The subject it publishes to.</param>
/// <param name="PublishMode">queue, nats or both.</param>
/// <param name="TotalPublished">All events.</param>
/// <param name="Successful">Those stored.</param>
/// <param name="Failed">Those refused.</param>
/// <param name="Pending">Those not finished.</param>
/// <param name="SuccessRatePct">Stored in percent of the finished ones; null while nothing is finished.</param>
/// <param name="AvgLatencyMs">Mean time from publish to acknowledgement.</param>
/// <param name="MinLatencyMs">Shortest time.</param>
/// <param name="MaxLatencyMs">Longest time.</param>
/// <param name="LastPublishedAt">When it last published.</param>
internal sealed record WebhookPublishes(
    int WebhookId,
    string Name,
    string? Subject,
    string? PublishMode,
    long TotalPublished,
    long Successful,
    long Failed,
    long Pending,
    double? SuccessRatePct,
    double? AvgLatencyMs,
    double? MinLatencyMs,
    double? MaxLatencyMs,
    DateTimeOffset? LastPublishedAt);

internal static class ListPublishSummary
{
    public static async Task<IResult> HandleAsync(NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand(
            """
            SELECT webhook_id, webhook_name, subject, publish_mode, total_published, successful, failed, pending, success_rate_pct::float8,
                   avg_latency_ms::float8, min_latency_ms::float8, max_latency_ms::float8, last_published_at
              FROM nats_publish_summary ORDER BY webhook_id
            """);
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        var items = new List<WebhookPublishes>();
        while (await row.ReadAsync(cancellationToken))
        {
            items.Add(new WebhookPublishes(
                row.GetInt32(0), row.GetString(1), row.Nullable<string>(2), row.Nullable<string>(3), row.GetInt64(4), row.GetInt64(5), row.GetInt64(6),
                row.GetInt64(7), row.Number(8), row.Number(9), row.Number(10), row.Number(11), row.Time(12)));
        }

        return Results.Ok(new PublishSummary(items));
    }
}
