using System.Collections.Concurrent;

namespace RuleEngineNats.IngestionWorker.Storing;

/// <summary>What work waits for at the moment; readiness names it.</summary>
internal sealed class Obstacles
{
    private readonly ConcurrentDictionary<object, string> _reasons = new(ReferenceEqualityComparer.Instance);

    public IEnumerable<string> Reasons => _reasons.Values.Distinct();

    public void Set(object who, string reason) => _reasons[who] = reason;

    public void Clear(object who) => _reasons.TryRemove(who, out _);
}
