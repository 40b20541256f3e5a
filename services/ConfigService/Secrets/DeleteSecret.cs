using Npgsql;
using RuleEngineNats.ConfigService.Problems;
using RuleEngineNats.ConfigService.Webhooks;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Secrets;

internal static class DeleteSecret
{
    public static async Task<IResult> HandleAsync(string webhook, string name, NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        if (await FindWebhook.IdAsync(connection, webhook, cancellationToken) is not { } id)
        {
            return NoSuch.Webhook(webhook).ToResult();
        }

        await using var command = new NpgsqlCommand("SELECT rule_webhook_secret_delete($1, $2)", connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = id });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = name });
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!
            ? Results.NoContent()
            : Problem.NotFound("secret_not_found", "The webhook has no secret of this name.", "GET the webhook's secrets for their names.").ToResult();
    }
}
