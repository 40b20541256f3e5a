namespace NATS.Client.Core;

public delegate ValueTask AsyncEventHandler(object? sender, EventArgs args);

public delegate ValueTask AsyncEventHandler<in TEventArgs>(object? sender, TEventArgs args);

public enum NatsServerErrorKind
{
    Unknown = 0,
    AuthorizationViolation,
    AuthenticationExpired,
    AuthenticationRevoked,
    AccountAuthenticationExpired,
    PermissionsViolation,
    StaleConnection,
    MaximumConnectionsExceeded,
    MaximumAccountConnectionsExceeded,
    MaximumSubscriptionsExceeded,
}

public class NatsEventArgs : EventArgs
{
    public NatsEventArgs(string message) => Message = message;

    public string Message { get; }
}

public class NatsMessageDroppedEventArgs : NatsEventArgs
{
    public NatsMessageDroppedEventArgs(NatsSubBase subscription, int pending, string subject, string? replyTo, NatsHeaders? headers, object? data)
        : base($"Dropped message from {subject} with {pending} pending messages")
    {
        Subscription = subscription;
        Pending = pending;
        Subject = subject;
        ReplyTo = replyTo;
        Headers = headers;
        Data = data;
    }

    public NatsSubBase Subscription { get; }

    public int Pending { get; }

    public string Subject { get; }

    public string? ReplyTo { get; }

    public NatsHeaders? Headers { get; }

    public object? Data { get; }
}

public class NatsLameDuckModeActivatedEventArgs : NatsEventArgs
{
    public NatsLameDuckModeActivatedEventArgs(Uri uri)
        : base("Lame duck mode activated") => Uri = uri;

    public Uri Uri { get; }
}

public class NatsSlowConsumerEventArgs : NatsEventArgs
{
    public NatsSlowConsumerEventArgs(NatsSubBase subscription)
        : base($"Slow consumer detected on subscription {subscription.Subject}") => Subscription = subscription;

    public NatsSubBase Subscription { get; }
}

public class NatsServerErrorEventArgs : NatsEventArgs
{
    // The texts are the server's own (server/errors.go, server/client.go); what is not here stays Unknown.
    private static readonly (string Prefix, NatsServerErrorKind Kind)[] Kinds =
    [
        ("Permissions Violation", NatsServerErrorKind.PermissionsViolation),
        ("Authorization Violation", NatsServerErrorKind.AuthorizationViolation),
        ("User Authentication Expired", NatsServerErrorKind.AuthenticationExpired),
        ("User Authentication Revoked", NatsServerErrorKind.AuthenticationRevoked),
        ("Account Authentication Expired", NatsServerErrorKind.AccountAuthenticationExpired),
        ("Stale Connection", NatsServerErrorKind.StaleConnection),
        ("Maximum Subscriptions", NatsServerErrorKind.MaximumSubscriptionsExceeded),
        ("Maximum Account Active Connections", NatsServerErrorKind.MaximumAccountConnectionsExceeded),
        ("Maximum Connections", NatsServerErrorKind.MaximumConnectionsExceeded),
    ];

    public NatsServerErrorEventArgs(string error)
        : base($"Server error {error}")
    {
        Error = error;
        Kind = Array.Find(Kinds, k => error?.StartsWith(k.Prefix, StringComparison.Ordinal) == true).Kind;
    }

    public string Error { get; }

    public NatsServerErrorKind Kind { get; }
}
