using Npgsql;

namespace RuleEngineNats.DeliveryWorker.Replays;

/// <summary>Keeps the lease of a replay while it is carried out, and says when it is lost: cancelled, or taken over.</summary>
internal sealed class ReplayLease : IAsyncDisposable
{
    private readonly CancellationTokenSource _ended;
    private readonly Task _renewing;
    private long _due;
    private volatile bool _lost;

    public ReplayLease(ReplayRows rows, Replay replay, ReplayOptions options, TimeProvider time, CancellationToken stop)
    {
        _ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        Token = _ended.Token;
        _renewing = RenewAsync(rows, replay, options, time);
    }

    /// <summary>Cancelled when the lease is lost or the worker stops.</summary>
    public CancellationToken Token { get; }

    public bool Lost => _lost;

    /// <summary>Calls of the replay that are not finished, as last seen.</summary>
    public long Due => Interlocked.Read(ref _due);

    public void Record(ReplayStep step)
    {
        Interlocked.Exchange(ref _due, step.Due);
        if (!step.Held)
        {
            _lost = true;
            _ended.Cancel();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _ended.CancelAsync();
        await _renewing;
        _ended.Dispose();
    }

    private async Task RenewAsync(ReplayRows rows, Replay replay, ReplayOptions options, TimeProvider time)
    {
        try
        {
            while (true)
            {
                await Task.Delay(options.RenewEvery, time, Token);
                try
                {
                    Record(await rows.RenewAsync(replay, options.Lease, Token));
                }
                catch (NpgsqlException)
                {
                    // Every step asks for the lease as well: should it run out meanwhile, nothing is done twice.
                }
            }
        }
        catch (OperationCanceledException) when (Token.IsCancellationRequested)
        {
        }
    }
}
