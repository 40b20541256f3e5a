using Npgsql;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ConfigService.Streams;

/// <param name="Items">The streams by connection and name.</param>
internal sealed record StreamList(IReadOnlyList<Stream> Items);

/// <summary>A stream: its definition, and what the server has.</summary>
internal sealed record Stream
{
    /// <summary>The columns of <see cref="Read"/>, in its order.</summary>
    public const string Columns =
        """
        s.stream_id, s.stream_name, c.config_name, s.subjects, s.description, coalesce(s.storage_type, 'file'), coalesce(s.retention_policy, 'limits'),
        coalesce(s.discard_policy, 'new'), coalesce(s.max_messages, -1), coalesce(s.max_bytes, -1), coalesce(s.max_age_seconds, 0),
        coalesce(s.duplicate_window_seconds, 120), coalesce(s.replicas, 1), coalesce(s.enabled, true) AND coalesce(c.enabled, true), s.created_at,
        s.server_state, s.server_detail, s.checked_at
        """;

    /// <summary>stream_id.</summary>
    public required int Id { get; init; }

    /// <summary>stream_name; unique within its connection.</summary>
    public required string Name { get; init; }

    /// <summary>The NATS connection whose servers have it.</summary>
    public required string Connection { get; init; }

    /// <summary>The subjects it takes.</summary>
    public required IReadOnlyList<string> Subjects { get; init; }

    /// <summary>For people.</summary>
    public required string? Description { get; init; }

    /// <summary>file or memory.</summary>
    public required string Storage { get; init; }

    /// <summary>limits, interest or workqueue.</summary>
    public required string Retention { get; init; }

    /// <summary>new: a full stream refuses what comes. old: it drops its oldest message.</summary>
    public required string Discard { get; init; }

    /// <summary>Most messages; -1 for no limit.</summary>
    public required long MaxMessages { get; init; }

    /// <summary>Most bytes; -1 for no limit.</summary>
    public required long MaxBytes { get; init; }

    /// <summary>How long a message is kept, in seconds; 0 for ever.</summary>
    public required long MaxAgeSeconds { get; init; }

    /// <summary>How long the server remembers message ids, in seconds.</summary>
    public required int DuplicateWindowSeconds { get; init; }

    /// <summary>Copies in a cluster.</summary>
    public required int Replicas { get; init; }

    /// <summary>Whether it is to exist on the server; false too when its connection is disabled.</summary>
    public required bool Enabled { get; init; }

    /// <summary>When it was defined.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>How the server's stream relates to this definition.</summary>
    public required Provisioning Provisioning { get; init; }

    /// <summary>The stream on the server, as it is now; null when it does not exist there or the server did not answer.</summary>
    public ServerStream? Server { get; init; }

    public static Stream Read(NpgsqlDataReader row) => new()
    {
        Id = row.GetInt32(0),
        Name = row.GetString(1),
        Connection = row.GetString(2),
        Subjects = row.GetFieldValue<string[]>(3),
        Description = row.IsDBNull(4) ? null : row.GetString(4),
        Storage = row.GetString(5),
        Retention = row.GetString(6),
        Discard = row.GetString(7),
        MaxMessages = row.GetInt64(8),
        MaxBytes = row.GetInt64(9),
        MaxAgeSeconds = row.GetInt64(10),
        DuplicateWindowSeconds = row.GetInt32(11),
        Replicas = row.GetInt32(12),
        Enabled = row.GetBoolean(13),
        CreatedAt = row.GetFieldValue<DateTimeOffset>(14),
        Provisioning = Provisioning.Of(
            row.GetString(15), row.IsDBNull(16) ? null : row.GetString(16), row.IsDBNull(17) ? null : row.GetFieldValue<DateTimeOffset>(17)),
    };
}

/// <summary>What the last comparison of the definition with the server found; it is made on every change and every 30 seconds.</summary>
/// <param name="State">unknown (not compared yet), created (made by this service), exists (as defined), differs, or failed.</param>
/// <param name="Differences">Where the server's stream differs; nothing that exists is changed.</param>
/// <param name="Error">Why it failed; null otherwise.</param>
/// <param name="CheckedAt">When this was written.</param>
internal sealed record Provisioning(string State, IReadOnlyList<string> Differences, string? Error, DateTimeOffset? CheckedAt)
{
    public static Provisioning Of(string state, string? detail, DateTimeOffset? checkedAt) => new(
        state,
        state == "differs" && detail is not null ? detail.Split("; ") : [],
        state == "failed" && detail is not null ? NatsUrls.Redact(detail) : null,
        checkedAt);
}

/// <param name="Messages">Messages it holds.</param>
/// <param name="Bytes">Bytes it holds.</param>
/// <param name="FirstSequence">Sequence of its oldest message.</param>
/// <param name="LastSequence">Sequence of its newest message.</param>
/// <param name="Consumers">Consumers it has.</param>
/// <param name="Subjects">Subjects it takes there.</param>
/// <param name="CreatedAt">When the server made it.</param>
internal sealed record ServerStream(
    long Messages, long Bytes, ulong FirstSequence, ulong LastSequence, long Consumers, IReadOnlyList<string> Subjects, DateTimeOffset CreatedAt);
