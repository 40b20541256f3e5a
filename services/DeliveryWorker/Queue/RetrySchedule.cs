namespace RuleEngineNats.DeliveryWorker.Queue;

/// <summary>The columns of a webhook that say how a failed attempt is repeated.</summary>
internal readonly record struct RetryPolicy(bool Enabled, int MaxRetries, TimeSpan Delay, double Multiplier);

/// <summary>
/// The rule of <c>rule_webhook_retry</c>: delay × multiplier^retry_count, counted before the increment. With the defaults (1 s, ×2, 3 retries):
/// <code>
/// attempt        1     2     3     4
/// retry_count    0     1     2     3
/// next after    1 s   2 s   4 s   none: failed
/// </code>
/// </summary>
internal static class RetrySchedule
{
    /// <summary>The longest wait; ten retries of a wide multiplier would otherwise reach years.</summary>
    public static readonly TimeSpan MaxDelay = TimeSpan.FromHours(24);

    /// <summary>Up to a tenth is added, never taken away: retries of one outage spread, and none comes before its time.</summary>
    private const double JitterShare = 0.1;

    /// <param name="policy">The webhook's columns.</param>
    /// <param name="retryCount">Retries scheduled so far.</param>
    /// <param name="jitter">A random number in [0, 1).</param>
    /// <returns>Time until the next attempt, or null when there is none.</returns>
    public static TimeSpan? Next(RetryPolicy policy, int retryCount, double jitter)
    {
        if (!policy.Enabled || retryCount >= policy.MaxRetries)
        {
            return null;
        }

        var seconds = policy.Delay.TotalSeconds * Math.Pow(policy.Multiplier, retryCount) * (1 + (JitterShare * jitter));
        return seconds >= MaxDelay.TotalSeconds ? MaxDelay : TimeSpan.FromSeconds(seconds);
    }
}
