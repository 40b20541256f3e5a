namespace RuleEngineNats.DeliveryWorker.Isolation;

/// <summary>The places of one endpoint in this process. Who comes when all are taken waits in line, as long as the line moves.</summary>
internal sealed class EndpointGate(TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly LinkedList<TaskCompletionSource<bool>> _waiting = [];
    private long _lastMove = time.GetTimestamp();
    private int _taken;

    /// <summary>How many more calls are worth fetching: those that can start, and a few that follow at once where the endpoint answers quickly.</summary>
    public int Room(int places, TimeSpan stalled)
    {
        lock (_lock)
        {
            var ahead = time.GetElapsedTime(_lastMove) < stalled || _taken == 0 ? 2 * places : 0;
            return Math.Max(0, places + ahead - _taken - _waiting.Count);
        }
    }

    /// <summary>Takes a place; false when none came free within the time, or none can be expected to.</summary>
    /// <param name="places">How many there are.</param>
    /// <param name="patience">How long to wait, and after how long without a place coming free the line is taken to stand still; null waits for as long as it takes.</param>
    /// <param name="line">Most that may wait at once; meaningless without <paramref name="patience"/>.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public async ValueTask<bool> EnterAsync(int places, TimeSpan? patience, int line, CancellationToken cancellationToken)
    {
        LinkedListNode<TaskCompletionSource<bool>> node;
        lock (_lock)
        {
            if (_taken < places && _waiting.Count == 0)
            {
                Take();
                return true;
            }

            if (patience is { } most && (_waiting.Count >= line || time.GetElapsedTime(_lastMove) >= most))
            {
                return false;
            }

            node = _waiting.AddLast(new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        return await WaitAsync(node, patience, cancellationToken);
    }

    /// <summary>Gives a place back; the next in line has it, unless there are fewer places now.</summary>
    public void Leave(int places)
    {
        lock (_lock)
        {
            _taken--;
            _lastMove = time.GetTimestamp();
            while (_taken < places && _waiting.First is { } next)
            {
                _waiting.RemoveFirst();
                Take();
                next.Value.SetResult(true);
            }
        }
    }

    private async ValueTask<bool> WaitAsync(LinkedListNode<TaskCompletionSource<bool>> node, TimeSpan? patience, CancellationToken cancellationToken)
    {
        try
        {
            return await node.Value.Task.WaitAsync(patience ?? Timeout.InfiniteTimeSpan, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            return !TryGiveUp(node);
        }
        catch (OperationCanceledException) when (TryGiveUp(node))
        {
            throw;
        }
        catch (OperationCanceledException)
        {
            return true;
        }
    }

    // False when the place came in the same moment.
    private bool TryGiveUp(LinkedListNode<TaskCompletionSource<bool>> node)
    {
        lock (_lock)
        {
            if (node.List is null)
            {
                return false;
            }

            _waiting.Remove(node);
            return true;
        }
    }

    private void Take()
    {
        if (_taken++ == 0)
        {
            _lastMove = time.GetTimestamp();
        }
    }
}
