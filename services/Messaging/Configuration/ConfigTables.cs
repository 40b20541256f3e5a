using System.Data;
using System.Text.Json;
using Npgsql;

namespace RuleEngineNats.Messaging;

/// <summary>Reads the configuration tables, all in one transaction.</summary>
internal static class ConfigTables
{
    public static async Task<ConfigSnapshot> ReadAsync(NpgsqlConnection connection, SecretBox box, bool withSecrets, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancellationToken);
        var secrets = withSecrets ? await ReadSecretsAsync(connection, box, cancellationToken) : null;
        var webhooks = await ReadWebhooksAsync(connection, secrets, cancellationToken);
        var configs = await ReadConfigsAsync(connection, box, cancellationToken);
        var streams = await ReadStreamsAsync(connection, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return new ConfigSnapshot(webhooks, configs, streams);
    }

    private static async Task<List<WebhookDefinition>> ReadWebhooksAsync(
        NpgsqlConnection connection, ILookup<int, WebhookSecret>? secrets, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            SELECT webhook_id, webhook_name, url, coalesce(enabled, true), coalesce(method, 'POST'), coalesce(headers, '{}')::text,
                   coalesce(timeout_ms, 5000), coalesce(retry_enabled, true), CASE WHEN $1 THEN rule_webhook_retry_delays(w) ELSE '{}' END, disabled_by,
                   coalesce(nats_enabled, false), nats_subject, coalesce(subject_filter, nats_subject),
                   nats_config_id, coalesce(publish_mode, 'queue'), extract(epoch FROM deduplicate_for)::float8, CASE WHEN $1 THEN rule_webhook_settings_of(w)::text END
              FROM rule_webhooks w
             ORDER BY webhook_id
            """,
            connection);
        // Only who signs also delivers, and composing the settings costs 30 microseconds a webhook.
        command.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = secrets is not null });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var webhooks = new List<WebhookDefinition>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var id = reader.GetInt32(0);
            webhooks.Add(new WebhookDefinition(id, reader.GetString(1), reader.GetString(2), reader.GetBoolean(3))
            {
                Method = reader.GetString(4),
                Headers = ReadHeaders(reader.GetString(5)),
                Timeout = TimeSpan.FromMilliseconds(reader.GetInt32(6)),
                RetryEnabled = reader.GetBoolean(7),
                RetryDelays = reader.GetFieldValue<TimeSpan[]>(8),
                DisabledBy = Text(reader, 9),
                NatsEnabled = reader.GetBoolean(10),
                Subject = Text(reader, 11),
                Filter = Text(reader, 12),
                ConfigId = reader.IsDBNull(13) ? null : reader.GetInt32(13),
                PublishMode = reader.GetString(14),
                DeduplicateFor = reader.IsDBNull(15) ? null : TimeSpan.FromSeconds(reader.GetDouble(15)),
                Delivery = Text(reader, 16) is { } settings ? DeliverySettings.FromSql(settings) : new(),
                Secrets = secrets is null ? [] : [.. secrets[id]],
            });
        }

        return webhooks;
    }

    private static async Task<ILookup<int, WebhookSecret>> ReadSecretsAsync(NpgsqlConnection connection, SecretBox box, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            SELECT webhook_id, secret_name, secret_value, key_id, expires_at
              FROM rule_webhook_secrets
             WHERE expires_at IS NULL OR expires_at > now()
             ORDER BY webhook_id, created_at DESC, secret_id DESC
            """,
            connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var secrets = new List<(int WebhookId, WebhookSecret Secret)>();
        while (await reader.ReadAsync(cancellationToken))
        {
            DateTimeOffset? expires = reader.IsDBNull(4) ? null : reader.GetFieldValue<DateTimeOffset>(4);
            var (id, name) = (reader.GetInt32(0), reader.GetString(1));
            var (plain, problem) = box.Decrypt(SecretPlace.OfWebhook(id, name), Text(reader, 3), reader.GetString(2));
            secrets.Add((id, new WebhookSecret(name, plain ?? string.Empty, problem, expires)));
        }

        return secrets.ToLookup(row => row.WebhookId, row => row.Secret);
    }

