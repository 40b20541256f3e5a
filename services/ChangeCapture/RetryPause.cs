namespace RuleEngineNats.ChangeCapture;

/// <summary>How long to wait before another attempt: with the defaults 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, … s, of which up to a half is left out at random.</summary>
internal static class RetryPause
{
    /// <param name="random">0 to 1.</param>
    public static TimeSpan After(int failures, CaptureOptions options, double random)
    {
        var pause = options.RetryMinimum * Math.Pow(2, Math.Clamp(failures - 1, 0, 30));
        return (pause < options.RetryMaximum ? pause : options.RetryMaximum) * (1 - (random / 2));
    }
}
