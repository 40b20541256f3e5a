using System.Diagnostics;
using System.Runtime.CompilerServices;
using NATS.Client.Core.Internal;

namespace NATS.Client.Core;

public readonly record struct NatsInstrumentationContext(
    string Subject,
    NatsHeaders? Headers,
    string? ReplyTo,
    string? QueueGroup,
    long? BodySize,
    long? Size,
    INatsConnection? Connection,
    ActivityContext ParentContext);

/// <summary>Which operations get a span, and what is added to it.</summary>
public sealed class NatsInstrumentationOptions
{
    public static NatsInstrumentationOptions Default { get; } = new();

    public Func<NatsInstrumentationContext, bool>? Filter { get; set; }

    public Action<Activity, NatsInstrumentationContext>? Enrich { get; set; }
}

public static class NatsMsgTelemetryExtensions
{
    /// <summary>A span for the work on this message, below the span of its reception.</summary>
    public static Activity? StartActivity<T>(this in NatsMsg<T> msg, [CallerMemberName] string name = "", IEnumerable<KeyValuePair<string, object?>>? tags = null) =>
        Telemetry.HasListeners() ? Telemetry.Source.StartActivity(name, ActivityKind.Internal, msg.Headers.GetActivityContext(), tags) : null;

    public static ActivityContext GetActivityContext(this NatsHeaders? headers) => headers?.Activity?.Context ?? default;
}
