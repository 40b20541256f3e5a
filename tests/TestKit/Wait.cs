using System.Diagnostics;

namespace RuleEngineNats.TestKit;

/// <summary>Polls for a condition until a deadline; the only waiting a test does.</summary>
public static class Wait
{
    public static readonly TimeSpan Default = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(25);

    /// <exception cref="TimeoutException">The condition did not hold in time; the message says <paramref name="what"/>.</exception>
    public static async Task UntilAsync(Func<Task<bool>> condition, string what, TimeSpan? deadline = null, CancellationToken cancellationToken = default)
    {
        var limit = deadline ?? Default;
        var clock = Stopwatch.StartNew();
        Exception? last = null;
        while (clock.Elapsed < limit)
        {
            try
            {
                if (await condition())
                {
                    return;
                }
            }
            catch (Exception e) when (e is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
            {
                last = e;
            }

            await Task.Delay(Interval, cancellationToken);
        }

        throw new TimeoutException($"not within {limit.TotalSeconds:0} s: {what}", last);
    }

    public static Task UntilAsync(Func<bool> condition, string what, TimeSpan? deadline = null, CancellationToken cancellationToken = default)
        => UntilAsync(() => Task.FromResult(condition()), what, deadline, cancellationToken);
}
