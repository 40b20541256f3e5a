using Npgsql;
using RuleEngineNats.ConfigService.Problems;
using RuleEngineNats.ConfigService.Webhooks;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ConfigService.Secrets;

internal static class RotateSecret
{
    private const int MaxGraceSeconds = 86_400;

    /// <summary>How to rotate; an empty body will do.</summary>
    internal sealed class Request
    {
        /// <summary>How long deliveries are signed with the old secret as well: 0 to 86,400 s; 86,400 by default.</summary>
        public int? GraceSeconds { get; set; }
    }

    /// <param name="SigningSecret">The new secret. It is shown here and never again.</param>
    /// <param name="PreviousExpiresAt">When the old secret ends; null when it has ended.</param>
    internal sealed record Answer(string SigningSecret, DateTimeOffset? PreviousExpiresAt);

    public static async Task<IResult> HandleAsync(string webhook, HttpRequest request, NpgsqlDataSource rules, SecretBox box, EncryptSecrets encrypt, CancellationToken cancellationToken)
    {
        var body = await RequestBody<Request>.ReadAsync(request, ConfigJson.Default.RotateSecretRequest, cancellationToken, optional: true);
        body.Problems.Range("graceSeconds", body.Value.GraceSeconds, 0, MaxGraceSeconds);
        if (body.Refusal() is { } refusal)
        {
            return refusal;
        }

        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        if (await FindWebhook.IdAsync(connection, webhook, cancellationToken) is not { } id)
        {
            return Problem.NoWebhook(webhook).ToResult();
        }

        var secret = SecretRules.MakeSigning();
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var expires = await KeepPreviousAsync(connection, box, id, body.Value.GraceSeconds ?? MaxGraceSeconds, cancellationToken);
        await SetSecret.StoreAsync(connection, id, SecretRules.Signing, secret, cancellationToken);
        await encrypt.RunAsync(connection, id, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        request.HttpContext.Response.Headers.CacheControl = "no-store";
        return Results.Ok(new Answer(secret, expires));
    }

    // Read and stored anew under its other name: a ciphertext is bound to the name it has. One that cannot be read ends at once.
    private static async Task<DateTimeOffset?> KeepPreviousAsync(
        NpgsqlConnection connection, SecretBox box, int id, int graceSeconds, CancellationToken cancellationToken)
    {
        if (graceSeconds <= 0 || await ReadAsync(connection, box, id, cancellationToken) is not { } previous)
        {
            await using var delete = new NpgsqlCommand("SELECT rule_webhook_secret_delete($1, $2)", connection);
            delete.Parameters.Add(new NpgsqlParameter<int> { TypedValue = id });
            delete.Parameters.Add(new NpgsqlParameter<string> { TypedValue = SecretRules.PreviousSigning });
            await delete.ExecuteNonQueryAsync(cancellationToken);
            return null;
        }

        await SetSecret.StoreAsync(connection, id, SecretRules.PreviousSigning, previous, cancellationToken);
        await using var command = new NpgsqlCommand(
            "UPDATE rule_webhook_secrets SET expires_at = now() + make_interval(secs => $3) WHERE webhook_id = $1 AND secret_name = $2 RETURNING expires_at", connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = id });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = SecretRules.PreviousSigning });
        command.Parameters.Add(new NpgsqlParameter<double> { TypedValue = graceSeconds });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        return await row.ReadAsync(cancellationToken) ? row.GetFieldValue<DateTimeOffset>(0) : null;
    }

    private static async Task<string?> ReadAsync(NpgsqlConnection connection, SecretBox box, int id, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT s.secret_value, s.key_id FROM rule_webhook_secrets s WHERE s.webhook_id = $1 AND s.secret_name = $2 FOR UPDATE", connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = id });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = SecretRules.Signing });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        return await row.ReadAsync(cancellationToken)
            ? box.Decrypt(SecretPlace.OfWebhook(id, SecretRules.Signing), row.IsDBNull(1) ? null : row.GetString(1), row.GetString(0)).Plain
            : null;
    }
}
