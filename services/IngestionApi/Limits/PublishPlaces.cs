using Microsoft.Extensions.Options;

namespace RuleEngineNats.IngestionApi.Limits;

/// <summary>
/// How much is on its way to nats-server at once. A place is held from the publish to its acknowledgement and not while a body comes in, so that slow uploads take none.
/// </summary>
internal sealed class PublishPlaces(IOptions<IngestionOptions> options) : IDisposable
{
    private readonly int _most = options.Value.ConcurrentRequests;
    private readonly SemaphoreSlim _batches = new(options.Value.ConcurrentBatches);
    private int _taken;

    /// <summary>Takes a place for one document, if there is one.</summary>
    public bool TryEnter()
    {
        if (Interlocked.Increment(ref _taken) <= _most)
        {
            return true;
        }

        Interlocked.Decrement(ref _taken);
        return false;
    }

    public void Leave() => Interlocked.Decrement(ref _taken);

    /// <summary>Waits for a batch's place, at most <see cref="IngestionOptions.BatchPatience"/>.</summary>
    public Task<bool> EnterBatchAsync(CancellationToken cancellationToken) => _batches.WaitAsync(options.Value.BatchPatience, cancellationToken);

    public void LeaveBatch() => _batches.Release();

    public void Dispose() => _batches.Dispose();
}
