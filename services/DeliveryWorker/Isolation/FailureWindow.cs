namespace RuleEngineNats.DeliveryWorker.Isolation;

/// <summary>Attempts and failures of the last 60 seconds, in steps of 10.</summary>
internal sealed class FailureWindow(TimeProvider time)
{
    private const int Steps = 6;
    private const int LeastAttempts = 10;

    private static readonly TimeSpan Step = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private readonly (long Step, int Attempts, int Failures)[] _steps = new (long, int, int)[Steps];

    /// <summary>Counts an attempt.</summary>
    /// <returns>Whether the share of failures has reached the limit.</returns>
    public bool Count(bool failed, int limitPercent)
    {
        lock (_lock)
        {
            var now = time.GetUtcNow().Ticks / Step.Ticks;
            ref var step = ref _steps[now % Steps];
            if (step.Step != now)
            {
                step = (now, 0, 0);
            }

            step.Attempts++;
            step.Failures += failed ? 1 : 0;
            var (attempts, failures) = (0, 0);
            foreach (var (at, attempted, failedThen) in _steps)
            {
                if (now - at < Steps)
                {
                    (attempts, failures) = (attempts + attempted, failures + failedThen);
                }
            }

            return failed && attempts >= LeastAttempts && failures * 100L >= attempts * (long)limitPercent;
        }
    }

    /// <summary>Begins anew, when the circuit has closed.</summary>
    public void Clear()
    {
        lock (_lock)
        {
            Array.Clear(_steps);
        }
    }
}
