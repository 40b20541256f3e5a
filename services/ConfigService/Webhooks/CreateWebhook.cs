using System.Text.Json.Serialization;
using Microsoft.Extensions.Options;
using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.ConfigService.Secrets;
using RuleEngineNats.Messaging;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Webhooks;

internal static class CreateWebhook
{
    /// <summary>A webhook to register; name and url are required.</summary>
    internal sealed class Request : WebhookSettings
    {
        /// <summary>A signing secret of your own: whsec_ and the base64 of 24 to 64 bytes, or whsk_ and the base64 of an ed25519 key. Made here when left out.</summary>
        [JsonPropertyOrder(1)]
        public string? SigningSecret { get; set; }
    }

    public static async Task<IResult> HandleAsync(HttpRequest request, NpgsqlDataSource rules, IOptions<EgressOptions> egress, EncryptSecrets encrypt, CancellationToken cancellationToken)
    {
        var body = await RequestBody<Request>.ReadAsync(request, ConfigJson.Default.CreateWebhookRequest, cancellationToken);
        var wanted = body.Value;
        body.Problems.Required("name", wanted.Name);
        body.Problems.Required("url", wanted.Url);
        wanted.Check(body.Problems, egress.Value);
        SecretRules.CheckSigning("signingSecret", wanted.SigningSecret, body.Problems);
        foreach (var header in (wanted.Headers ?? []).Where(header => header.Value is null))
        {
            body.Problems.Add("wrong_type", $"headers[{header.Key}]", "must be a string", "Send a value of that type.");
        }

        if (body.Refusal() is { } refusal)
        {
            return refusal;
        }

        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var id = await RegisterAsync(connection, wanted, cancellationToken);
        await CompleteAsync(connection, id, wanted, body.Has("deduplicateForSeconds"), cancellationToken);
        if (wanted.SigningSecret is { } secret)
        {
            await SetSecret.StoreAsync(connection, id, SecretRules.Signing, secret, cancellationToken);
        }

        var created = await GetCreatedAsync(connection, id, cancellationToken);
        await encrypt.RunAsync(connection, id, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        request.HttpContext.Response.Headers.CacheControl = "no-store";
        return Results.Created($"/api/v1/webhooks/{id}", created);
    }

    private static async Task<int> RegisterAsync(NpgsqlConnection connection, Request wanted, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT rule_webhook_register($1, $2, coalesce($3, 'POST'), $4, $5, coalesce($6, 5000), coalesce($7, 3))", connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = wanted.Name! });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = wanted.Url! });
        command.Parameters.Add(Sql.Of(wanted.Method, NpgsqlDbType.Text));
        command.Parameters.Add(Sql.Json(wanted.Headers));
        command.Parameters.Add(Sql.Of(wanted.Description, NpgsqlDbType.Text));
        command.Parameters.Add(Sql.Of(wanted.TimeoutMs, NpgsqlDbType.Integer));
        command.Parameters.Add(Sql.Of(wanted.MaxRetries, NpgsqlDbType.Integer));
        return (int)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    // What rule_webhook_register has no parameter for.
    private static async Task CompleteAsync(
        NpgsqlConnection connection, int id, Request wanted, bool deduplicateGiven, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            UPDATE rule_webhooks w
               SET retry_enabled = coalesce($2, w.retry_enabled), retry_delay_ms = coalesce($3, w.retry_delay_ms),
                   retry_backoff_multiplier = coalesce($4, w.retry_backoff_multiplier), enabled = coalesce($5, w.enabled),
                   tags = coalesce($6, w.tags), subject_filter = $7,
                   deduplicate_for = CASE WHEN $8 THEN make_interval(secs => $9) ELSE w.deduplicate_for END
             WHERE w.webhook_id = $1
            """, connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = id });
        command.Parameters.Add(Sql.Of(wanted.RetryEnabled, NpgsqlDbType.Boolean));
        command.Parameters.Add(Sql.Of(wanted.RetryDelayMs, NpgsqlDbType.Integer));
        command.Parameters.Add(Sql.Of((decimal?)wanted.RetryBackoffMultiplier, NpgsqlDbType.Numeric));
        command.Parameters.Add(Sql.Of(wanted.Enabled, NpgsqlDbType.Boolean));
        command.Parameters.Add(Sql.Of(wanted.Tags, NpgsqlDbType.Array | NpgsqlDbType.Text));
        command.Parameters.Add(Sql.Of(wanted.SubjectFilter, NpgsqlDbType.Text));
        command.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = deduplicateGiven });
        command.Parameters.Add(Sql.Of((double?)wanted.DeduplicateForSeconds, NpgsqlDbType.Double));
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task<CreatedWebhook> GetCreatedAsync(NpgsqlConnection connection, int id, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT rule_webhook_secret_get($1, $2)", connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = id });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = SecretRules.Signing });
        var secret = (string)(await command.ExecuteScalarAsync(cancellationToken))!;
        var webhook = (await GetWebhook.ReadAsync(connection, id, cancellationToken))!;
        return CreatedWebhook.Of(webhook, secret);
    }
}
