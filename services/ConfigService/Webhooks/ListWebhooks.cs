using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Webhooks;

/// <param name="Items">The webhooks in the order of their ids.</param>
/// <param name="Next">What to give as after for the next page; null when this is the last.</param>
internal sealed record WebhookPage(IReadOnlyList<Webhook> Items, int? Next);

internal static class ListWebhooks
{
    public const int MaxLimit = 1000;

    public static async Task<IResult> HandleAsync(
        string? limit, string? after, string? enabled, string? name, NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        var query = new QueryReader();
        var most = query.Integer("limit", limit, 1, MaxLimit) ?? 100;
        var past = query.Integer("after", after, 0, int.MaxValue) ?? 0;
        var only = query.Boolean("enabled", enabled);
        if (query.Problems.ToProblem() is { } problem)
        {
            return problem.ToResult();
        }

        await using var command = rules.CreateCommand(
            $"""
            SELECT {Webhook.Columns}
              FROM rule_webhooks w
             WHERE w.webhook_id > $1 AND ($2 IS NULL OR coalesce(w.enabled, true) = $2) AND ($3 IS NULL OR w.webhook_name = $3)
             ORDER BY w.webhook_id LIMIT $4
            """);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = past });
        command.Parameters.Add(new NpgsqlParameter { Value = only ?? (object)DBNull.Value, NpgsqlDbType = NpgsqlDbType.Boolean });
        command.Parameters.Add(new NpgsqlParameter { Value = name ?? (object)DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = most + 1 });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        var webhooks = new List<Webhook>();
        while (await row.ReadAsync(cancellationToken))
        {
            webhooks.Add(Webhook.Read(row));
        }

        return webhooks.Count <= most
            ? Results.Ok(new WebhookPage(webhooks, null))
            : Results.Ok(new WebhookPage(webhooks[..most], webhooks[most - 1].Id));
    }
}
