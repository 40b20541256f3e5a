using System.Collections.Concurrent;

namespace RuleEngineNats.Demo;

/// <summary>What was published, by event id, and when each was committed or acknowledged.</summary>
internal sealed class SentEvents
{
    private readonly ConcurrentDictionary<string, DateTimeOffset> _committedAt = new();
    private readonly ConcurrentBag<string> _rolledBack = [];
    private int _duplicates;

    public int Committed => _committedAt.Count;

    public int Duplicates => _duplicates;

    public IReadOnlyCollection<string> RolledBack => _rolledBack;

    public IReadOnlyDictionary<string, DateTimeOffset> CommittedAt => _committedAt;

    public void AddCommitted(string id) => _committedAt[id] = TimeProvider.System.GetUtcNow();

    public void AddRolledBack(string id) => _rolledBack.Add(id);

    public void AddDuplicate() => Interlocked.Increment(ref _duplicates);

    public static string Payload(string id) => $$"""{"event":"{{id}}","note":"it's \"quoted\"; -- and <tagged>"}""";
}
