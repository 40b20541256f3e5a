namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>
/// How long to leave a row, or a stream, alone after it was unavailable: with the defaults 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, … s.
/// No jitter: there is one relay.
/// </summary>
internal static class RetryPause
{
    public static TimeSpan After(int failures, TimeSpan minimum, TimeSpan maximum)
    {
        var factor = Math.Pow(2, Math.Clamp(failures - 1, 0, 30));
        return minimum * factor < maximum ? minimum * factor : maximum;
    }
}
