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

    public void Processed(TimeSpan time, int messages = 1)
    {
        Interlocked.Add(ref _processed, messages);
        Interlocked.Add(ref _processingTicks, time.Ticks);
    }

    public void Acknowledged(int messages = 1) => Interlocked.Add(ref _acknowledged, messages);
}

/// <summary>What one consumer takes from one stream, as its statistics see it.</summary>
internal interface ICountedPump
{
    public string Stream { get; }

    public PumpCount Count { get; }

    /// <summary>How many messages the server has for this consumer that it gave to nobody yet.</summary>
    public Task<long> ReadPendingAsync(CancellationToken cancellationToken);
}

/// <summary>The pumps of one consumer: of events, one by one, or of documents in batches.</summary>
internal interface ICountedPumps
{
    public string Consumer { get; }

    public IReadOnlyList<ICountedPump> Pumps { get; }
}

internal readonly record struct PumpFigures(long Delivered, long Redelivered, long Acknowledged, long Processed, TimeSpan Processing);
