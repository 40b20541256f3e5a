using Npgsql;

namespace RuleEngineNats.ConfigService.Statistics;

/// <param name="Items">One entry per webhook.</param>
internal sealed record DeliverySummary(IReadOnlyList<WebhookCalls> Items);

/// <param name="WebhookId">webhook_id.</param>
/// <param name="Name">webhook_name.</param>
/// <param name="Enabled">Whether it is delivered to.</param>
/// <param name="TotalCalls">Calls over both paths.</param>
/// <param name="SuccessfulCalls">Calls answered with 2xx.</param>
/// <param name="FailedCalls">Calls given up.</param>
/// <param name="PendingCalls">Calls not tried yet or under way.</param>
/// <param name="RetryingCalls">Calls that failed and will be tried again.</param>
/// <param name="AvgExecutionTimeMs">Mean time of a call.</param>
/// <param name="LastCallAt">When the last call was made.</param>
/// <param name="SuccessRatePct">Successful in percent of the finished ones; 0 without any.</param>
internal sealed record WebhookCalls(
    int WebhookId,
    string Name,
    bool Enabled,
    long TotalCalls,
    long SuccessfulCalls,
    long FailedCalls,
    long PendingCalls,
    long RetryingCalls,
    double? AvgExecutionTimeMs,
    DateTimeOffset? LastCallAt,
    double? SuccessRatePct);

internal static class ListDeliverySummary
{
    public static async Task<IResult> HandleAsync(NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand(
            """
            SELECT webhook_id, webhook_name, coalesce(enabled, true), total_calls, successful_calls, failed_calls, pending_calls, retrying_calls,
                   avg_execution_time_ms::float8, last_call_at, success_rate_pct::float8
              FROM webhook_status_summary ORDER BY webhook_id
            """);
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        var items = new List<WebhookCalls>();
        while (await row.ReadAsync(cancellationToken))
        {
            items.Add(new WebhookCalls(
                row.GetInt32(0), row.GetString(1), row.GetBoolean(2), row.GetInt64(3), row.GetInt64(4), row.GetInt64(5), row.GetInt64(6), row.GetInt64(7),
                row.Number(8), row.Time(9), row.Number(10)));
        }

        return Results.Ok(new DeliverySummary(items));
    }
}
