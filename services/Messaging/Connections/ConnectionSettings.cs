using Microsoft.Extensions.Logging;
using NATS.Client.Core;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Messaging;

/// <summary>
/// How the connections of one configuration are made: configuration row, connection string and credentials in, driver options out. Two that are equal
/// make the same connections, so a pool is replaced only when they differ.
/// </summary>
internal sealed record ConnectionSettings(string Url)
{
    private static readonly TimeSpan FirstReconnect = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LeastReconnect = TimeSpan.FromMilliseconds(10);

    public string AuthType { get; init; } = "none";

    public string? Token { get; init; }

    public string? CredentialsFile { get; init; }

    public string? NkeySeed { get; init; }

    /// <summary>Why the row's own secret cannot be used, or null.</summary>
    public string? Problem { get; init; }

    public string? Username { get; init; }

    public string? Password { get; init; }

    public bool Tls { get; init; }

    public string? TlsCertFile { get; init; }

    public string? TlsKeyFile { get; init; }

    public string? TlsCaFile { get; init; }

    /// <summary>Takes any certificate of the server.</summary>
    public bool TlsInsecure { get; init; }

    public int MaxConnections { get; init; } = 10;

    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(5);

    public TimeSpan ReconnectDelay { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Attempts in a row before a connection is given up; -1 for no limit.</summary>
    public int MaxReconnectAttempts { get; init; } = -1;

    /// <param name="name">Name of the configuration.</param>
    /// <param name="config">Its row, if it has been read.</param>
    /// <param name="connectionString"><c>ConnectionStrings:nats</c>; takes the place of the row's URL for the configuration "default" alone.</param>
    /// <param name="credentials">What the service's own configuration has for it; takes the place of what the row has.</param>
    public static ConnectionSettings Of(string name, NatsConfig? config, string? connectionString, NatsCredentials? credentials)
    {
        var settings = new ConnectionSettings(UrlOf(name, config, connectionString)) { Username = credentials?.Username, Password = credentials?.Password };
        return config is null ? settings : settings with
        {
            AuthType = config.AuthType,
            Token = credentials?.Token ?? config.AuthToken?.Value,
            CredentialsFile = credentials?.CredentialsFile ?? config.CredentialsFile,
            NkeySeed = credentials?.NkeySeed ?? config.NkeySeed?.Value,
            Problem = config.AuthType switch
            {
                "token" when credentials?.Token is null => config.AuthToken?.Problem,
                "nkey" when credentials?.NkeySeed is null => config.NkeySeed?.Problem,
                _ => null,
            },
            Tls = config.TlsEnabled,
            TlsCertFile = config.TlsCertFile,
            TlsKeyFile = config.TlsKeyFile,
            TlsCaFile = config.TlsCaFile,
            MaxConnections = config.MaxConnections,
            ConnectTimeout = config.ConnectTimeout,
            ReconnectDelay = config.ReconnectDelay > LeastReconnect ? config.ReconnectDelay : LeastReconnect,
            MaxReconnectAttempts = config.MaxReconnectAttempts,
        };
    }

    public NatsOpts ToOptions(MessagingOptions messaging, ILoggerFactory loggers)
        => Secure(NatsOpts.Default with
        {
            Url = Url,
            Name = "rule-engine-nats",
            LoggerFactory = loggers,
            ConnectTimeout = ConnectTimeout,
            PingInterval = messaging.PingInterval,
            MaxPingOut = 2,
            RequestTimeout = TimeSpan.FromSeconds(5),
            ReconnectWaitMin = FirstReconnect < ReconnectDelay ? FirstReconnect : ReconnectDelay,
            ReconnectWaitMax = ReconnectDelay,
            ReconnectJitter = ReconnectDelay / 2,
            MaxReconnectRetry = MaxReconnectAttempts,
            // A password that is wrong today may be right after a restart of the server with its new configuration.
            IgnoreAuthErrorAbort = true,
            DrainSubscriptionsOnDispose = true,
            // What is sent after a reconnect is decided by the publish function, which knows each deadline.
            PublishTimeoutOnDisconnected = true,
            CommandTimeout = TimeSpan.FromSeconds(2),
        });

    /// <summary>Adds who we are, and what is asked of the line.</summary>
    public NatsOpts Secure(NatsOpts options) => options with
    {
        AuthOpts = Auth(),
        TlsOpts = Tls
            ? new() { Mode = TlsMode.Require, CaFile = TlsCaFile, CertFile = TlsCertFile, KeyFile = TlsKeyFile, InsecureSkipVerify = TlsInsecure }
            : options.TlsOpts,
    };

    /// <summary>The URL without user and password: the rest is not for logs.</summary>
    public override string ToString() => NatsUrls.Redact(Url);

    private static string UrlOf(string name, NatsConfig? config, string? connectionString)
    {
        if (name == ConnectionNames.DefaultConfig && !string.IsNullOrWhiteSpace(connectionString))
        {
            return connectionString;
        }

        return config is null ? NatsOpts.Default.Url : string.Join(',', [config.Url, .. config.ClusterUrls]);
    }

    private NatsAuthOpts Auth() => AuthType switch
    {
        "token" when Token is not null => new() { Token = Token },
        "credentials" => new() { CredsFile = CredentialsFile },
        "nkey" when NkeySeed is { } seed => new() { AuthCredCallback = (_, _) => ValueTask.FromResult(NatsAuthCred.FromNkey(seed)) },
        _ => new() { Username = Username, Password = Password },
    };
}
