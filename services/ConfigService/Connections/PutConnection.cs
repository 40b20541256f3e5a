using System.Text.RegularExpressions;
using Npgsql;
using RuleEngineNats.ConfigService.Streams;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Connections;

internal static partial class PutConnection
{
    /// <summary>A NATS connection; url is required, everything else has a default.</summary>
    internal sealed class Request
    {
        /// <summary>nats:// or tls://, without user information.</summary>
        public string? Url { get; set; }

        /// <summary>Further servers of the cluster; at most 16.</summary>
        public string[]? ClusterUrls { get; set; }

        /// <summary>none, token, credentials or nkey; none by default.</summary>
        public string? AuthType { get; set; }

        /// <summary>Path of a .creds file on the services' machines.</summary>
        public string? CredentialsFile { get; set; }

        /// <summary>Whether the connection must be TLS; false by default.</summary>
        public bool? TlsEnabled { get; set; }

        /// <summary>Path of the client certificate.</summary>
        public string? TlsCertFile { get; set; }

        /// <summary>Path of its key.</summary>
        public string? TlsKeyFile { get; set; }

        /// <summary>Path of the authority's certificate.</summary>
        public string? TlsCaFile { get; set; }

        /// <summary>Most connections of each service's pool: 1 to 64, 10 by default.</summary>
        public int? MaxConnections { get; set; }

        /// <summary>1 to 60,000 ms, 5,000 by default.</summary>
        public int? ConnectionTimeoutMs { get; set; }

        /// <summary>0 to 60,000 ms, 2,000 by default.</summary>
        public int? ReconnectDelayMs { get; set; }

        /// <summary>-1, the default, for no limit.</summary>
        public int? MaxReconnectAttempts { get; set; }

        /// <summary>True by default; false makes every publish unavailable.</summary>
        public bool? JetStreamEnabled { get; set; }

        /// <summary>The stream of publishes whose subject no stream definition takes; WEBHOOKS by default.</summary>
        public string? StreamName { get; set; }

        /// <summary>First token of default subjects; webhooks by default.</summary>
        public string? SubjectPrefix { get; set; }

        /// <summary>Whether it may be used; true by default.</summary>
        public bool? Enabled { get; set; }
    }

    public static async Task<IResult> HandleAsync(
        string name, HttpRequest request, NpgsqlDataSource rules, EffectiveUrls effective, CancellationToken cancellationToken)
    {
        var body = await RequestBody<Request>.ReadAsync(request, ConfigJson.Default.PutConnectionRequest, cancellationToken);
        Check(name, body.Value, body.Problems);
        if (body.Refusal() is { } refusal)
        {
            return refusal;
        }

        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var existed = await GetConnection.ReadAsync(connection, name, effective, cancellationToken) is not null;
        await ConfigureAsync(connection, name, body.Value, cancellationToken);
        var put = await GetConnection.ReadAsync(connection, name, effective, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return existed ? Results.Ok(put) : Results.Created($"/api/v1/connections/{name}", put);
    }

    private static void Check(string name, Request wanted, FieldProblems problems)
    {
        if (!Name().IsMatch(name))
        {
            problems.Add("invalid_value", "name", "must have 1 to 128 characters of [A-Za-z0-9_.-]", "Choose another name.", 128);
        }

        problems.Required("url", wanted.Url);
        NatsUrlRules.Check("url", wanted.Url, problems);
        if (wanted.ClusterUrls?.Length > 16)
        {
            problems.Add(FieldProblem.TooLarge, "clusterUrls", $"{wanted.ClusterUrls.Length} URLs, at most 16", "Name fewer; the servers tell of each other.", 16);
        }
        else
        {
            for (var index = 0; index < (wanted.ClusterUrls?.Length ?? 0); index++)
            {
                NatsUrlRules.Check($"clusterUrls[{index}]", wanted.ClusterUrls![index] ?? string.Empty, problems);
            }
        }

        problems.OneOf("authType", wanted.AuthType, "none", "token", "credentials", "nkey");
        problems.Text("credentialsFile", wanted.CredentialsFile, 1024);
        problems.Text("tlsCertFile", wanted.TlsCertFile, 1024);
        problems.Text("tlsKeyFile", wanted.TlsKeyFile, 1024);
        problems.Text("tlsCaFile", wanted.TlsCaFile, 1024);
        if (string.IsNullOrEmpty(wanted.TlsCertFile) != string.IsNullOrEmpty(wanted.TlsKeyFile))
        {
            problems.Add("invalid_value", "tlsKeyFile", "tlsCertFile and tlsKeyFile belong together", "Give both or neither.");
        }

        problems.Range("maxConnections", wanted.MaxConnections, 1, 64);
        problems.Range("connectionTimeoutMs", wanted.ConnectionTimeoutMs, 1, 60_000);
        problems.Range("reconnectDelayMs", wanted.ReconnectDelayMs, 0, 60_000);
        problems.Range("maxReconnectAttempts", wanted.MaxReconnectAttempts, -1, int.MaxValue);
        StreamNameRules.Check("streamName", wanted.StreamName, problems);
        problems.Subject("subjectPrefix", wanted.SubjectPrefix, allowWildcards: false);
    }

    // An empty text or array clears what is there, so that a PUT leaves nothing of the row before but its secrets.
    private static async Task ConfigureAsync(NpgsqlConnection connection, string name, Request wanted, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            SELECT rule_nats_configure($1, $2, $3, $4, $5, $6, p_nats_cluster_urls => $7, p_auth_credentials_file => $8, p_tls_enabled => $9, p_tls_cert_file => $10,
                p_tls_key_file => $11, p_tls_ca_file => $12, p_max_connections => $13, p_connection_timeout_ms => $14, p_reconnect_delay_ms => $15,
                p_max_reconnect_attempts => $16, p_enabled => $17)
            """, connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = name });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = wanted.Url! });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = wanted.AuthType ?? "none" });
        command.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = wanted.JetStreamEnabled ?? true });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = wanted.StreamName ?? "WEBHOOKS" });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = wanted.SubjectPrefix ?? "webhooks" });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = wanted.ClusterUrls ?? [] });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = wanted.CredentialsFile ?? string.Empty });
        command.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = wanted.TlsEnabled ?? false });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = wanted.TlsCertFile ?? string.Empty });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = wanted.TlsKeyFile ?? string.Empty });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = wanted.TlsCaFile ?? string.Empty });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = wanted.MaxConnections ?? 10 });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = wanted.ConnectionTimeoutMs ?? 5000 });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = wanted.ReconnectDelayMs ?? 2000 });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = wanted.MaxReconnectAttempts ?? -1 });
        command.Parameters.Add(new NpgsqlParameter<bool> { TypedValue = wanted.Enabled ?? true });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    [GeneratedRegex(@"\A[A-Za-z0-9_.-]{1,128}\z")]
    private static partial Regex Name();
}
