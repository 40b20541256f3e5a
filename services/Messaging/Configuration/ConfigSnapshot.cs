using System.Collections.Frozen;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Messaging;

/// <summary>The configuration tables as they were at one moment, read in one transaction. Immutable.</summary>
public sealed class ConfigSnapshot
{
    /// <summary>Makes a snapshot.</summary>
    public ConfigSnapshot(IEnumerable<WebhookDefinition> webhooks, IEnumerable<NatsConfig> configs, IEnumerable<StreamDefinition> streams)
    {
        Webhooks = [.. webhooks];
        Configs = [.. configs];
        Streams = [.. streams];
        WebhooksById = Webhooks.ToFrozenDictionary(webhook => webhook.Id);
        WebhooksByName = Webhooks.ToFrozenDictionary(webhook => webhook.Name, StringComparer.Ordinal);
        ConfigsById = Configs.ToFrozenDictionary(config => config.Id);
        ConfigsByName = Configs.ToFrozenDictionary(config => config.Name, StringComparer.Ordinal);
    }

    /// <summary>All webhooks, disabled ones too, in the order of their ids.</summary>
    public IReadOnlyList<WebhookDefinition> Webhooks { get; }

    /// <summary>All NATS configurations, disabled ones too.</summary>
    public IReadOnlyList<NatsConfig> Configs { get; }

    /// <summary>All stream definitions, disabled ones too.</summary>
    public IReadOnlyList<StreamDefinition> Streams { get; }

    /// <summary>Webhooks by <c>webhook_id</c>.</summary>
    public FrozenDictionary<int, WebhookDefinition> WebhooksById { get; }

    /// <summary>Webhooks by <c>webhook_name</c>.</summary>
    public FrozenDictionary<string, WebhookDefinition> WebhooksByName { get; }

    /// <summary>Configurations by <c>config_id</c>.</summary>
    public FrozenDictionary<int, NatsConfig> ConfigsById { get; }

    /// <summary>Configurations by <c>config_name</c>.</summary>
    public FrozenDictionary<string, NatsConfig> ConfigsByName { get; }

    /// <summary>Why secrets of these rows cannot be read: each names the key and the secret, never a value.</summary>
    public IEnumerable<string> SecretProblems => Webhooks.SelectMany(webhook => webhook.Secrets, (_, secret) => secret.Problem)
        .Concat(Configs.SelectMany(config => (string?[])[config.AuthToken?.Problem, config.NkeySeed?.Problem]))
        .OfType<string>();

    /// <summary>The configuration of a webhook: the one its row names, or "default". Null when there is no such enabled configuration.</summary>
    public NatsConfig? ConfigOf(WebhookDefinition webhook)
    {
        var config = webhook.ConfigId is { } id ? ConfigsById.GetValueOrDefault(id) : ConfigsByName.GetValueOrDefault(ConnectionNames.DefaultConfig);
        return config is { Enabled: true } ? config : null;
    }

    /// <summary>The enabled stream definition of a configuration that has a subject, or null.</summary>
    public StreamDefinition? StreamFor(int configId, string subject)
    {
        foreach (var stream in Streams)
        {
            if (stream.Enabled && stream.ConfigId == configId && stream.Has(subject))
            {
                return stream;
            }
        }

        return null;
    }

    /// <summary>The stream a publish through a webhook must land in: the definition that has the subject, else the configuration's <c>stream_name</c>.</summary>
    public string ExpectedStream(NatsConfig config, string subject) => StreamFor(config.Id, subject)?.Name ?? config.StreamName;
}

/// <summary>A row of <c>rule_webhooks</c>.</summary>
/// <param name="Id"><c>webhook_id</c>.</param>
/// <param name="Name"><c>webhook_name</c>.</param>
/// <param name="Url">Where deliveries go.</param>
/// <param name="Enabled">Whether it is delivered to and published through.</param>
public sealed record WebhookDefinition(int Id, string Name, string Url, bool Enabled)
{
    /// <summary>HTTP method.</summary>
    public string Method { get; init; } = "POST";

    /// <summary>Headers of every delivery.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; init; } = FrozenDictionary<string, string>.Empty;

    /// <summary>Time for one HTTP attempt.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Whether a failed attempt is repeated.</summary>
    public bool RetryEnabled { get; init; } = true;

    /// <summary>The pauses before each repeat, as <c>rule_webhook_retry_delays</c> has them; empty when there is none, or unless <see cref="MessagingOptions.ReadWebhookSecrets"/>.</summary>
    public IReadOnlyList<TimeSpan> RetryDelays { get; init; } = [];

    /// <summary><c>user</c>, <c>410</c> or <c>failures</c>: who switched it off; null while it is on.</summary>
    public string? DisabledBy { get; init; }

    /// <summary>Whether events can be published through it into NATS.</summary>
    public bool NatsEnabled { get; init; }

    /// <summary>The literal subject of a publish through it.</summary>
    public string? Subject { get; init; }

    /// <summary>Which messages it receives: <c>subject_filter</c>, or <see cref="Subject"/> where that is null.</summary>
    public string? Filter { get; init; }

    /// <summary><c>nats_config_id</c>; null stands for the configuration "default".</summary>
    public int? ConfigId { get; init; }

    /// <summary><c>queue</c>, <c>nats</c> or <c>both</c>.</summary>
    public string PublishMode { get; init; } = "queue";

    /// <summary>How long a message id is remembered; null or zero leaves only the stream's duplicate window.</summary>
    public TimeSpan? DeduplicateFor { get; init; }

    /// <summary>How deliveries to it are made; the defaults unless <see cref="MessagingOptions.ReadWebhookSecrets"/>.</summary>
    public DeliverySettings Delivery { get; init; } = new();

