namespace RuleEngineNats.ChangeCapture.Outputs;

/// <summary>Bounds how many events, and how many bytes of them, are on their way. For one writer.</summary>
internal sealed class FlowWindow(int events, int bytes)
{
    private readonly Lock _gate = new();
    private TaskCompletionSource? _room;
    private int _events;
    private long _bytes;

    /// <summary>Waits for room. An event that is larger than the window goes when nothing else is on its way.</summary>
    public async ValueTask EnterAsync(int size, CancellationToken cancellationToken)
    {
        while (Wait(size) is { } room)
        {
            await room.WaitAsync(cancellationToken);
        }
    }

    public void Leave(int size)
    {
        TaskCompletionSource? room;
        lock (_gate)
        {
            _events--;
            _bytes -= size;
            (room, _room) = (_room, null);
        }

        room?.TrySetResult();
    }

    private Task? Wait(int size)
    {
        lock (_gate)
        {
            if (_events == 0 || (_events < events && _bytes + size <= bytes))
            {
                _events++;
                _bytes += size;
                return null;
            }

            return (_room ??= new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }
}
