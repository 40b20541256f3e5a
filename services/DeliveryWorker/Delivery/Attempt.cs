using System.Net;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>An event on its way to an endpoint.</summary>
/// <param name="EventId">The <c>webhook-id</c>.</param>
/// <param name="Body">The exact bytes.</param>
internal sealed record OutgoingEvent(string EventId, ReadOnlyMemory<byte> Body)
{
    public string? Subject { get; init; }

    public string? TraceParent { get; init; }

    /// <summary>Headers of the event, CloudEvents attributes first of all, that go with every attempt.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; } = [];

    /// <summary>Where it lies in JetStream; null for a call of the queue.</summary>
    public string? Stream { get; init; }

    public long? StreamSequence { get; init; }

    /// <summary>Why the body, which should be in the Object Store, cannot be had; null when it is here. Nothing is sent then.</summary>
    public string? BodyMissing { get; init; }

    /// <summary>The row of <c>rule_webhook_calls</c>, when there is one.</summary>
    public long? CallId { get; init; }
}

/// <summary>One HTTP attempt as it went.</summary>
internal sealed record Attempt(int Number, DateTimeOffset StartedAt, TimeSpan Duration, DeliveryOutcome Outcome)
{
    /// <summary>What was read of the answer's body, as text.</summary>
    public string? ResponseBody { get; init; }

    /// <summary>Those of the answer's headers that the webhook keeps; null without any.</summary>
    public Dictionary<string, string>? ResponseHeaders { get; init; }

    /// <summary>Where it went and how long each part took; null when nothing was sent.</summary>
    public ExchangeTrace? Trace { get; init; }

    /// <summary>Whether the share of failures at its endpoint has reached the breaker's limit with it.</summary>
    public bool Trips { get; init; }

    /// <summary>The record of an event that an endpoint does not get because it is off.</summary>
    public static Attempt Cancelled(string reason, DateTimeOffset at) => new(1, at, TimeSpan.Zero, new DeliveryOutcome.Cancelled(reason));
}

/// <summary>What the connection of one request tells about it.</summary>
internal sealed class ExchangeTrace
{
    public static readonly HttpRequestOptionsKey<ExchangeTrace> Key = new("rule.exchange");

    // A connection of the pool does not know which request it serves; its writes come from the request's own flow.
    private static readonly AsyncLocal<ExchangeTrace?> Flow = new();

    /// <summary>Of the request that is being sent by the calling flow.</summary>
    public static ExchangeTrace? Current
    {
        get => Flow.Value;
        set => Flow.Value = value;
    }

    public EndPoint? Remote { get; set; }

    /// <summary>Name resolution and TCP; null on a connection that was open already.</summary>
    public TimeSpan? Connect { get; set; }

    public TimeSpan? Tls { get; set; }

    /// <summary>From the start to the answer's headers.</summary>
    public TimeSpan? FirstByte { get; set; }

    /// <summary>When the connection that was made for this request was there.</summary>
    public long ConnectedAt { get; set; }
}
