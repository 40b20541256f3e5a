namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>One attempt as it goes into PostgreSQL: always a row of history, and what it changes in <c>rule_webhook_calls</c>.</summary>
internal sealed record AttemptRecord(OutgoingEvent Event, Attempt Attempt, CallChange Change);

/// <summary>What an attempt does to the queue; a closed set.</summary>
internal abstract record CallChange
{
    private CallChange()
    {
    }

    /// <summary>A first attempt from a stream that was delivered: there is no call.</summary>
    public static CallChange None { get; } = new Nothing();

    public sealed record Nothing : CallChange;

    /// <summary>A first attempt from a stream that failed: a call is made, due after <paramref name="RetryIn"/>, or failed at once.</summary>
    public sealed record Open(TimeSpan? RetryIn, string Error) : CallChange;

    /// <summary>The attempt of a leased call that was delivered.</summary>
    public sealed record Succeed : CallChange;

    /// <summary>The attempt of a leased call that failed: due again after <paramref name="RetryIn"/>, or failed for good.</summary>
    public sealed record Fail(TimeSpan? RetryIn, string Error) : CallChange;
}
