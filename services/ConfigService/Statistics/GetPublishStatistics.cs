using System.Text.Json;
using System.Text.Json.Serialization;
using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.ConfigService.Problems;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Statistics;

/// <summary>What was published in a time, as rule_nats_stats counts it.</summary>
/// <param name="TotalPublished">All events, pending ones too.</param>
/// <param name="Successful">Those stored in a stream.</param>
/// <param name="Failed">Those refused for good.</param>
/// <param name="Pending">Those not known to be stored yet.</param>
/// <param name="SuccessRatePct">Stored in percent of the finished ones; null while nothing is finished.</param>
/// <param name="AvgLatencyMs">Mean time from publish to acknowledgement.</param>
/// <param name="MinLatencyMs">Shortest time.</param>
/// <param name="MaxLatencyMs">Longest time.</param>
/// <param name="P50LatencyMs">Median.</param>
/// <param name="P95LatencyMs">95 of 100 were faster.</param>
/// <param name="P99LatencyMs">99 of 100 were faster.</param>
/// <param name="UniqueSubjects">Different subjects.</param>
/// <param name="TimeRangeHours">The hours asked for.</param>
/// <param name="PeriodStart">Begin of the time.</param>
/// <param name="PeriodEnd">End of the time.</param>
internal sealed record PublishStatistics(
    long TotalPublished,
    long Successful,
    long Failed,
    long Pending,
    double? SuccessRatePct,
    double? AvgLatencyMs,
    double? MinLatencyMs,
    double? MaxLatencyMs,
    double? P50LatencyMs,
    double? P95LatencyMs,
    double? P99LatencyMs,
    long UniqueSubjects,
    int TimeRangeHours,
    DateTimeOffset PeriodStart,
    DateTimeOffset PeriodEnd);

internal static class GetPublishStatistics
{
    public const int MaxHours = 8760;

    public static async Task<IResult> HandleAsync(string? webhookId, string? hours, NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        var query = new QueryReader();
        var webhook = query.Integer("webhookId", webhookId, 1, int.MaxValue);
        var range = query.Integer("hours", hours, 1, MaxHours) ?? 24;
        if (query.Problems.ToProblem() is { } problem)
        {
            return problem.ToResult();
        }

        await using var command = rules.CreateCommand(
            """
            SELECT rule_nats_stats($1, $2)
             WHERE $1 IS NULL OR EXISTS (SELECT FROM rule_webhooks w WHERE w.webhook_id = $1)
                OR EXISTS (SELECT FROM rule_nats_publish_history h WHERE h.webhook_id = $1)
            """);
        command.Parameters.Add(Sql.Of(webhook, NpgsqlDbType.Integer));
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = range });
        return await command.ExecuteScalarAsync(cancellationToken) is string json
            ? Results.Ok(JsonSerializer.Deserialize(json, StatisticsJson.Default.PublishStatistics))
            : NoSuch.Webhook(webhookId!).ToResult();
    }
}

/// <summary>The names of rule_nats_stats.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(PublishStatistics))]
internal sealed partial class StatisticsJson : JsonSerializerContext;
