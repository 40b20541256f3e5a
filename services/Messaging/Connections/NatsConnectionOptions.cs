using Microsoft.Extensions.Logging;
using NATS.Client.Core;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Messaging;

/// <summary>Decides how to connect: configuration row, connection string and credentials in, driver options out.</summary>
internal static class NatsConnectionOptions
{
    /// <param name="name">Name of the configuration.</param>
    /// <param name="config">Its row, if it has been read.</param>
    /// <param name="connectionString"><c>ConnectionStrings:nats</c>; takes the place of the row's URL for the configuration "default" alone.</param>
    /// <param name="messaging">Options with the credentials.</param>
    /// <param name="loggers">For the driver.</param>
    public static NatsOpts Create(string name, NatsConfig? config, string? connectionString, MessagingOptions messaging, ILoggerFactory loggers)
    {
        var options = NatsOpts.Default with
        {
            Url = Url(name, config, connectionString),
            Name = "rule-engine-nats",
            LoggerFactory = loggers,
            ConnectTimeout = TimeSpan.FromSeconds(2),
            PingInterval = messaging.PingInterval,
            MaxPingOut = 2,
            RequestTimeout = TimeSpan.FromSeconds(5),
            ReconnectWaitMin = TimeSpan.FromMilliseconds(100),
            ReconnectWaitMax = TimeSpan.FromSeconds(5),
            ReconnectJitter = TimeSpan.FromSeconds(1),
            MaxReconnectRetry = -1,
            // A password that is wrong today may be right after a restart of the server with its new configuration.
            IgnoreAuthErrorAbort = true,
            DrainSubscriptionsOnDispose = true,
            // What is sent after a reconnect is decided by the publish function, which knows each deadline.
            PublishTimeoutOnDisconnected = true,
            CommandTimeout = TimeSpan.FromSeconds(2),
            AuthOpts = Auth(config, messaging.Credentials.GetValueOrDefault(name)),
        };
        return config is { TlsEnabled: true } ? options with { TlsOpts = Tls(config) } : options;
    }

    private static string Url(string name, NatsConfig? config, string? connectionString)
    {
        if (name == ConnectionNames.DefaultConfig && !string.IsNullOrWhiteSpace(connectionString))
        {
            return connectionString;
        }

        return config is null ? NatsOpts.Default.Url : string.Join(',', [config.Url, .. config.ClusterUrls]);
    }

    private static NatsAuthOpts Auth(NatsConfig? config, NatsCredentials? credentials) => config?.AuthType switch
    {
        "token" when credentials?.Token is { } token => new NatsAuthOpts { Token = token },
        "credentials" => new NatsAuthOpts { CredsFile = credentials?.CredentialsFile ?? config.CredentialsFile },
        "nkey" when credentials?.NkeySeed is { } seed => new NatsAuthOpts { AuthCredCallback = (_, _) => ValueTask.FromResult(NatsAuthCred.FromNkey(seed)) },
        _ => new NatsAuthOpts { Username = credentials?.Username, Password = credentials?.Password },
    };

    private static NatsTlsOpts Tls(NatsConfig config) => new()
    {
        Mode = TlsMode.Require,
        CaFile = config.TlsCaFile,
        CertFile = config.TlsCertFile,
        KeyFile = config.TlsKeyFile,
    };
}
