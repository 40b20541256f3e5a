using Npgsql;
using RuleEngineNats.ConfigService.Problems;
using RuleEngineNats.ConfigService.Webhooks;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ConfigService.Secrets;

/// <param name="Items">The secrets by name.</param>
internal sealed record SecretList(IReadOnlyList<SecretName> Items);

/// <param name="Name">Name of the secret.</param>
/// <param name="CreatedAt">When it was stored.</param>
/// <param name="ExpiresAt">When it ends; null for one that stays.</param>
/// <param name="Encrypted">Whether it is stored as ciphertext.</param>
/// <param name="PublicKey">What receivers verify with, for an ed25519 key: whpk_ and its base64; null for every other secret.</param>
internal sealed record SecretName(string Name, DateTimeOffset CreatedAt, DateTimeOffset? ExpiresAt, bool Encrypted, string? PublicKey);

internal static class ListSecrets
{
    public static async Task<IResult> HandleAsync(string webhook, NpgsqlDataSource rules, SecretBox box, CancellationToken cancellationToken)
    {
        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        if (await FindWebhook.IdAsync(connection, webhook, cancellationToken) is not { } id)
        {
            return NoSuch.Webhook(webhook).ToResult();
        }

        await using var command = new NpgsqlCommand(
            "SELECT s.secret_name, s.created_at, s.expires_at, s.key_id, s.secret_value FROM rule_webhook_secrets s WHERE s.webhook_id = $1 ORDER BY 1", connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = id });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        var secrets = new List<SecretName>();
        while (await row.ReadAsync(cancellationToken))
        {
            var (name, keyId) = (row.GetString(0), row.IsDBNull(3) ? null : row.GetString(3));
            // Of a value that cannot be decrypted here nothing is known, and of any other only this half is shown.
            var plain = name == SecretRules.Auth ? null : box.Decrypt(SecretPlace.OfWebhook(id, name), keyId, row.GetString(4)).Plain;
            secrets.Add(new SecretName(
                name, row.GetFieldValue<DateTimeOffset>(1), row.IsDBNull(2) ? null : row.GetFieldValue<DateTimeOffset>(2), keyId is not null,
                plain is null ? null : Ed25519Key.TryParse(plain)?.PublicKey));
        }

        return Results.Ok(new SecretList(secrets));
    }
}
