using System.Text.Json;
using System.Text.Json.Serialization;
using Npgsql;

namespace RuleEngineNats.ConfigService.Replays;

/// <summary>A replay and how far it is, as rule_webhook_replay_status says it.</summary>
/// <param name="ReplayId">Its id, which deliveries carry as webhook-replay.</param>
/// <param name="WebhookId">The webhook.</param>
/// <param name="WebhookName">Its name, or "deleted webhook" and its id.</param>
/// <param name="Streams">The streams, in the order in which they are read.</param>
/// <param name="FromTime">Only events stored at this time or later.</param>
/// <param name="ToTime">Only events stored before.</param>
/// <param name="FromSequence">Only events from this sequence on.</param>
/// <param name="ToSequence">Only events up to this sequence.</param>
/// <param name="Status">Only events whose last outcome at the webhook is one of these; null for all.</param>
/// <param name="DryRun">Whether it counts only.</param>
/// <param name="Rate">Most events a second; null for no limit.</param>
/// <param name="State">requested, running, done, cancelled or failed.</param>
/// <param name="NextSequence">Where it goes on in the stream that is being read.</param>
/// <param name="EndSequence">Where it ends in that stream.</param>
/// <param name="Scanned">Events read.</param>
/// <param name="Matched">Of these, those that it is about.</param>
/// <param name="Enqueued">Of these, those that were put into the queue.</param>
/// <param name="Skipped">Of these, those that were due already or in the stream twice.</param>
/// <param name="Waiting">Its calls that are still to be delivered.</param>
/// <param name="ProgressPct">How much of what is to be read has been, 0 to 100.</param>
/// <param name="Error">Why it failed, or what it is waiting for.</param>
/// <param name="RequestedBy">The login that asked for it.</param>
/// <param name="RequestedAt">When.</param>
/// <param name="StartedAt">When a worker first had it.</param>
/// <param name="FinishedAt">When it was done, cancelled or failed.</param>
internal sealed record Replay(
    long ReplayId,
    int WebhookId,
    string WebhookName,
    IReadOnlyList<string> Streams,
    DateTimeOffset? FromTime,
    DateTimeOffset? ToTime,
    long? FromSequence,
    long? ToSequence,
    IReadOnlyList<string>? Status,
    bool DryRun,
    double? Rate,
    string State,
    long? NextSequence,
    long? EndSequence,
    long Scanned,
    long Matched,
    long Enqueued,
    long Skipped,
    long Waiting,
    double ProgressPct,
    string? Error,
    string RequestedBy,
    DateTimeOffset RequestedAt,
    DateTimeOffset? StartedAt,
    DateTimeOffset? FinishedAt)
{
    public static async Task<Replay> ReadAsync(NpgsqlDataSource rules, long replayId, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand("SELECT rule_webhook_replay_status($1)::text");
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = replayId });
        return FromSql((string)(await command.ExecuteScalarAsync(cancellationToken))!);
    }

    public static Replay FromSql(string json) => JsonSerializer.Deserialize(json, ReplaysJson.Default.Replay)!;
}

/// <summary>The names of rule_webhook_replay_status.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(Replay))]
internal sealed partial class ReplaysJson : JsonSerializerContext;
