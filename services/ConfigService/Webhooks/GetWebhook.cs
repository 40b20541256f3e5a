using Npgsql;
using RuleEngineNats.ConfigService.Problems;

namespace RuleEngineNats.ConfigService.Webhooks;

internal static class GetWebhook
{
    public static async Task<IResult> HandleAsync(string webhook, NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        return await FindWebhook.IdAsync(connection, webhook, cancellationToken) is { } id && await ReadAsync(connection, id, cancellationToken) is { } found
            ? Results.Ok(found)
            : NoSuch.Webhook(webhook).ToResult();
    }

    public static async Task<Webhook?> ReadAsync(NpgsqlConnection connection, int id, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand($"SELECT {Webhook.Columns} FROM rule_webhooks w WHERE w.webhook_id = $1", connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = id });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        return await row.ReadAsync(cancellationToken) ? Webhook.Read(row) : null;
    }
}
