using Microsoft.Extensions.Options;
using Npgsql;
using RuleEngineNats.ConfigService.Problems;
using RuleEngineNats.Messaging;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Webhooks;

/// <summary>Queues a call for a webhook, so that whoever set it up sees what comes of one.</summary>
internal static class TestWebhook
{
    private const string Payload = """{"type":"test"}""";

    /// <param name="CallId">The call; rule_webhook_call_status and rule_webhook_call_history say what became of it.</param>
    internal sealed record Answer(long CallId);

    public static async Task<IResult> HandleAsync(string webhook, NpgsqlDataSource rules, IOptions<EgressOptions> egress, CancellationToken cancellationToken)
    {
        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        if (await FindWebhook.IdAsync(connection, webhook, cancellationToken) is not { } id)
        {
            return NoSuch.Webhook(webhook).ToResult();
        }

        // SQL stores what this service would have refused, and the policy may have changed since.
        var problems = new FieldProblems();
        UrlRules.Check("url", await UrlAsync(connection, id, cancellationToken), egress.Value, problems);
        if (problems.ToProblem() is { } refusal)
        {
            return refusal.ToResult();
        }

        await using var command = new NpgsqlCommand("SELECT rule_webhook_enqueue($1, $2)", connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = id });
        command.Parameters.Add(Sql.Of(Payload, NpgsqlTypes.NpgsqlDbType.Jsonb));
        return Results.Json(new Answer(Convert.ToInt64(await command.ExecuteScalarAsync(cancellationToken), System.Globalization.CultureInfo.InvariantCulture)), ConfigJson.Default.TestWebhookAnswer, statusCode: 201);
    }

    private static async Task<string?> UrlAsync(NpgsqlConnection connection, int id, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT w.url FROM rule_webhooks w WHERE w.webhook_id = $1", connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = id });
        return (string?)await command.ExecuteScalarAsync(cancellationToken);
    }
}
