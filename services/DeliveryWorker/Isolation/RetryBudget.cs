namespace RuleEngineNats.DeliveryWorker.Isolation;

/// <summary>
/// How many repeats one endpoint gets: a share of its first attempts, and a few a second whatever comes. Thousands that are due when an endpoint comes
/// back then reach it beside its new events, and not before them.
/// </summary>
/// <param name="share">Repeats for each first attempt.</param>
/// <param name="perSecond">Repeats a second that need none.</param>
/// <param name="time">The clock.</param>
internal sealed class RetryBudget(double share, double perSecond, TimeProvider time)
{
    private readonly Lock _lock = new();
    private double _tokens = 1;
    private long _counted = time.GetTimestamp();

    /// <summary>A first attempt was made.</summary>
    public void Earn()
    {
        lock (_lock)
        {
            _tokens = Math.Min(_tokens + share, Most);
        }
    }

    /// <summary>How many repeats may be made now.</summary>
    public int Available()
    {
        lock (_lock)
        {
            _tokens = Math.Min(_tokens + (time.GetElapsedTime(_counted).TotalSeconds * perSecond), Most);
            _counted = time.GetTimestamp();
            return (int)_tokens;
        }
    }

    /// <summary>Repeats are made.</summary>
    public void Spend(int count)
    {
        lock (_lock)
        {
            _tokens -= count;
        }
    }

    private double Most => Math.Max(1, perSecond);
}
