using System.ComponentModel.DataAnnotations;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Messaging;

/// <summary>Settings of everything in this assembly; configuration section <c>Messaging</c>.</summary>
public sealed class MessagingOptions
{
    /// <summary>Name of the configuration section.</summary>
    public const string Section = "Messaging";

    /// <summary>
    /// Largest body in bytes of an event that PublishService takes. Default 16 MiB, at most 64 MiB; above it a request is RESOURCE_EXHAUSTED. What is above 496 KiB, or
    /// the server's <c>max_payload</c> less 16 KiB, travels through the Object Store. Each call at work holds its body: with a higher limit allow fewer
    /// (<c>Publish:ConcurrentCalls</c>, <c>Publish:ConcurrentStreams</c>). SQL publishes have the limit of 64 MiB alone.
    /// </summary>
    [Range(1024, PayloadRules.MaxBytes)]
    public int MaxBodyBytes { get; set; } = PayloadRules.DefaultMaxBytes;

    /// <summary>
    /// Bodies above 496 KiB that this process has in hand at once: being put into the Object Store or read from it and handed on, and beside these as many that wait for
    /// their history row. Default 4, so up to 512 MiB when all of them are 64 MiB; further ones wait. At most 6: a worker may have to leave all of them to the queue in one
    /// statement, which takes each twice, and PostgreSQL takes less than 1 GiB.
    /// </summary>
    [Range(1, 6)]
    public int LargePayloads { get; set; } = 4;

    /// <summary>Time for putting a body into the Object Store or reading it from there, its turn awaited. Default 30 s: 64 MiB on a line of 20 Mbit/s. After it the event counts as not stored, or comes again.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:10:00")]
    public TimeSpan ObjectTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Connections opened at start. Default 2: one multiplexed connection is enough for the rate of one core, the second carries on when it breaks.</summary>
    [Range(1, 64)]
    public int InitialConnections { get; set; } = 2;

    /// <summary>Publishes in flight per connection before another connection is opened. Default 1,024. Lower opens connections sooner without a gain below saturation.</summary>
    [Range(1, 100_000)]
    public int GrowAtInFlight { get; set; } = 1024;

    /// <summary>Most publishes waiting for their acknowledgement per connection. Default 8,192; further ones wait their turn. Bounds memory when the server stalls.</summary>
    [Range(16, 60_000)]
    public int MaxInFlightPerConnection { get; set; } = 8192;

    /// <summary>Time for a publish with all its attempts where the caller gives none. Default 5 s. When it ends the outcome is unavailable, and unknown if an attempt went unanswered.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:01:00")]
    public TimeSpan PublishBudget { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Time an attempt waits for its acknowledgement before the same id is sent again. Default 2.5 s: a second attempt fits into the default budget.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:01:00")]
    public TimeSpan AckTimeout { get; set; } = TimeSpan.FromSeconds(2.5);

    /// <summary>How often a PING checks a connection. Default 5 s; two unanswered ones make it reconnect, so a half-open link is noticed within 15 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:02:00")]
    public TimeSpan PingInterval { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Rows held for the history while PostgreSQL does not answer. Default 100,000 (about 100 MB at 1 KiB); beyond it publishing waits, so no row is dropped.</summary>
    [Range(1000, 10_000_000)]
    public int HistoryCapacity { get; set; } = 100_000;

    /// <summary>Longest time a history row waits for company before its batch is written. Default 50 ms.</summary>
    [Range(typeof(TimeSpan), "00:00:00.001", "00:00:05")]
    public TimeSpan HistoryDelay { get; set; } = TimeSpan.FromMilliseconds(50);

    /// <summary>Rows per COPY. Default 500.</summary>
    [Range(1, 10_000)]
    public int HistoryBatch { get; set; } = 500;

    /// <summary>How often the configuration is read again without a notification. Default 30 s: the longest time a missed notification stays unnoticed.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan ConfigRefresh { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Whether webhooks' signing secrets are part of the configuration snapshot. Default false: only the delivery worker needs them and may read them.</summary>
    public bool ReadWebhookSecrets { get; set; }

    /// <summary>Credentials per NATS configuration (<c>rule_nats_config.config_name</c>), for the auth type its row names. They take the place of what the row itself has.</summary>
    public Dictionary<string, NatsCredentials> Credentials { get; } = new(StringComparer.Ordinal);
}

/// <summary>Credentials for one NATS configuration. User and password usually come with the connection string instead.</summary>
public sealed class NatsCredentials
{
    /// <summary>For auth type <c>token</c>.</summary>
    public string? Token { get; set; }

    /// <summary>For auth type <c>credentials</c>: path of a .creds file; overrides <c>auth_credentials_file</c>.</summary>
    public string? CredentialsFile { get; set; }

    /// <summary>For auth type <c>nkey</c>: the seed.</summary>
    public string? NkeySeed { get; set; }

    /// <summary>User name; takes the place of the one in the URL.</summary>
    public string? Username { get; set; }

    /// <summary>Password of <see cref="Username"/>.</summary>
    public string? Password { get; set; }
}