    /// <summary>Signing secrets; empty unless <see cref="MessagingOptions.ReadWebhookSecrets"/>.</summary>
    public IReadOnlyList<WebhookSecret> Secrets { get; init; } = [];
}

/// <summary>A row of <c>rule_webhook_secrets</c>.</summary>
/// <param name="Name"><c>secret_name</c>.</param>
/// <param name="Value">The plain text; empty where <paramref name="Problem"/> says why there is none.</param>
/// <param name="Problem">Why it cannot be read, or null.</param>
/// <param name="ExpiresAt">When a rotated secret ends.</param>
public sealed record WebhookSecret(string Name, string Value, string? Problem, DateTimeOffset? ExpiresAt)
{
    /// <summary>Keeps the secret out of logs.</summary>
    public override string ToString() => $"{nameof(WebhookSecret)} {Name}";
}

/// <summary>A secret of a row, which is in no text that is made of it.</summary>
/// <param name="Value">The plain text; null where <paramref name="Problem"/> says why there is none.</param>
/// <param name="Problem">Why it cannot be read, or null.</param>
public sealed record PlainSecret(string? Value, string? Problem)
{
    /// <summary>Keeps the secret out of logs.</summary>
    public override string ToString() => "***";
}

/// <summary>A row of <c>rule_nats_config</c>.</summary>
/// <param name="Id"><c>config_id</c>.</param>
/// <param name="Name"><c>config_name</c>.</param>
/// <param name="Url"><c>nats_url</c>.</param>
/// <param name="Enabled">Whether it may be used.</param>
public sealed record NatsConfig(int Id, string Name, string Url, bool Enabled)
{
    /// <summary>Further servers of the cluster.</summary>
    public IReadOnlyList<string> ClusterUrls { get; init; } = [];

    /// <summary><c>none</c>, <c>token</c>, <c>credentials</c> or <c>nkey</c>.</summary>
    public string AuthType { get; init; } = "none";

    /// <summary>The token of <see cref="AuthType"/> <c>token</c>.</summary>
    public PlainSecret? AuthToken { get; init; }

    /// <summary>Path of a .creds file.</summary>
    public string? CredentialsFile { get; init; }

    /// <summary>The seed of <see cref="AuthType"/> <c>nkey</c>.</summary>
    public PlainSecret? NkeySeed { get; init; }

    /// <summary>Whether the connection must be TLS.</summary>
    public bool TlsEnabled { get; init; }

    /// <summary>Client certificate, PEM.</summary>
    public string? TlsCertFile { get; init; }

    /// <summary>Key of the client certificate, PEM.</summary>
    public string? TlsKeyFile { get; init; }

    /// <summary>Authority that signed the server's certificate, PEM.</summary>
    public string? TlsCaFile { get; init; }

    /// <summary>Most connections of the pool.</summary>
    public int MaxConnections { get; init; } = 10;

    /// <summary>Time for one attempt to connect.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Longest pause between two attempts to connect; the first follow each other sooner.</summary>
    public TimeSpan ReconnectDelay { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Attempts in a row before a connection is left alone until the configuration is read again; -1 for no limit.</summary>
    public int MaxReconnectAttempts { get; init; } = -1;

    /// <summary>When the row was last changed, which tells its versions apart.</summary>
    public DateTimeOffset? UpdatedAt { get; init; }

    /// <summary>The stream of publishes through webhooks whose subject no stream definition has.</summary>
    public string StreamName { get; init; } = StreamNames.Webhooks;

    /// <summary>First token of default subjects.</summary>
    public string SubjectPrefix { get; init; } = "webhooks";

    /// <summary>False makes every publish unavailable: there is no publishing without acknowledgement.</summary>
    public bool JetStreamEnabled { get; init; } = true;
}

/// <summary>A row of <c>rule_nats_streams</c>.</summary>
/// <param name="Id"><c>stream_id</c>.</param>
/// <param name="ConfigId"><c>config_id</c>.</param>
/// <param name="Name"><c>stream_name</c>.</param>
/// <param name="Subjects">Subject filters.</param>
/// <param name="Enabled">Whether it is to exist.</param>
public sealed record StreamDefinition(int Id, int ConfigId, string Name, IReadOnlyList<string> Subjects, bool Enabled)
{
    /// <summary>For people.</summary>
    public string? Description { get; init; }

    /// <summary><c>file</c> or <c>memory</c>.</summary>
    public string Storage { get; init; } = "file";

    /// <summary>Most messages; −1 for no limit.</summary>
    public long MaxMessages { get; init; } = -1;

    /// <summary>Most bytes; −1 for no limit.</summary>
    public long MaxBytes { get; init; } = -1;

    /// <summary>How long a message is kept; zero for ever.</summary>
    public TimeSpan MaxAge { get; init; } = TimeSpan.FromDays(7);

    /// <summary><c>limits</c>, <c>interest</c> or <c>workqueue</c>.</summary>
    public string Retention { get; init; } = "limits";

    /// <summary><c>old</c> or <c>new</c>: what a full stream drops, its oldest message or the one that comes.</summary>
    public string Discard { get; init; } = "new";

    /// <summary>Copies in a cluster.</summary>
    public int Replicas { get; init; } = 1;

    /// <summary>How long the server remembers message ids.</summary>
    public TimeSpan DuplicateWindow { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Whether the stream takes a subject.</summary>
    public bool Has(string subject)
    {
        foreach (var filter in Subjects)
        {
            if (SubjectFilter.Matches(filter, subject))
            {
                return true;
            }
        }

        return false;
    }
}
