namespace RuleEngineNats.Consumers;

/// <summary>Hands on together what is added while the handler runs, or before it gets to run.</summary>
/// <param name="handle">Takes each group; is never called twice at once and does not throw.</param>
internal sealed class Gather<T>(Func<IReadOnlyList<T>, Task> handle)
{
    private readonly Lock _lock = new();
    private List<T> _gathered = [];
    private bool _running;

    public void Add(T item)
    {
        lock (_lock)
        {
            _gathered.Add(item);
            if (_running)
            {
                return;
            }

            _running = true;
        }

        ThreadPool.UnsafeQueueUserWorkItem(static self => _ = self.RunAsync(), this, preferLocal: false);
    }

    private async Task RunAsync()
    {
        while (Take() is { Count: > 0 } group)
        {
            await handle(group);
        }
    }

    private List<T> Take()
    {
        lock (_lock)
        {
            var group = _gathered;
            _running = group.Count > 0;
            _gathered = _running ? [] : group;
            return group;
        }
    }
}
