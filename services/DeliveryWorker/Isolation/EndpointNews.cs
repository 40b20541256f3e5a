using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.DeliveryWorker.Delivery;

namespace RuleEngineNats.DeliveryWorker.Isolation;

/// <summary>What a batch of attempts says about one endpoint: failures, and successes of one that failed before. Nothing is written about the others.</summary>
internal sealed record EndpointNews(int WebhookId, bool Succeeded, int Failures, bool Trip, bool Gone, string? Error)
{
    private const string Sql = """
        SELECT webhook_id, circuit, consecutive_failures FROM rule_webhook_record_outcomes($1, $2, $3, $4, $5, $6)
        """;

    public static IReadOnlyList<EndpointNews> Of(IReadOnlyList<AttemptRecord> records, Circuits circuits)
    {
        Dictionary<int, EndpointNews>? news = null;
        foreach (var record in records)
        {
            if (record.Attempt?.Outcome is not { IsOfEndpoint: true } outcome)
            {
                continue;
            }

            var known = news?.GetValueOrDefault(record.WebhookId);
            if (outcome.Error is null && known is null && !circuits.IsTroubled(record.WebhookId))
            {
                continue;
            }

            known ??= new(record.WebhookId, false, 0, false, false, null);
            (news ??= [])[record.WebhookId] = outcome.Error is null
                ? known with { Succeeded = true, Failures = 0 }
                : known with { Failures = known.Failures + 1, Trip = known.Trip || record.Attempt.Trips, Gone = known.Gone || outcome.Status == 410, Error = outcome.Error };
        }

        return news is null ? [] : [.. news.Values];
    }

    public static void Add(NpgsqlBatch batch, IReadOnlyList<EndpointNews> news)
    {
        if (news.Count == 0)
        {
            return;
        }

        var command = new NpgsqlBatchCommand(Sql);
        command.Add(NpgsqlDbType.Integer, news, one => one.WebhookId);
        command.Add(NpgsqlDbType.Boolean, news, one => one.Succeeded);
        command.Add(NpgsqlDbType.Integer, news, one => one.Failures);
        command.Add(NpgsqlDbType.Boolean, news, one => one.Trip);
        command.Add(NpgsqlDbType.Boolean, news, one => one.Gone);
        command.Add(NpgsqlDbType.Text, news, one => one.Error);
        batch.BatchCommands.Add(command);
    }
}
