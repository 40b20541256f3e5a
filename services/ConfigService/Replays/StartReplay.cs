using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.ConfigService.Problems;
using RuleEngineNats.ConfigService.Webhooks;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Replays;

/// <summary>Asks for a replay; a delivery worker carries it out. What is allowed is decided in SQL, whose messages name the argument.</summary>
internal static class StartReplay
{
    /// <summary>Which events, and how; everything is optional.</summary>
    internal sealed class Request
    {
        /// <summary>Only events stored at this time or later.</summary>
        public DateTimeOffset? From { get; set; }

        /// <summary>Only events stored before this time.</summary>
        public DateTimeOffset? To { get; set; }

        /// <summary>Only events from this sequence of the stream on; not together with from.</summary>
        public long? FromSequence { get; set; }

        /// <summary>Only events up to this sequence; not together with to.</summary>
        public long? ToSequence { get; set; }

        /// <summary>Only events whose last outcome at the webhook is one of these: delivered, failed, cancelled, missing.</summary>
        public string[]? Status { get; set; }

        /// <summary>true counts and sends nothing.</summary>
        public bool? DryRun { get; set; }

        /// <summary>Most events a second: 0.01 to 100,000; no limit by default.</summary>
        public double? Rate { get; set; }

        /// <summary>One stream; by default all that have the webhook's subjects.</summary>
        public string? Stream { get; set; }
    }

    public static async Task<IResult> HandleAsync(string webhook, HttpRequest request, NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        var body = await RequestBody<Request>.ReadAsync(request, ConfigJson.Default.StartReplayRequest, cancellationToken, optional: true);
        body.Problems.Range("rate", body.Value.Rate, 0.01, 100_000);
        if (body.Refusal() is { } refusal)
        {
            return refusal;
        }

        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        if (await FindWebhook.IdAsync(connection, webhook, cancellationToken) is not { } id)
        {
            return NoSuch.Webhook(webhook).ToResult();
        }

        var replay = await RunAsync(rules, id, body.Value, cancellationToken);
        return Results.Created($"/api/v1/replays/{replay.ReplayId}", replay);
    }

    public static async Task<Replay> RunAsync(NpgsqlDataSource rules, int webhookId, Request request, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand("SELECT rule_webhook_replay($1, $2, $3, $4, $5, $6, $7, $8, $9)");
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = webhookId });
        command.Parameters.Add(Sql.Of(request.From?.ToUniversalTime(), NpgsqlDbType.TimestampTz));
        command.Parameters.Add(Sql.Of(request.To?.ToUniversalTime(), NpgsqlDbType.TimestampTz));
        command.Parameters.Add(Sql.Of(request.FromSequence, NpgsqlDbType.Bigint));
        command.Parameters.Add(Sql.Of(request.ToSequence, NpgsqlDbType.Bigint));
        command.Parameters.Add(Sql.Of(request.Status, NpgsqlDbType.Array | NpgsqlDbType.Text));
        command.Parameters.Add(Sql.Of(request.DryRun ?? false, NpgsqlDbType.Boolean));
        command.Parameters.Add(Sql.Of((decimal?)request.Rate, NpgsqlDbType.Numeric));
        command.Parameters.Add(Sql.Of(request.Stream, NpgsqlDbType.Text));
        return await Replay.ReadAsync(rules, (long)(await command.ExecuteScalarAsync(cancellationToken))!, cancellationToken);
    }
}
