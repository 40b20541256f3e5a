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

    /// <summary>The row of <c>rule_webhook_calls</c>, when there is one.</summary>
    public long? CallId { get; init; }
}

/// <summary>One HTTP attempt as it went.</summary>
internal sealed record Attempt(int WebhookId, int Number, DateTimeOffset StartedAt, TimeSpan Duration, DeliveryOutcome Outcome)
{
    /// <summary>What was read of the answer's body, as text.</summary>
    public string? ResponseBody { get; init; }

    public string? ResponseContentType { get; init; }
}
