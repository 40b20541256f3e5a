using Microsoft.Extensions.Options;
using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.ConfigService.Problems;
using RuleEngineNats.Messaging;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Webhooks;

internal static class UpdateWebhook
{
    /// <summary>What to change; what is left out stays.</summary>
    internal sealed class Request : WebhookSettings;

    public static async Task<IResult> HandleAsync(string webhook, HttpRequest request, NpgsqlDataSource rules, IOptions<EgressOptions> egress, CancellationToken cancellationToken)
    {
        var body = await RequestBody<Request>.ReadAsync(request, ConfigJson.Default.UpdateWebhookRequest, cancellationToken);
        var wanted = body.Value;
        wanted.Check(body.Problems, egress.Value);
        foreach (var (field, value) in (ReadOnlySpan<(string, object?)>)
        [
            ("name", wanted.Name), ("url", wanted.Url), ("method", wanted.Method), ("timeoutMs", wanted.TimeoutMs), ("retryEnabled", wanted.RetryEnabled),
            ("maxRetries", wanted.MaxRetries), ("retryDelayMs", wanted.RetryDelayMs), ("retryBackoffMultiplier", wanted.RetryBackoffMultiplier),
            ("enabled", wanted.Enabled), ("tags", wanted.Tags),
        ])
        {
            body.Problems.NotNull(body, field, value);
        }

        if (body.Refusal() is { } refusal)
        {
            return refusal;
        }

        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        return await FindWebhook.IdAsync(connection, webhook, cancellationToken) is { } id
            && await UpdateAsync(connection, id, body, cancellationToken) is { } updated
            ? Results.Ok(updated)
            : NoSuch.Webhook(webhook).ToResult();
    }

    // rule_webhook_update can change six of the columns and cannot empty one.
    private static async Task<Webhook?> UpdateAsync(NpgsqlConnection connection, int id, RequestBody<Request> body, CancellationToken cancellationToken)
    {
        var wanted = body.Value;
        await using var command = new NpgsqlCommand(
            $$"""
            UPDATE rule_webhooks w
               SET webhook_name = coalesce($2, w.webhook_name), url = coalesce($3, w.url), method = coalesce(upper($4), w.method),
                   timeout_ms = coalesce($5, w.timeout_ms), retry_enabled = coalesce($6, w.retry_enabled), max_retries = coalesce($7, w.max_retries),
                   retry_delay_ms = coalesce($8, w.retry_delay_ms), retry_backoff_multiplier = coalesce($9, w.retry_backoff_multiplier),
                   enabled = coalesce($10, w.enabled), tags = coalesce($11, w.tags),
                   description = CASE WHEN $12 THEN $13 ELSE w.description END,
                   subject_filter = CASE WHEN $14 THEN $15 ELSE w.subject_filter END,
                   deduplicate_for = CASE WHEN $16 THEN make_interval(secs => $17) ELSE w.deduplicate_for END,
                   headers = CASE WHEN NOT $18 THEN w.headers WHEN $19 IS NULL THEN '{}'
                       ELSE (SELECT coalesce(jsonb_object_agg(h.key, h.value), '{}')
                               FROM jsonb_each(coalesce(w.headers, '{}')) h WHERE lower(h.key) <> ALL ($20)) || $19 END
             WHERE w.webhook_id = $1
            RETURNING {{Webhook.Columns}}
            """, connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = id });
        command.Parameters.Add(Sql.Of(wanted.Name, NpgsqlDbType.Text));
        command.Parameters.Add(Sql.Of(wanted.Url, NpgsqlDbType.Text));
        command.Parameters.Add(Sql.Of(wanted.Method, NpgsqlDbType.Text));
        command.Parameters.Add(Sql.Of(wanted.TimeoutMs, NpgsqlDbType.Integer));
        command.Parameters.Add(Sql.Of(wanted.RetryEnabled, NpgsqlDbType.Boolean));
        command.Parameters.Add(Sql.Of(wanted.MaxRetries, NpgsqlDbType.Integer));
        command.Parameters.Add(Sql.Of(wanted.RetryDelayMs, NpgsqlDbType.Integer));
        command.Parameters.Add(Sql.Of((decimal?)wanted.RetryBackoffMultiplier, NpgsqlDbType.Numeric));
        command.Parameters.Add(Sql.Of(wanted.Enabled, NpgsqlDbType.Boolean));
        command.Parameters.Add(Sql.Of(wanted.Tags, NpgsqlDbType.Array | NpgsqlDbType.Text));
        command.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = body.Has("description") });
        command.Parameters.Add(Sql.Of(wanted.Description, NpgsqlDbType.Text));
        command.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = body.Has("subjectFilter") });
        command.Parameters.Add(Sql.Of(wanted.SubjectFilter, NpgsqlDbType.Text));
        command.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = body.Has("deduplicateForSeconds") });
        command.Parameters.Add(Sql.Of((double?)wanted.DeduplicateForSeconds, NpgsqlDbType.Double));
        command.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = body.Has("headers") });
        command.Parameters.Add(Sql.Json(wanted.Headers));
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. (wanted.Headers ?? []).Keys.Select(key => key.ToLowerInvariant())] });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        return await row.ReadAsync(cancellationToken) ? Webhook.Read(row) : null;
    }
}
