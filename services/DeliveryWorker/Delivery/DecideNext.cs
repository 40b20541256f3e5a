using RuleEngineNats.DeliveryWorker.Queue;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>What follows an attempt.</summary>
internal static class DecideNext
{
    /// <param name="endpoint">Where it went.</param>
    /// <param name="outcome">What it came to.</param>
    /// <param name="retryCount">Retries of the leased call so far; null when the attempt was the first of an event from a stream.</param>
    /// <param name="ordered">Whether later calls of its key wait for this one.</param>
    /// <param name="throttled">The shortest pause after an answer that says the receiver is overloaded.</param>
    /// <param name="jitter">A random number in [0, 1).</param>
    public static CallChange After(Endpoint endpoint, DeliveryOutcome outcome, int? retryCount, bool ordered, TimeSpan throttled, double jitter)
    {
        if (outcome.Error is not { } error)
        {
            return retryCount is null ? CallChange.None : new CallChange.Succeed();
        }

        // An ordered call that is parked has one attempt.
        var parked = ordered && endpoint.Delivery.OrderOnFailure == "park";
        var delay = outcome.IsFinal || parked ? null : RetrySchedule.Next(endpoint.RetryDelays, retryCount ?? 0, outcome, throttled, jitter);
        // The same words as rule_webhook_retry uses, and the real error after them.
        var reason = outcome.IsFinal || delay is not null ? error
            : parked ? "Parked: " + error
            : endpoint.RetriesEnabled ? "Max retries exceeded: " + error
            : "Retries are disabled: " + error;
        return retryCount is null
            ? new CallChange.Open(delay, reason)
            : new CallChange.Fail(delay, reason, LeavesOrder: ordered && endpoint.Delivery.OrderOnFailure != "block");
    }
}
