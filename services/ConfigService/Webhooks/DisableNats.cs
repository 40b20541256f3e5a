using Npgsql;
using RuleEngineNats.ConfigService.Problems;

namespace RuleEngineNats.ConfigService.Webhooks;

internal static class DisableNats
{
    public static async Task<IResult> HandleAsync(string webhook, NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        if (await FindWebhook.IdAsync(connection, webhook, cancellationToken) is not { } id)
        {
            return NoSuch.Webhook(webhook).ToResult();
        }

        await using var command = new NpgsqlCommand("SELECT rule_webhook_disable_nats($1)", connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = id });
        await command.ExecuteNonQueryAsync(cancellationToken);
        return await GetWebhook.ReadAsync(connection, id, cancellationToken) is { } disabled
            ? Results.Ok(disabled)
            : NoSuch.Webhook(webhook).ToResult();
    }
}
