namespace NATS.Client.Core;

public abstract partial class NatsSubBase
{
    private TaskCompletionSource? _readerExited;

    internal void MarkReaderActive() => _readerExited ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    internal void MarkReaderInactive() => _readerExited?.TrySetResult();

    /// <summary>UNSUB, then a PING: after its PONG nothing more can come, and what came is in the channel.</summary>
    internal async ValueTask DrainAsync(Func<NatsSubBase, Func<ValueTask>> unsubscribe)
    {
        if (Interlocked.Exchange(ref _unsubscribed, 1) == 0)
        {
            StopTimers();
            var forget = unsubscribe(this);
            try
            {
                using var cts = new CancellationTokenSource(Connection.Opts.DrainPingTimeout);
                await Connection.PingAsync(cts.Token).ConfigureAwait(false);
            }
            catch (Exception e) when (e is OperationCanceledException or NatsException)
            {
                // Draining is best effort: the connection may be gone.
            }

            await forget().ConfigureAwait(false);
            TryComplete();
        }

        await WaitForReaderDrainAsync().ConfigureAwait(false);
    }

    protected virtual async ValueTask WaitForReaderDrainAsync()
    {
        if (_readerExited is { Task.IsCompleted: false } exited && Connection.Opts.ConsumerDrainOnDisposeTimeout is { } timeout)
        {
            await Task.WhenAny(exited.Task, Task.Delay(timeout)).ConfigureAwait(false);
        }
    }
}
