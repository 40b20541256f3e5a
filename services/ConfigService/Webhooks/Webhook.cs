using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Serialization;
using Npgsql;

namespace RuleEngineNats.ConfigService.Webhooks;

/// <summary>A webhook as clients see it; its secrets are never part of it.</summary>
internal record Webhook
{
    /// <summary>The columns of <see cref="Read"/>, in its order.</summary>
    public const string Columns =
        """
        w.webhook_id, w.webhook_name, w.description, w.url, coalesce(w.method, 'POST'), coalesce(w.headers, '{}')::text, coalesce(w.timeout_ms, 5000),
        coalesce(w.retry_enabled, true), coalesce(w.max_retries, 3), coalesce(w.retry_delay_ms, 1000),
        coalesce(w.retry_backoff_multiplier, 2)::float8, coalesce(w.enabled, true), w.disabled_at, w.disabled_reason, coalesce(w.tags, '{}'),
        coalesce(w.nats_enabled, false), w.nats_subject, w.subject_filter, coalesce(w.publish_mode, 'queue'),
        (SELECT c.config_name FROM rule_nats_config c WHERE c.config_id = w.nats_config_id),
        extract(epoch FROM w.deduplicate_for)::bigint, w.created_at, w.updated_at, w.created_by
        """;

    /// <summary>webhook_id.</summary>
    public required int Id { get; init; }

    /// <summary>webhook_name.</summary>
    public required string Name { get; init; }

    /// <summary>For people.</summary>
    public required string? Description { get; init; }

    /// <summary>Where deliveries go.</summary>
    public required string Url { get; init; }

    /// <summary>HTTP method of deliveries.</summary>
    public required string Method { get; init; }

    /// <summary>Headers of every delivery. The values of those that carry credentials (Authorization, Cookie, names with key, token, secret and the like) are shown as ***.</summary>
    public required IReadOnlyDictionary<string, string> Headers { get; init; }

    /// <summary>Time for one HTTP attempt in milliseconds.</summary>
    public required int TimeoutMs { get; init; }

    /// <summary>Whether a failed attempt is repeated.</summary>
    public required bool RetryEnabled { get; init; }

    /// <summary>Most repeats.</summary>
    public required int MaxRetries { get; init; }

    /// <summary>Delay before the first repeat in milliseconds.</summary>
    public required int RetryDelayMs { get; init; }

    /// <summary>Each further delay is the one before times this.</summary>
    public required double RetryBackoffMultiplier { get; init; }

    /// <summary>Whether it is delivered to.</summary>
    public required bool Enabled { get; init; }

    /// <summary>When the delivery worker switched it off; null if it did not.</summary>
    public required DateTimeOffset? DisabledAt { get; init; }

    /// <summary>Why it was switched off.</summary>
    public required string? DisabledReason { get; init; }

    /// <summary>Free labels.</summary>
    public required IReadOnlyList<string> Tags { get; init; }

    /// <summary>Whether events can be published through it into NATS.</summary>
    public required bool NatsEnabled { get; init; }

    /// <summary>The literal subject of a publish through it.</summary>
    public required string? NatsSubject { get; init; }

    /// <summary>Which messages it receives; null stands for natsSubject.</summary>
    public required string? SubjectFilter { get; init; }

    /// <summary>queue, nats or both.</summary>
    public required string PublishMode { get; init; }

    /// <summary>The NATS connection it publishes with; null stands for "default".</summary>
    public required string? Connection { get; init; }

    /// <summary>How long a message id is remembered, in seconds; null leaves only the stream's duplicate window.</summary>
    public required long? DeduplicateForSeconds { get; init; }

    /// <summary>When it was registered.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When it was last changed.</summary>
    public required DateTimeOffset UpdatedAt { get; init; }

    /// <summary>The database user that registered it.</summary>
    public required string? CreatedBy { get; init; }

    public static Webhook Read(NpgsqlDataReader row) => new()
    {
        Id = row.GetInt32(0),
        Name = row.GetString(1),
        Description = Text(row, 2),
        Url = row.GetString(3),
        Method = row.GetString(4),
        Headers = ReadHeaders(row.GetString(5)),
        TimeoutMs = row.GetInt32(6),
        RetryEnabled = row.GetBoolean(7),
        MaxRetries = row.GetInt32(8),
        RetryDelayMs = row.GetInt32(9),
        RetryBackoffMultiplier = row.GetDouble(10),
        Enabled = row.GetBoolean(11),
        DisabledAt = row.IsDBNull(12) ? null : row.GetFieldValue<DateTimeOffset>(12),
        DisabledReason = Text(row, 13),
        Tags = row.GetFieldValue<string[]>(14),
        NatsEnabled = row.GetBoolean(15),
        NatsSubject = Text(row, 16),
        SubjectFilter = Text(row, 17),
        PublishMode = row.GetString(18),
        Connection = Text(row, 19),
        DeduplicateForSeconds = row.IsDBNull(20) ? null : row.GetInt64(20),
        CreatedAt = row.GetFieldValue<DateTimeOffset>(21),
        UpdatedAt = row.GetFieldValue<DateTimeOffset>(22),
        CreatedBy = Text(row, 23),
    };

    private static string? Text(NpgsqlDataReader row, int ordinal) => row.IsDBNull(ordinal) ? null : row.GetString(ordinal);

    private static Dictionary<string, string> ReadHeaders(string json)
    {
        using var document = JsonDocument.Parse(json);
        return document.RootElement.ValueKind != JsonValueKind.Object
            ? []
            : document.RootElement.EnumerateObject().ToDictionary(header => header.Name, header => CredentialHeaders.Redact(header.Name, header.Value));
    }
}

/// <summary>The answer to a registration: the webhook and, this once, the secret its deliveries are signed with.</summary>
internal sealed record CreatedWebhook : Webhook
{
    /// <summary>The Standard Webhooks secret. It is shown here and never again; it can be replaced.</summary>
    [JsonPropertyOrder(1)]
    public required string SigningSecret { get; init; }

    [SetsRequiredMembers]
    private CreatedWebhook(Webhook webhook, string signingSecret)
        : base(webhook)
        => SigningSecret = signingSecret;

    public static CreatedWebhook Of(Webhook webhook, string signingSecret) => new(webhook, signingSecret);
}
