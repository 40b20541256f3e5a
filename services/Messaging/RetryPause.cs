namespace RuleEngineNats.Messaging;

/// <summary>How long to leave alone what was unavailable: from 0.1 to 5 s that is 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, … s.</summary>
public static class RetryPause
{
    /// <summary>The pause after a number of failures in a row, from 1.</summary>
    /// <param name="failures">How often it failed.</param>
    /// <param name="minimum">The first pause; each further one is twice as long.</param>
    /// <param name="maximum">The longest.</param>
    /// <param name="leftOut">The part of it, 0 to 1, to leave out: a random one where several would come back at once.</param>
    public static TimeSpan After(int failures, TimeSpan minimum, TimeSpan maximum, double leftOut = 0)
    {
        var pause = minimum * Math.Pow(2, Math.Clamp(failures - 1, 0, 30));
        return (pause < maximum ? pause : maximum) * (1 - leftOut);
    }
}
