using Npgsql;

namespace RuleEngineNats.ConfigService.Statistics;

/// <param name="Items">One entry per webhook and subject.</param>
internal sealed record PublishLatencies(IReadOnlyList<SubjectLatency> Items);

/// <param name="Name">webhook_name.</param>
/// <param name="Subject">The subject.</param>
/// <param name="Messages">Events stored.</param>
/// <param name="AvgLatencyMs">Mean time from publish to acknowledgement.</param>
/// <param name="MinLatencyMs">Shortest time.</param>
/// <param name="MaxLatencyMs">Longest time.</param>
/// <param name="P50LatencyMs">Median.</param>
/// <param name="P95LatencyMs">95 of 100 were faster.</param>
/// <param name="P99LatencyMs">99 of 100 were faster.</param>
internal sealed record SubjectLatency(
    string Name,
    string Subject,
    long Messages,
    double? AvgLatencyMs,
    double? MinLatencyMs,
    double? MaxLatencyMs,
    double? P50LatencyMs,
    double? P95LatencyMs,
    double? P99LatencyMs);

internal static class ListPublishLatencies
{
    public static async Task<IResult> HandleAsync(NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand(
            """
            SELECT webhook_name, subject, message_count, avg_latency_ms::float8, min_latency_ms::float8, max_latency_ms::float8,
                   p50_latency_ms::float8, p95_latency_ms::float8, p99_latency_ms::float8
              FROM nats_performance_stats ORDER BY webhook_name, subject
            """);
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        var items = new List<SubjectLatency>();
        while (await row.ReadAsync(cancellationToken))
        {
            items.Add(new SubjectLatency(
                row.GetString(0), row.GetString(1), row.GetInt64(2), row.Number(3), row.Number(4), row.Number(5), row.Number(6), row.Number(7),
                row.Number(8)));
        }

        return Results.Ok(new PublishLatencies(items));
    }
}
