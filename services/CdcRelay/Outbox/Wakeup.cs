namespace RuleEngineNats.CdcRelay.Outbox;

/// <summary>Ends another loop's pause early.</summary>
internal sealed class Wakeup : IDisposable
{
    private readonly SemaphoreSlim _set = new(0, 1);

    public void Set()
    {
        lock (_set)
        {
            if (_set.CurrentCount == 0)
            {
                _set.Release();
            }
        }
    }

    public Task WaitAsync(TimeSpan atMost, CancellationToken cancellationToken) => _set.WaitAsync(atMost, cancellationToken);

    public void Dispose() => _set.Dispose();
}

/// <summary>The loops of a term whose pause others end.</summary>
internal sealed class Wakeups : IDisposable
{
    /// <summary>Rows were left pending that nothing but the scan will bring.</summary>
    public Wakeup Scan { get; } = new();

    /// <summary>Rows were parked.</summary>
    public Wakeup Retry { get; } = new();

    public void Dispose()
    {
        Scan.Dispose();
        Retry.Dispose();
    }
}
