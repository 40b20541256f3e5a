namespace RuleEngineNats.IngestionTool.Loading;

/// <summary>How long the API may not have answered anything before a load gives up.</summary>
internal sealed class Patience(TimeSpan limit, TimeProvider time)
{
    private long _last = time.GetTimestamp();

    public TimeSpan Limit => limit;

    public bool IsOver => time.GetElapsedTime(Volatile.Read(ref _last)) > limit;

    public void Succeeded() => Volatile.Write(ref _last, time.GetTimestamp());
}
