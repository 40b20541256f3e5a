using System.Diagnostics;

namespace NATS.Client.Core.Internal;

/// <summary>Spans named after the OpenTelemetry messaging conventions, on the source <c>NATS.Net</c>.</summary>
internal static class Telemetry
{
    public static readonly ActivitySource Source = new("NATS.Net");

    public static bool HasListeners() => Source.HasListeners();

    public static Activity? StartSend(NatsConnection connection, string operation, string subject, string? replyTo)
    {
        if (!Source.HasListeners() || !Wanted(new NatsInstrumentationContext(subject, null, replyTo, null, null, null, connection, default)))
        {
            return null;
        }

        var tags = new List<KeyValuePair<string, object?>>(12)
        {
            new("messaging.system", "nats"),
            new("messaging.operation", "publish"),
            new("messaging.destination.name", subject),
        };
        AddServer(tags, connection);
        if (replyTo is not null)
        {
            tags.Add(new("messaging.nats.message.reply_to", replyTo));
        }

        var activity = Source.StartActivity($"{connection.SpanDestination(subject)} {operation}", ActivityKind.Producer, default(ActivityContext), tags);
        Enrich(activity, new NatsInstrumentationContext(subject, null, replyTo, null, null, null, connection, default));
        return activity;
    }

    /// <summary>Writes traceparent and its companions, also over what an earlier publish wrote.</summary>
    public static void Inject(Activity? activity, ref NatsHeaders? headers)
    {
        if (activity is null)
        {
            return;
        }

        headers ??= [];
        DistributedContextPropagator.Current.Inject(activity, headers, static (carrier, name, value) => ((NatsHeaders)carrier!).SetOverrideReadOnly(name, value));
    }

    public static Activity? StartReceive(INatsConnection? connection, string subject, string? replyTo, long bodySize, long size, NatsHeaders headers)
    {
        var parent = Extract(headers);
        var context = new NatsInstrumentationContext(subject, headers, replyTo, null, bodySize, size, connection, parent);
        if (!Wanted(context))
        {
            return null;
        }

        var own = connection as NatsConnection;
        var tags = new List<KeyValuePair<string, object?>>(18)
        {
            new("messaging.system", "nats"),
            new("messaging.operation", "receive"),
            new("messaging.destination.template", subject),
            new("messaging.nats.message.subject", subject),
            new("messaging.destination.name", subject),
            new("messaging.destination_publish.name", subject),
            new("messaging.message.body.size", bodySize.ToString()),
            new("messaging.message.envelope.size", size.ToString()),
        };
        if (own is not null)
        {
            tags.Add(new("messaging.destination.temporary", subject.StartsWith(own.InboxPrefix, StringComparison.Ordinal) ? "true" : "false"));
            AddServer(tags, own);
        }

        if (replyTo is not null)
        {
            tags.Add(new("messaging.nats.message.reply_to", replyTo));
        }

        // The read loop serves every subscription: its own current activity must be neither parent nor left behind.
        var before = Activity.Current;
        Activity.Current = null;
        try
        {
            var activity = Source.StartActivity(own is null ? "receive" : $"{own.SpanDestination(subject)} receive", ActivityKind.Consumer, parent, tags);
            Enrich(activity, context);
            return activity;
        }
        finally
        {
            Activity.Current = before;
        }
    }

    public static void SetException(Activity? activity, Exception exception)
    {
        if (activity is null)
        {
            return;
        }

        activity.AddEvent(new ActivityEvent("exception", tags: new ActivityTagsCollection
        {
            ["exception.escaped"] = true,
            ["exception.type"] = exception.GetType().FullName,
            ["exception.message"] = exception.Message,
            ["exception.stacktrace"] = exception.StackTrace ?? string.Empty,
        }));
        activity.SetStatus(ActivityStatusCode.Error, exception.Message);
    }

    private static ActivityContext Extract(NatsHeaders headers)
    {
        DistributedContextPropagator.Current.ExtractTraceIdAndState(
            headers,
            static (object? carrier, string name, out string? value, out IEnumerable<string>? values) =>
            {
                value = null;
                values = null;
                if (((NatsHeaders)carrier!).TryGetValue(name, out var found))
                {
                    if (found.Count == 1)
                    {
                        value = found[0];
                    }
                    else
                    {
                        values = found!;
                    }
                }
            },
            out var traceParent,
            out var traceState);
        return ActivityContext.TryParse(traceParent, traceState, isRemote: true, out var context) ? context : default;
    }

    private static bool Wanted(in NatsInstrumentationContext context) => NatsInstrumentationOptions.Default.Filter?.Invoke(context) ?? true;

    private static void Enrich(Activity? activity, in NatsInstrumentationContext context)
    {
        if (activity is not null)
        {
            NatsInstrumentationOptions.Default.Enrich?.Invoke(activity, context);
        }
    }

    private static void AddServer(List<KeyValuePair<string, object?>> tags, NatsConnection connection)
    {
        if (connection.ServerInfo is not { } server)
        {
            return;
        }

        var port = server.Port.ToString();
        tags.Add(new("messaging.client_id", server.ClientId.ToString()));
        tags.Add(new("server.address", server.Host));
        tags.Add(new("server.port", port));
        tags.Add(new("network.protocol.name", "nats"));
        tags.Add(new("network.transport", "tcp"));
        tags.Add(new("network.peer.address", server.Host));
        tags.Add(new("network.peer.port", port));
        tags.Add(new("network.local.address", server.ClientIp));
    }
}
