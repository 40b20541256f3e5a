using System.Runtime.Serialization;

namespace RuleEngineNats.Consumers;

/// <summary>
/// When a message comes again whose consumer threw. The pause doubles; with the defaults of <see cref="EventConsumerOptions"/>:
/// <code>
/// delivery       1     2     3     4     5      6     7 to 9    10
/// next after    5 s   10 s  20 s  40 s  80 s  160 s   300 s    none: given up
/// </code>
/// </summary>
/// <param name="Delay">The first pause.</param>
/// <param name="MaxDelay">The longest.</param>
/// <param name="MaxAttempts">Deliveries after which a message is given up; null for never.</param>
internal sealed record RedeliveryRule(TimeSpan Delay, TimeSpan MaxDelay, int? MaxAttempts)
{
    /// <returns>Time until the next delivery, or null when there is none.</returns>
    public TimeSpan? After(ulong delivered, Exception reason)
    {
        // What cannot be read will not be readable later.
        if (MaxAttempts is { } most && (delivered >= (ulong)most || reason is SerializationException))
        {
            return null;
        }

        var seconds = Delay.TotalSeconds * Math.Pow(2, Math.Min(delivered, 32) - 1);
        return seconds >= MaxDelay.TotalSeconds ? MaxDelay : TimeSpan.FromSeconds(seconds);
    }

    /// <summary>Refuses what was delivered too often already and never came back: it ended the process each time, and would do so for ever.</summary>
    public void ThrowIfSpent(ulong delivered)
    {
        if (MaxAttempts is { } most && delivered > (ulong)most)
        {
            throw new InvalidOperationException($"{most} deliveries ended without an answer");
        }
    }
}
