using Npgsql;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ConfigService.Connections;

/// <param name="Items">The connections by name.</param>
internal sealed record ConnectionList(IReadOnlyList<Connection> Items);

/// <summary>A NATS configuration as clients see it: URLs without user information, no token and no seed.</summary>
internal sealed record Connection
{
    /// <summary>The columns of <see cref="Read"/>; those with secrets are never asked for.</summary>
    public const string Columns =
        """
        c.config_id, c.config_name, c.nats_url, coalesce(c.nats_cluster_urls, '{}'), coalesce(c.auth_type, 'none'), c.auth_credentials_file,
        coalesce(c.tls_enabled, false), c.tls_cert_file, c.tls_key_file, c.tls_ca_file, coalesce(c.max_connections, 10),
        coalesce(c.connection_timeout_ms, 5000), coalesce(c.reconnect_delay_ms, 2000), coalesce(c.max_reconnect_attempts, -1),
        coalesce(c.jetstream_enabled, true), coalesce(c.stream_name, 'WEBHOOKS'), coalesce(c.subject_prefix, 'webhooks'),
        coalesce(c.enabled, true), c.created_at, c.updated_at
        """;

    /// <summary>config_id.</summary>
    public required int Id { get; init; }

    /// <summary>config_name; the one named default is used where none is named.</summary>
    public required string Name { get; init; }

    /// <summary>The URL in the table.</summary>
    public required string Url { get; init; }

    /// <summary>The URL the services use: for default ConnectionStrings:nats of their configuration, where they have one. This is what this service has.</summary>
    public required string EffectiveUrl { get; init; }

    /// <summary>Further servers of the cluster.</summary>
    public required IReadOnlyList<string> ClusterUrls { get; init; }

    /// <summary>none, token, credentials or nkey. The token and the seed are never shown.</summary>
    public required string AuthType { get; init; }

    /// <summary>Path of a .creds file on the services' machines.</summary>
    public required string? CredentialsFile { get; init; }

    /// <summary>Whether the connection must be TLS.</summary>
    public required bool TlsEnabled { get; init; }

    /// <summary>Path of the client certificate.</summary>
    public required string? TlsCertFile { get; init; }

    /// <summary>Path of its key.</summary>
    public required string? TlsKeyFile { get; init; }

    /// <summary>Path of the authority's certificate.</summary>
    public required string? TlsCaFile { get; init; }

    /// <summary>Most connections of each service's pool.</summary>
    public required int MaxConnections { get; init; }

    /// <summary>connection_timeout_ms.</summary>
    public required int ConnectionTimeoutMs { get; init; }

    /// <summary>reconnect_delay_ms.</summary>
    public required int ReconnectDelayMs { get; init; }

    /// <summary>max_reconnect_attempts; -1 for no limit.</summary>
    public required int MaxReconnectAttempts { get; init; }

    /// <summary>False makes every publish unavailable: there is no publishing without acknowledgement.</summary>
    public required bool JetStreamEnabled { get; init; }

    /// <summary>The stream of publishes whose subject no stream definition takes.</summary>
    public required string StreamName { get; init; }

    /// <summary>First token of default subjects.</summary>
    public required string SubjectPrefix { get; init; }

    /// <summary>Whether it may be used.</summary>
    public required bool Enabled { get; init; }

    /// <summary>When it was made.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>When it was last changed.</summary>
    public required DateTimeOffset UpdatedAt { get; init; }

    public static Connection Read(NpgsqlDataReader row, EffectiveUrls effective)
    {
        var (name, url) = (row.GetString(1), row.GetString(2));
        return new Connection
        {
            Id = row.GetInt32(0),
            Name = name,
            Url = NatsUrls.Redact(url),
            EffectiveUrl = NatsUrls.Redact(effective.Of(name, url)),
            ClusterUrls = [.. row.GetFieldValue<string[]>(3).Select(NatsUrls.Redact)],
            AuthType = row.GetString(4),
            CredentialsFile = Text(row, 5),
            TlsEnabled = row.GetBoolean(6),
            TlsCertFile = Text(row, 7),
            TlsKeyFile = Text(row, 8),
            TlsCaFile = Text(row, 9),
            MaxConnections = row.GetInt32(10),
            ConnectionTimeoutMs = row.GetInt32(11),
            ReconnectDelayMs = row.GetInt32(12),
            MaxReconnectAttempts = row.GetInt32(13),
            JetStreamEnabled = row.GetBoolean(14),
            StreamName = row.GetString(15),
            SubjectPrefix = row.GetString(16),
            Enabled = row.GetBoolean(17),
            CreatedAt = row.GetFieldValue<DateTimeOffset>(18),
            UpdatedAt = row.GetFieldValue<DateTimeOffset>(19),
        };
    }

    private static string? Text(NpgsqlDataReader row, int ordinal) => row.IsDBNull(ordinal) ? null : row.GetString(ordinal);
}
