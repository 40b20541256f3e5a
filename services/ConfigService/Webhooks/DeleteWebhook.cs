using Npgsql;
using RuleEngineNats.ConfigService.Problems;

namespace RuleEngineNats.ConfigService.Webhooks;

internal static class DeleteWebhook
{
    public static async Task<IResult> HandleAsync(string webhook, NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        return await FindWebhook.IdAsync(connection, webhook, cancellationToken) is { } id && await DeleteAsync(connection, id, cancellationToken)
            ? Results.NoContent()
            : NoSuch.Webhook(webhook).ToResult();
    }

    private static async Task<bool> DeleteAsync(NpgsqlConnection connection, int id, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT rule_webhook_delete($1)", connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = id });
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }
}
