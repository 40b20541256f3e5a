using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.ConfigService.Problems;
using RuleEngineNats.ConfigService.Webhooks;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Replays;

/// <param name="Items">The replays, the newest first.</param>
/// <param name="Next">What to give as before for the next page; null when this is the last.</param>
internal sealed record ReplayPage(IReadOnlyList<Replay> Items, long? Next);

internal static class ListReplays
{
    public const int MaxLimit = 200;

    public const int DefaultLimit = 50;

    public static async Task<IResult> HandleAsync(string? webhook, string? limit, string? before, NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        var query = new QueryReader();
        var most = query.Integer("limit", limit, 1, MaxLimit) ?? DefaultLimit;
        var end = query.Long("before", before, 1);
        if (query.Problems.ToProblem() is { } problem)
        {
            return problem.ToResult();
        }

        int? id = null;
        if (webhook is not null)
        {
            await using var connection = await rules.OpenConnectionAsync(cancellationToken);
            if ((id = await FindWebhook.IdAsync(connection, webhook, cancellationToken)) is null)
            {
                return NoSuch.Webhook(webhook).ToResult();
            }
        }

        return Results.Ok(await RunAsync(rules, id, end, most, cancellationToken));
    }

    public static async Task<ReplayPage> RunAsync(NpgsqlDataSource rules, int? webhookId, long? before, int limit, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand("""
            SELECT rule_webhook_replay_status(r.replay_id)::text FROM rule_webhook_replays r
             WHERE ($1 IS NULL OR r.webhook_id = $1) AND ($2 IS NULL OR r.replay_id < $2) ORDER BY r.replay_id DESC LIMIT $3
            """);
        command.Parameters.Add(Sql.Of(webhookId, NpgsqlDbType.Integer));
        command.Parameters.Add(Sql.Of(before, NpgsqlDbType.Bigint));
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit + 1 });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        var replays = new List<Replay>();
        while (await row.ReadAsync(cancellationToken))
        {
            replays.Add(Replay.FromSql(row.GetString(0)));
        }

        return replays.Count <= limit ? new(replays, null) : new(replays[..limit], replays[limit - 1].ReplayId);
    }
}
