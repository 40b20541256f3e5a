namespace RuleEngineNats.Consumers;

/// <summary>What a pump counted since it started.</summary>
internal sealed class PumpCount
{
    private long _delivered;
    private long _redelivered;
    private long _acknowledged;
    private long _processed;
    private long _processingTicks;

    public PumpFigures Figures => new(
        Interlocked.Read(ref _delivered), Interlocked.Read(ref _redelivered), Interlocked.Read(ref _acknowledged), Interlocked.Read(ref _processed),
        TimeSpan.FromTicks(Interlocked.Read(ref _processingTicks)));

    public void Delivered(bool again)
    {
        Interlocked.Increment(ref _delivered);
        if (again)
        {
            Interlocked.Increment(ref _redelivered);
        }
    }

    public void Processed(TimeSpan time)
    {
        Interlocked.Increment(ref _processed);
        Interlocked.Add(ref _processingTicks, time.Ticks);
    }

    public void Acknowledged() => Interlocked.Increment(ref _acknowledged);
}

internal readonly record struct PumpFigures(long Delivered, long Redelivered, long Acknowledged, long Processed, TimeSpan Processing);
