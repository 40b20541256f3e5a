namespace RuleEngineNats.IngestionTool.Loading;

/// <summary>How long to wait before a portion is sent again.</summary>
internal static class RetryPause
{
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan LongestOwn = TimeSpan.FromSeconds(5);

    /// <summary>What the API asks for, else 0.1, 0.2, 0.4 … 5 s; up to a quarter more, so that those who were sent away together do not come back together.</summary>
    /// <param name="attempt">1 after the first.</param>
    /// <param name="retryAfter">Of the answer.</param>
    /// <param name="jitter">0 to 1.</param>
    public static TimeSpan After(int attempt, TimeSpan? retryAfter, double jitter)
    {
        var wanted = retryAfter ?? TimeSpan.FromTicks(Math.Min(LongestOwn.Ticks, Shortest.Ticks << Math.Min(attempt - 1, 10)));
        var clamped = wanted < Shortest ? Shortest : wanted > Longest ? Longest : wanted;
        return clamped * (1 + (jitter / 4));
    }
}
