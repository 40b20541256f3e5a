using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.ConfigService.Problems;
using RuleEngineNats.Contracts;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Webhooks;

internal static class EnableNats
{
    /// <summary>How the webhook publishes; every field has a default, so an empty body will do.</summary>
    internal sealed class Request
    {
        /// <summary>The literal subject: at most 255 bytes and 16 tokens of A-Z, a-z, 0-9, _ and -. By default the connection's subjectPrefix and the webhook's name.</summary>
        public string? Subject { get; set; }

        /// <summary>queue, nats or both; both by default.</summary>
        public string? PublishMode { get; set; }

        /// <summary>The NATS connection to publish with; default by default.</summary>
        public string? Connection { get; set; }
    }

    /// <param name="Webhook">The webhook as it is now.</param>
    /// <param name="Warnings">What is allowed and will not work as things are, such as a subject that no stream takes.</param>
    internal sealed record Answer(Webhook Webhook, IReadOnlyList<string> Warnings);

    public static async Task<IResult> HandleAsync(string webhook, HttpRequest request, NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        var body = await RequestBody<Request>.ReadAsync(request, ConfigJson.Default.EnableNatsRequest, cancellationToken, optional: true);
        body.Problems.Subject("subject", body.Value.Subject, allowWildcards: false);
        body.Problems.OneOf("publishMode", body.Value.PublishMode, "queue", "nats", "both");
        body.Problems.Text("connection", body.Value.Connection, 128);
        if (body.Refusal() is { } refusal)
        {
            return refusal;
        }

        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        if (await FindWebhook.IdAsync(connection, webhook, cancellationToken) is not { } id)
        {
            return NoSuch.Webhook(webhook).ToResult();
        }

        var warnings = await EnableAsync(connection, id, body.Value, cancellationToken);
        return await GetWebhook.ReadAsync(connection, id, cancellationToken) is { } enabled
            ? Results.Ok(new Answer(enabled, warnings))
            : NoSuch.Webhook(webhook).ToResult();
    }

    private static async Task<IReadOnlyList<string>> EnableAsync(NpgsqlConnection connection, int id, Request wanted, CancellationToken cancellationToken)
    {
        using var notices = new Notices(connection);
        await using var command = new NpgsqlCommand("SELECT rule_webhook_enable_nats($1, $2, $3, $4)", connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = id });
        command.Parameters.Add(Sql.Of(wanted.Subject, NpgsqlDbType.Text));
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = wanted.PublishMode ?? "both" });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = wanted.Connection ?? ConnectionNames.DefaultConfig });
        await command.ExecuteNonQueryAsync(cancellationToken);
        return notices.Texts;
    }
}
