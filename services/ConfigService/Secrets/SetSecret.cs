using Npgsql;
using RuleEngineNats.ConfigService.Problems;
using RuleEngineNats.ConfigService.Webhooks;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Secrets;

internal static class SetSecret
{
    /// <summary>A secret to store.</summary>
    internal sealed class Request
    {
        /// <summary>1 to 8,192 characters; for the secret named signing whsec_ and the base64 of 24 to 64 bytes, or whsk_ and the base64 of an ed25519 key; for the one named auth what the webhook's authType asks for.</summary>
        public string? Value { get; set; }
    }

    public static async Task<IResult> HandleAsync(
        string webhook, string name, HttpRequest request, NpgsqlDataSource rules, EncryptSecrets encrypt, CancellationToken cancellationToken)
    {
        var body = await RequestBody<Request>.ReadAsync(request, ConfigJson.Default.SetSecretRequest, cancellationToken);
        SecretRules.CheckName(name, body.Problems);
        body.Problems.Required("value", body.Value.Value);
        SecretRules.CheckValue("value", body.Value.Value, body.Problems);
        // Every secret of such a name signs deliveries, so a malformed one would stop them.
        if (name.StartsWith(SecretRules.Signing, StringComparison.OrdinalIgnoreCase))
        {
            SecretRules.CheckSigning("value", body.Value.Value, body.Problems);
        }

        if (body.Refusal() is { } refusal)
        {
            return refusal;
        }

        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        if (await FindWebhook.IdAsync(connection, webhook, cancellationToken) is not { } id)
        {
            return NoSuch.Webhook(webhook).ToResult();
        }

        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await StoreAsync(connection, id, name, body.Value.Value!, cancellationToken);
        await encrypt.RunAsync(connection, id, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return Results.NoContent();
    }

    public static async Task StoreAsync(NpgsqlConnection connection, int id, string name, string value, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT rule_webhook_secret_set($1, $2, $3)", connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = id });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = name });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = value });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
