using RuleEngineNats.DeliveryWorker.Delivery;

namespace RuleEngineNats.DeliveryWorker.Queue;

/// <summary>
/// When a failed attempt is repeated: the webhook's own pauses (<c>rule_webhook_retry_delays</c>), varied, and never sooner than the receiver asked for.
/// <code>
/// Standard Webhooks  attempt        1    2      3       4    5    6     7     8     9     10
///                    next after   5 s  5 min  30 min  2 h  5 h  10 h  14 h  20 h  24 h  none: dead letter
/// </code>
/// </summary>
internal static class RetrySchedule
{
    /// <summary>The longest wait that a receiver can ask for.</summary>
    public static readonly TimeSpan MaxRetryAfter = TimeSpan.FromHours(24);

    /// <summary>A fifth up or down: retries of one outage spread.</summary>
    private const double JitterShare = 0.2;

    /// <param name="delays">The pause before each repeat.</param>
    /// <param name="retryCount">Retries scheduled so far.</param>
    /// <param name="outcome">What the attempt came to.</param>
    /// <param name="throttled">The shortest pause after an answer that says the receiver is overloaded.</param>
    /// <param name="jitter">A random number in [0, 1).</param>
    /// <returns>Time until the next attempt, or null when there is none.</returns>
    public static TimeSpan? Next(IReadOnlyList<TimeSpan> delays, int retryCount, DeliveryOutcome outcome, TimeSpan throttled, double jitter)
    {
        if (retryCount >= delays.Count)
        {
            return null;
        }

        var delay = delays[retryCount] * (1 - JitterShare + (2 * JitterShare * jitter));
        if (outcome.Status is 429 or 502 or 503 or 504)
        {
            delay = Later(delay, throttled, jitter);
        }

        return outcome.RetryAfter is { } asked ? Later(delay, asked < MaxRetryAfter ? asked : MaxRetryAfter, jitter) : delay;
    }

    // Not sooner than that, and not all at that moment.
    private static TimeSpan Later(TimeSpan delay, TimeSpan least, double jitter) => delay >= least ? delay : least * (1 + (JitterShare * jitter));
}
