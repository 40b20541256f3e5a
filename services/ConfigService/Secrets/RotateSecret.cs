using Npgsql;
using RuleEngineNats.ConfigService.Problems;
using RuleEngineNats.ConfigService.Webhooks;

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

    public static async Task<IResult> HandleAsync(string webhook, HttpRequest request, NpgsqlDataSource rules, CancellationToken cancellationToken)
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
        var expires = await KeepPreviousAsync(connection, id, body.Value.GraceSeconds ?? MaxGraceSeconds, cancellationToken);
        await SetSecret.StoreAsync(connection, id, SecretRules.Signing, secret, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        request.HttpContext.Response.Headers.CacheControl = "no-store";
        return Results.Ok(new Answer(secret, expires));
    }

    private static async Task<DateTimeOffset?> KeepPreviousAsync(
        NpgsqlConnection connection, int id, int graceSeconds, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            WITH gone AS (
                DELETE FROM rule_webhook_secrets WHERE webhook_id = $1 AND secret_name = $3 AND $4 <= 0)
            INSERT INTO rule_webhook_secrets (webhook_id, secret_name, secret_value, key_id, expires_at)
            SELECT s.webhook_id, $3, s.secret_value, s.key_id, now() + make_interval(secs => $4)
              FROM rule_webhook_secrets s
             WHERE s.webhook_id = $1 AND s.secret_name = $2 AND $4 > 0
               FOR UPDATE
            ON CONFLICT (webhook_id, secret_name) DO UPDATE
               SET secret_value = EXCLUDED.secret_value, key_id = EXCLUDED.key_id, expires_at = EXCLUDED.expires_at, created_at = now()
            RETURNING expires_at
            """, connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = id });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = SecretRules.Signing });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = SecretRules.PreviousSigning });
        command.Parameters.Add(new NpgsqlParameter<double> { TypedValue = graceSeconds });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        return await row.ReadAsync(cancellationToken) ? row.GetFieldValue<DateTimeOffset>(0) : null;
    }
}
