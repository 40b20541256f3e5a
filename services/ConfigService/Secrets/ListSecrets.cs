using Npgsql;
using RuleEngineNats.ConfigService.Problems;
using RuleEngineNats.ConfigService.Webhooks;

namespace RuleEngineNats.ConfigService.Secrets;

/// <param name="Items">The secrets by name.</param>
internal sealed record SecretList(IReadOnlyList<SecretName> Items);

/// <param name="Name">Name of the secret.</param>
/// <param name="CreatedAt">When it was stored.</param>
/// <param name="ExpiresAt">When it ends; null for one that stays.</param>
/// <param name="Encrypted">Whether it is stored as ciphertext.</param>
internal sealed record SecretName(string Name, DateTimeOffset CreatedAt, DateTimeOffset? ExpiresAt, bool Encrypted);

internal static class ListSecrets
{
    public static async Task<IResult> HandleAsync(string webhook, NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        if (await FindWebhook.IdAsync(connection, webhook, cancellationToken) is not { } id)
        {
            return Problem.NoWebhook(webhook).ToResult();
        }

        await using var command = new NpgsqlCommand(
            "SELECT s.secret_name, s.created_at, s.expires_at, s.key_id IS NOT NULL FROM rule_webhook_secrets s WHERE s.webhook_id = $1 ORDER BY 1", connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = id });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        var secrets = new List<SecretName>();
        while (await row.ReadAsync(cancellationToken))
        {
            secrets.Add(new SecretName(
                row.GetString(0), row.GetFieldValue<DateTimeOffset>(1), row.IsDBNull(2) ? null : row.GetFieldValue<DateTimeOffset>(2), row.GetBoolean(3)));
        }

        return Results.Ok(new SecretList(secrets));
    }
}
