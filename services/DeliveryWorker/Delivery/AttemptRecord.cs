namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>What goes into PostgreSQL about an event and an endpoint: a row of history for an attempt, and what changes in <c>rule_webhook_calls</c>.</summary>
/// <param name="WebhookId">The endpoint.</param>
/// <param name="Event">The event.</param>
/// <param name="Attempt">The attempt; null when none was made.</param>
/// <param name="Change">What becomes of its call.</param>
internal sealed record AttemptRecord(int WebhookId, OutgoingEvent Event, Attempt? Attempt, CallChange Change);

/// <summary>What happens to the queue; a closed set.</summary>
internal abstract record CallChange
{
    private CallChange()
    {
    }

    /// <summary>A first attempt from a stream that was delivered, or an endpoint that is off: there is no call.</summary>
    public static CallChange None { get; } = new Nothing();

    public sealed record Nothing : CallChange;

    /// <summary>The endpoint cannot take it now, or takes events in order: a call is made, due at once and not tried yet.</summary>
    /// <param name="OrderKey">The key whose calls go one after the other; null without order.</param>
    public sealed record Spill(string? OrderKey = null) : CallChange;

    /// <summary>A first attempt from a stream that failed: a call is made, due after <paramref name="RetryIn"/>, or failed at once.</summary>
    public sealed record Open(TimeSpan? RetryIn, string Error) : CallChange;

    /// <summary>The attempt of a leased call that was delivered.</summary>
    public sealed record Succeed : CallChange;

    /// <summary>The attempt of a leased call that failed: due again after <paramref name="RetryIn"/>, or failed for good.</summary>
    /// <param name="RetryIn">When it is due again.</param>
    /// <param name="Error">Why it failed.</param>
    /// <param name="LeavesOrder">Whether the later calls of its key no longer wait for it.</param>
    public sealed record Fail(TimeSpan? RetryIn, string Error, bool LeavesOrder = false) : CallChange;
}
