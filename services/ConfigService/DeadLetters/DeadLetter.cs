using System.Text.Json;
using System.Text.Json.Serialization;
using Npgsql;

namespace RuleEngineNats.ConfigService.DeadLetters;

/// <summary>A call that was given up.</summary>
internal record DeadLetter
{
    /// <summary>The columns of <see cref="Read"/>, in its order.</summary>
    public const string Columns = "call_id, webhook_id, webhook_name, event_id, subject, attempts, response_status, error_message, created_at, completed_at";

    /// <summary>call_id.</summary>
    public required long CallId { get; init; }

    /// <summary>Its webhook.</summary>
    public required int WebhookId { get; init; }

    /// <summary>Name of the webhook, or "deleted webhook" and its id.</summary>
    public required string WebhookName { get; init; }

    /// <summary>The webhook-id of every attempt.</summary>
    public required string EventId { get; init; }

    /// <summary>Subject of the event; null for a call that was queued without one.</summary>
    public required string? Subject { get; init; }

    /// <summary>HTTP attempts that were made.</summary>
    public required int AttemptsMade { get; init; }

    /// <summary>What the receiver answered last; null if it did not.</summary>
    public required int? ResponseStatus { get; init; }

    /// <summary>Why it was given up, and the last error.</summary>
    public required string? ErrorMessage { get; init; }

    /// <summary>When the call was made.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When it was given up.</summary>
    public required DateTimeOffset? CompletedAt { get; init; }

    public static DeadLetter Read(NpgsqlDataReader row) => new()
    {
        CallId = row.GetInt64(0),
        WebhookId = row.GetInt32(1),
        WebhookName = row.GetString(2),
        EventId = row.GetString(3),
        Subject = row.IsDBNull(4) ? null : row.GetString(4),
        AttemptsMade = row.GetInt32(5),
        ResponseStatus = row.IsDBNull(6) ? null : row.GetInt32(6),
        ErrorMessage = row.IsDBNull(7) ? null : row.GetString(7),
        CreatedAt = row.GetFieldValue<DateTimeOffset>(8),
        CompletedAt = row.IsDBNull(9) ? null : row.GetFieldValue<DateTimeOffset>(9),
    };
}

/// <summary>A dead letter with what was sent and what came of it.</summary>
internal sealed record DeadLetterDetail : DeadLetter
{
    /// <summary>The event.</summary>
    public required JsonElement Payload { get; init; }

    /// <summary>What was kept of the last answer's body.</summary>
    public required string? ResponseBody { get; init; }

    /// <summary>The attempts that the history still has.</summary>
    public required IReadOnlyList<DeadLetterAttempt> Attempts { get; init; }

    public static DeadLetterDetail FromSql(string json) => JsonSerializer.Deserialize(json, DeadLettersJson.Default.DeadLetterDetail)!;
}

/// <summary>One HTTP attempt.</summary>
/// <param name="AttemptNumber">The first is 1.</param>
/// <param name="Outcome">delivered, failed, blocked, cancelled or unknown.</param>
/// <param name="StartedAt">When it began.</param>
/// <param name="CompletedAt">When it ended.</param>
/// <param name="ResponseStatus">What the receiver answered; null if it did not.</param>
/// <param name="ResponseBody">What was kept of the answer's body.</param>
/// <param name="ErrorMessage">What went wrong.</param>
/// <param name="ExecutionTimeMs">How long it took.</param>
internal sealed record DeadLetterAttempt(
    int AttemptNumber,
    string? Outcome,
    DateTimeOffset StartedAt,
    DateTimeOffset? CompletedAt,
    int? ResponseStatus,
    string? ResponseBody,
    string? ErrorMessage,
    double? ExecutionTimeMs);

/// <summary>The names of rule_webhook_dead_letter.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(DeadLetterDetail))]
internal sealed partial class DeadLettersJson : JsonSerializerContext;
