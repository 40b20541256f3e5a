using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.ConfigService.Problems;
using RuleEngineNats.Messaging;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Webhooks;

/// <summary>Shows and changes how deliveries to a webhook are made. What is allowed is decided in SQL, whose messages name the setting.</summary>
internal static class ConfigureDelivery
{
    public static async Task<IResult> GetAsync(string webhook, NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        return await FindWebhook.IdAsync(connection, webhook, cancellationToken) is { } id
            ? await RunAsync(new NpgsqlCommand("SELECT rule_webhook_settings($1)::text", connection), id, cancellationToken)
            : NoSuch.Webhook(webhook).ToResult();
    }

    public static async Task<IResult> PatchAsync(string webhook, HttpRequest request, NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        var body = await RequestBody<DeliverySettings>.ReadAsync(request, ConfigJson.Default.DeliverySettings, cancellationToken);
        if (body.Refusal() is { } refusal)
        {
            return refusal;
        }

        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        if (await FindWebhook.IdAsync(connection, webhook, cancellationToken) is not { } id)
        {
            return NoSuch.Webhook(webhook).ToResult();
        }

        var command = new NpgsqlCommand("SELECT rule_webhook_configure($1, $2)::text", connection);
        return await RunAsync(command, id, cancellationToken, Sql.Of(body.Value.ToSql(body.Has), NpgsqlDbType.Jsonb));
    }

    private static async Task<IResult> RunAsync(NpgsqlCommand command, int id, CancellationToken cancellationToken, params NpgsqlParameter[] further)
    {
        await using (command)
        {
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = id });
            command.Parameters.AddRange(further);
            return Results.Ok(DeliverySettings.FromSql((string)(await command.ExecuteScalarAsync(cancellationToken))!));
        }
    }
}
