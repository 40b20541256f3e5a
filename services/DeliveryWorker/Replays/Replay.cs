namespace RuleEngineNats.DeliveryWorker.Replays;

/// <summary>A row of <c>rule_webhook_replays</c> that this worker holds.</summary>
/// <param name="Id"><c>replay_id</c>.</param>
/// <param name="WebhookId"><c>webhook_id</c>.</param>
/// <param name="Config">The NATS configuration.</param>
/// <param name="Stream">The stream that is being read now.</param>
internal sealed record Replay(long Id, int WebhookId, string Config, string Stream)
{
    /// <summary>Stored at this time or later.</summary>
    public DateTimeOffset? FromTime { get; init; }

    /// <summary>Stored before.</summary>
    public DateTimeOffset? ToTime { get; init; }

    public ulong? FromSequence { get; init; }

    public ulong? ToSequence { get; init; }

    /// <summary>Last outcomes at the webhook; null for all.</summary>
    public IReadOnlyList<string>? Status { get; init; }

    public bool DryRun { get; init; }

    /// <summary>Events a second; null for no limit.</summary>
    public double? Rate { get; init; }

    /// <summary>Where to go on; null before the stream was begun.</summary>
    public ulong? Next { get; init; }

    /// <summary>The last sequence to look at.</summary>
    public ulong End { get; init; }
}
