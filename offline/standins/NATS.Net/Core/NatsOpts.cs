using System.Text;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using NATS.Client.Core.Internal;

namespace NATS.Client.Core;

public enum NatsRequestReplyMode
{
    SharedInbox,
    Direct,
}

/// <summary>Everything that a connection can be told.</summary>
public sealed record NatsOpts
{
    public static readonly NatsOpts Default = new()
    {
        WebSocketOpts = NatsWebSocketOpts.Default,
        TlsOpts = NatsTlsOpts.Default,
        AuthOpts = NatsAuthOpts.Default,
    };

    public string Url { get; init; } = "nats://localhost:4222";

    public string Name { get; init; } = "NATS .NET Client";

    public bool Echo { get; init; } = true;

    public bool Verbose { get; init; }

    public bool Headers { get; init; } = true;

    public NatsAuthOpts AuthOpts { get; init; } = new();

    public NatsTlsOpts TlsOpts { get; init; } = new();

    public NatsWebSocketOpts WebSocketOpts { get; init; } = new();

    public INatsSerializerRegistry SerializerRegistry { get; init; } = NatsDefaultSerializerRegistry.Default;

    public ILoggerFactory LoggerFactory { get; init; } = NullLoggerFactory.Instance;

    public int WriterBufferSize { get; init; } = 65536;

    public int ReaderBufferSize { get; init; } = 65536;

    public int MaxPayloadHardCap { get; init; } = 64 * 1024 * 1024;

    public bool UseThreadPoolCallback { get; init; }

    public string InboxPrefix { get; init; } = "_INBOX";

    public bool NoRandomize { get; init; }

    public TimeSpan PingInterval { get; init; } = TimeSpan.FromMinutes(2);

    public int MaxPingOut { get; init; } = 2;

    public TimeSpan ReconnectWaitMin { get; init; } = TimeSpan.FromSeconds(2);

    public TimeSpan ReconnectJitter { get; init; } = TimeSpan.FromMilliseconds(100);

    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(2);

    public int ObjectPoolSize { get; init; } = 256;

    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(5);

    public TimeSpan CommandTimeout { get; init; } = TimeSpan.FromSeconds(5);

    public TimeSpan SubscriptionCleanUpInterval { get; init; } = TimeSpan.FromMinutes(5);

    public Encoding HeaderEncoding { get; init; } = Encoding.ASCII;

    public Encoding SubjectEncoding { get; init; } = Encoding.UTF8;

    public bool WaitUntilSent { get; init; }

    public bool DrainSubscriptionsOnDispose { get; init; }

    public TimeSpan? ConsumerDrainOnDisposeTimeout { get; init; }

    public TimeSpan DrainPingTimeout { get; init; } = TimeSpan.FromSeconds(5);

    public int MaxReconnectRetry { get; init; } = -1;

    public TimeSpan ReconnectWaitMax { get; init; } = TimeSpan.FromSeconds(5);

    public bool IgnoreAuthErrorAbort { get; init; }

    public int SubPendingChannelCapacity { get; init; } = 1024;

    public BoundedChannelFullMode SubPendingChannelFullMode { get; init; } = BoundedChannelFullMode.DropNewest;

    public NatsRequestReplyMode RequestReplyMode { get; init; } = NatsRequestReplyMode.SharedInbox;

    public INatsSocketConnectionFactory? SocketConnectionFactory { get; init; }

    public bool RetryOnInitialConnect { get; init; }

    public bool PublishTimeoutOnDisconnected { get; init; }

    public bool SkipSubjectValidation { get; init; }

    public bool SuppressSlowConsumerWarnings { get; init; }

    internal ServerUri[] SeedUris()
    {
        var seeds = Url.Split(',').Select(u => new ServerUri(u.Trim(), isSeed: true)).Distinct().ToArray();
        if (!NoRandomize)
        {
            Random.Shared.Shuffle(seeds);
        }

        return seeds;
    }

    /// <summary>Credentials in the first URL count unless the options carry their own.</summary>
    internal NatsOpts WithUrlCredentials()
    {
        if (AuthOpts.Username is { Length: > 0 } || AuthOpts.Password is { Length: > 0 } || AuthOpts.Token is { Length: > 0 })
        {
            return this;
        }

        var user = new UriBuilder(new ServerUri(Url.Split(',')[0].Trim(), isSeed: true).Uri);
        if (user.UserName.Length == 0)
        {
            return this;
        }

        return user.Password.Length > 0
            ? this with { AuthOpts = AuthOpts with { Username = Uri.UnescapeDataString(user.UserName), Password = Uri.UnescapeDataString(user.Password) } }
            : this with { AuthOpts = AuthOpts with { Token = Uri.UnescapeDataString(user.UserName) } };
    }
}

public static class NatsOptsExtensions
{
    /// <summary>Waits exponentially longer with each iteration, at most ReconnectWaitMax.</summary>
    public static Task BackoffWithJitterAsync(this NatsOpts opts, int iter, CancellationToken cancellationToken = default)
    {
        var doubled = opts.ReconnectWaitMin.TotalMilliseconds * Math.Pow(2, Math.Clamp(iter, 1, 31) - 1);
        var jitter = opts.ReconnectJitter.TotalMilliseconds * Random.Shared.NextDouble();
        return Task.Delay(TimeSpan.FromMilliseconds(Math.Min(doubled + jitter, opts.ReconnectWaitMax.TotalMilliseconds)), cancellationToken);
    }
}

public record NatsPubOpts
{
    [Obsolete("No longer has any effect")]
    public bool? WaitUntilSent { get; init; }

    [Obsolete("All errors are now thrown as exceptions in PublishAsync")]
    public Action<Exception>? ErrorHandler { get; init; }
}

public record NatsSubOpts
{
    public int? MaxMsgs { get; init; }

    public TimeSpan? Timeout { get; init; }

    public TimeSpan? StartUpTimeout { get; init; }

    public TimeSpan? IdleTimeout { get; init; }

    public bool? StopOnEmptyMsg { get; init; }

    public bool? ThrowIfNoResponders { get; init; }

    public NatsSubChannelOpts? ChannelOpts { get; init; }
}

public record NatsSubChannelOpts
{
    public BoundedChannelFullMode? FullMode { get; init; }

    public int? Capacity { get; init; }
}
