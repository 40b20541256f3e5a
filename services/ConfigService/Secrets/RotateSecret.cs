using Npgsql;
using RuleEngineNats.ConfigService.Problems;
using RuleEngineNats.ConfigService.Webhooks;
using RuleEngineNats.Messaging;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Secrets;

internal static class RotateSecret
{
    private const int MaxGraceSeconds = 86_400;
    private const string Hmac = "hmac";
    private const string Ed25519 = "ed25519";

    /// <summary>How to rotate; an empty body will do.</summary>
    internal sealed class Request
    {
        /// <summary>How long deliveries are signed with the old secret as well: 0 to 86,400 s; 86,400 by default.</summary>
        public int? GraceSeconds { get; set; }

        /// <summary>hmac or ed25519; that of the old secret by default.</summary>
        public string? Kind { get; set; }
    }

    /// <param name="SigningSecret">The new secret. It is shown here and never again; null for ed25519, whose private half only the worker needs.</param>
    /// <param name="PublicKey">The key receivers verify with, for ed25519: whpk_ and its base64; null for hmac.</param>
    /// <param name="PreviousExpiresAt">When the old secret ends; null when it has ended.</param>
    internal sealed record Answer(string? SigningSecret, string? PublicKey, DateTimeOffset? PreviousExpiresAt);

    public static async Task<IResult> HandleAsync(string webhook, HttpRequest request, NpgsqlDataSource rules, SecretBox box, EncryptSecrets encrypt, CancellationToken cancellationToken)
    {
        var body = await RequestBody<Request>.ReadAsync(request, ConfigJson.Default.RotateSecretRequest, cancellationToken, optional: true);
        body.Problems.Range("graceSeconds", body.Value.GraceSeconds, 0, MaxGraceSeconds);
        body.Problems.OneOf("kind", body.Value.Kind, Hmac, Ed25519);
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
        var previous = await ReadAsync(connection, box, id, cancellationToken);
        var secret = Make(body.Value.Kind, previous);
        var expires = await KeepPreviousAsync(connection, id, previous, body.Value.GraceSeconds ?? MaxGraceSeconds, cancellationToken);
        await SetSecret.StoreAsync(connection, id, SecretRules.Signing, secret, cancellationToken);
        await encrypt.RunAsync(connection, id, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        request.HttpContext.Response.Headers.CacheControl = "no-store";
        var publicKey = Ed25519Key.TryParse(secret)?.PublicKey;
        return Results.Ok(new Answer(publicKey is null ? secret : null, publicKey, expires));
    }

    private static string Make(string? kind, string? previous)
        => kind == Ed25519 || (kind is null && previous?.StartsWith(Ed25519Key.PrivatePrefix, StringComparison.Ordinal) == true)
            ? Ed25519Key.MakePrivate() : SecretRules.MakeSigning();

    // Read and stored anew under its other name: a ciphertext is bound to the name it has. One that cannot be read ends at once.
    private static async Task<DateTimeOffset?> KeepPreviousAsync(
        NpgsqlConnection connection, int id, string? previous, int graceSeconds, CancellationToken cancellationToken)
    {
        if (graceSeconds <= 0 || previous is null)
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