    private static async Task<List<NatsConfig>> ReadConfigsAsync(NpgsqlConnection connection, SecretBox box, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            SELECT config_id, config_name, nats_url, coalesce(enabled, true), coalesce(nats_cluster_urls, '{}'), coalesce(auth_type, 'none'),
                   auth_credentials_file, coalesce(tls_enabled, false), tls_cert_file, tls_key_file, tls_ca_file,
                   greatest(coalesce(max_connections, 10), 1), coalesce(stream_name, 'WEBHOOKS'), coalesce(subject_prefix, 'webhooks'),
                   coalesce(jetstream_enabled, true), auth_token, auth_nkey_seed, coalesce(connection_timeout_ms, 5000),
                   coalesce(reconnect_delay_ms, 2000), coalesce(max_reconnect_attempts, -1), updated_at,
                   auth_token_key_id, auth_nkey_seed_key_id
              FROM rule_nats_config
             ORDER BY config_id
            """,
            connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var configs = new List<NatsConfig>();
        while (await reader.ReadAsync(cancellationToken))
        {
            configs.Add(new NatsConfig(reader.GetInt32(0), reader.GetString(1), reader.GetString(2), reader.GetBoolean(3))
            {
                ClusterUrls = reader.GetFieldValue<string[]>(4),
                AuthType = reader.GetString(5),
                CredentialsFile = Text(reader, 6),
                TlsEnabled = reader.GetBoolean(7),
                TlsCertFile = Text(reader, 8),
                TlsKeyFile = Text(reader, 9),
                TlsCaFile = Text(reader, 10),
                MaxConnections = reader.GetInt32(11),
                StreamName = reader.GetString(12),
                SubjectPrefix = reader.GetString(13),
                JetStreamEnabled = reader.GetBoolean(14),
                AuthToken = Secret(reader, box, "auth_token", 15, 21),
                NkeySeed = Secret(reader, box, "auth_nkey_seed", 16, 22),
                ConnectTimeout = TimeSpan.FromMilliseconds(reader.GetInt32(17)),
                ReconnectDelay = TimeSpan.FromMilliseconds(reader.GetInt32(18)),
                MaxReconnectAttempts = reader.GetInt32(19),
                UpdatedAt = reader.IsDBNull(20) ? null : reader.GetFieldValue<DateTimeOffset>(20),
            });
        }

        return configs;
    }

    private static async Task<List<StreamDefinition>> ReadStreamsAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            SELECT stream_id, config_id, stream_name, subjects, coalesce(enabled, true), description, coalesce(storage_type, 'file'),
                   coalesce(max_messages, -1), coalesce(max_bytes, -1), coalesce(max_age_seconds, 0), coalesce(retention_policy, 'limits'),
                   coalesce(discard_policy, 'new'), coalesce(replicas, 1), coalesce(duplicate_window_seconds, 120)
              FROM rule_nats_streams
             ORDER BY stream_id
            """,
            connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var streams = new List<StreamDefinition>();
        while (await reader.ReadAsync(cancellationToken))
        {
            streams.Add(new StreamDefinition(
                reader.GetInt32(0), reader.GetInt32(1), reader.GetString(2), reader.GetFieldValue<string[]>(3), reader.GetBoolean(4))
            {
                Description = Text(reader, 5),
                Storage = reader.GetString(6),
                MaxMessages = reader.GetInt64(7),
                MaxBytes = reader.GetInt64(8),
                MaxAge = TimeSpan.FromSeconds(reader.GetInt64(9)),
                Retention = reader.GetString(10),
                Discard = reader.GetString(11),
                Replicas = reader.GetInt32(12),
                DuplicateWindow = TimeSpan.FromSeconds(reader.GetInt32(13)),
            });
        }

        return streams;
    }

    // Values that are no strings keep their JSON text: {"X-Version": 2} sends "2".
    private static Dictionary<string, string> ReadHeaders(string json)
    {
        using var document = JsonDocument.Parse(json);
        return document.RootElement.ValueKind != JsonValueKind.Object
            ? []
            : document.RootElement.EnumerateObject().ToDictionary(
                header => header.Name,
                header => header.Value.ValueKind == JsonValueKind.String ? header.Value.GetString()! : header.Value.GetRawText(),
                StringComparer.OrdinalIgnoreCase);
    }

    private static PlainSecret? Secret(NpgsqlDataReader reader, SecretBox box, string column, int value, int keyId)
    {
        if (reader.IsDBNull(value))
        {
            return null;
        }

        var (plain, problem) = box.Decrypt(SecretPlace.OfConfig(reader.GetInt32(0), column), Text(reader, keyId), reader.GetString(value));
        return new(plain, problem);
    }

    private static string? Text(NpgsqlDataReader reader, int ordinal) => reader.IsDBNull(ordinal) ? null : reader.GetString(ordinal);
}
