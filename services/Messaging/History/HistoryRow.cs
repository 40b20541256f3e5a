namespace RuleEngineNats.Messaging;

/// <summary>A finished publish on its way into <c>rule_nats_publish_history</c>: stored, or refused for good.</summary>
/// <param name="Message">What was published.</param>
/// <param name="Outcome">How it ended; anything but <see cref="PublishOutcome.Unavailable"/>, which is no end.</param>
/// <param name="PublishedAt">When the publish began.</param>
/// <param name="Latency">Publish to acknowledgement.</param>
public sealed record HistoryRow(EventMessage Message, PublishOutcome Outcome, DateTimeOffset PublishedAt, TimeSpan Latency)
{
    /// <summary>The publisher's own message id; null when none was given.</summary>
    public string? MessageId { get; init; }

    /// <summary><c>config_id</c> of the configuration used.</summary>
    public int? ConfigId { get; init; }

    /// <summary>Who published. Default: publish-service.</summary>
    public string TriggeredBy { get; init; } = "publish-service";

    /// <summary>How long the message id is to be remembered in <c>rule_nats_message_keys</c>; null writes no key.</summary>
    public TimeSpan? RememberFor { get; init; }
}
