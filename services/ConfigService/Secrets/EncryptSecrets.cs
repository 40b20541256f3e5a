using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ConfigService.Secrets;

/// <summary>
/// Turns secrets that are plain, or encrypted under another key, into ciphertext under the active key. SQL stores plain text, since the database has no
/// key: this is how it does not stay so.
/// </summary>
internal sealed partial class EncryptSecrets(SecretBox box, ILogger<EncryptSecrets> logger)
{
    // A secret of a webhook by its name, one of a NATS configuration by its column.
    private const string Find =
        """
        SELECT s.secret_id, s.webhook_id, s.secret_name, s.secret_value, s.key_id
          FROM rule_webhook_secrets s
         WHERE s.key_id IS DISTINCT FROM $1 AND ($2 IS NULL OR s.webhook_id = $2)
        UNION ALL
        SELECT c.config_id, NULL, v.name, v.value, v.key_id
          FROM rule_nats_config c,
               LATERAL (VALUES ('auth_token', c.auth_token, c.auth_token_key_id), ('auth_nkey_seed', c.auth_nkey_seed, c.auth_nkey_seed_key_id)) v(name, value, key_id)
         WHERE v.value IS NOT NULL AND v.key_id IS DISTINCT FROM $1 AND $2 IS NULL
        """;

    /// <summary>Encrypts what has to be, on the caller's connection and in its transaction, if there is one.</summary>
    /// <param name="connection">Connection.</param>
    /// <param name="webhookId">The webhook whose secrets are meant; null for all secrets.</param>
    /// <param name="cancellationToken">Cancels.</param>
    public async Task RunAsync(NpgsqlConnection connection, int? webhookId, CancellationToken cancellationToken)
    {
        if (box.ActiveKey is null)
        {
            return;
        }

        foreach (var found in await FindAsync(connection, webhookId, cancellationToken))
        {
            var (plain, problem) = box.Decrypt(found.Place, found.KeyId, found.Stored);
            if (plain is null)
            {
                LogNotReadable(problem!);
                continue;
            }

            if (await ReplaceAsync(connection, found, box.Encrypt(found.Place, plain), cancellationToken))
            {
                LogEncrypted(found.Place.Name, box.ActiveKey);
            }
        }
    }

    private async Task<List<Found>> FindAsync(NpgsqlConnection connection, int? webhookId, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(Find, connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = box.ActiveKey });
        command.Parameters.Add(Sql.Of(webhookId, NpgsqlDbType.Integer));
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        var found = new List<Found>();
        while (await row.ReadAsync(cancellationToken))
        {
            found.Add(new Found(
                row.GetInt32(0), row.IsDBNull(1) ? null : row.GetInt32(1), row.GetString(2), row.GetString(3), row.IsDBNull(4) ? null : row.GetString(4)));
        }

        return found;
    }

    // Only if it is still what was encrypted: somebody may have replaced it meanwhile.
    private async Task<bool> ReplaceAsync(NpgsqlConnection connection, Found found, string encrypted, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            found.WebhookId is not null ? "UPDATE rule_webhook_secrets SET secret_value = $3, key_id = $4 WHERE secret_id = $1 AND secret_value = $2"
            : found.Name == "auth_token" ? "UPDATE rule_nats_config SET auth_token = $3, auth_token_key_id = $4 WHERE config_id = $1 AND auth_token = $2"
            : "UPDATE rule_nats_config SET auth_nkey_seed = $3, auth_nkey_seed_key_id = $4 WHERE config_id = $1 AND auth_nkey_seed = $2",
            connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = found.Id });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = found.Stored });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = encrypted });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = box.ActiveKey });
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    private sealed record Found(int Id, int? WebhookId, string Name, string Stored, string? KeyId)
    {
        public SecretPlace Place => WebhookId is { } webhook ? SecretPlace.OfWebhook(webhook, Name) : SecretPlace.OfConfig(Id, Name);

        public override string ToString() => Place.Name;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Encrypted {Secret} under key {Key}")]
    private partial void LogEncrypted(string secret, string key);

    [LoggerMessage(Level = LogLevel.Error, Message = "Not encrypted under the active key: {Problem}")]
    private partial void LogNotReadable(string problem);
}
