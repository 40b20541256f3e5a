using System.Buffers;
using System.Collections.Concurrent;
using System.Threading.Tasks.Sources;

namespace NATS.Client.Core.Internal;

internal interface IReplySlot
{
    void Complete(string subject, string? replyTo, in ReadOnlySequence<byte>? headers, in ReadOnlySequence<byte> payload);

    /// <summary>No answer will come.</summary>
    void Fail();
}

/// <summary>One request that waits for one answer. Pooled: a publish into JetStream is one of these each.</summary>
internal sealed class ReplySlot<T> : IReplySlot, IValueTaskSource<NatsMsg<T>>
{
    private const int PoolSize = 1024;

    // Milliseconds by which the clock of the timers and TickCount64 may differ.
    private const int TimerTolerance = 15;

    private static readonly ConcurrentQueue<ReplySlot<T>> Pool = new();

    private readonly Timer _timer;
    private ManualResetValueTaskSourceCore<NatsMsg<T>> _core = new() { RunContinuationsAsynchronously = true };
    private CancellationTokenRegistration _cancellation;
    private NatsConnection? _connection;
    private INatsDeserialize<T> _serializer = null!;
    private CancellationToken _cancellationToken;
    private long _deadline = long.MaxValue;
    private long _id;

    private ReplySlot() => _timer = new Timer(static s => ((ReplySlot<T>)s!).OnTimer(), this, Timeout.Infinite, Timeout.Infinite);

    public string Subject { get; private set; } = string.Empty;

    public static ReplySlot<T> Rent(NatsConnection connection, INatsDeserialize<T> serializer, TimeSpan timeout, CancellationToken cancellationToken)
    {
        if (!Pool.TryDequeue(out var slot))
        {
            slot = new ReplySlot<T>();
        }

        slot._connection = connection;
        slot._serializer = serializer;
        slot._cancellationToken = cancellationToken;
        slot.Subject = connection.Inbox.Add(slot, out slot._id);
        if (timeout != Timeout.InfiniteTimeSpan)
        {
            Volatile.Write(ref slot._deadline, Environment.TickCount64 + (long)timeout.TotalMilliseconds);
            slot._timer.Change(timeout, Timeout.InfiniteTimeSpan);
        }

        if (cancellationToken.CanBeCanceled)
        {
            slot._cancellation = cancellationToken.UnsafeRegister(static s => ((ReplySlot<T>)s!).OnCancelled(), slot);
        }

        return slot;
    }

    public ValueTask<NatsMsg<T>> Task => new(this, _core.Version);

    /// <summary>The request was never sent.</summary>
    public void Abandon()
    {
        if (_connection!.Inbox.TryRemove(_id))
        {
            Release();
        }
    }

    public void Complete(string subject, string? replyTo, in ReadOnlySequence<byte>? headers, in ReadOnlySequence<byte> payload)
    {
        NatsMsg<T> msg;
        try
        {
            msg = NatsMsg<T>.Build(subject, replyTo, headers, payload, _connection, _connection!.HeaderParser, _serializer);
        }
        catch (Exception e)
        {
            _core.SetException(e);
            return;
        }

        msg.Headers?.Activity?.Dispose();
        _core.SetResult(msg);
    }

    public void Fail() => _core.SetException(new NatsNoReplyException());

    NatsMsg<T> IValueTaskSource<NatsMsg<T>>.GetResult(short token)
    {
        try
        {
            return _core.GetResult(token);
        }
        finally
        {
            Release();
        }
    }

    ValueTaskSourceStatus IValueTaskSource<NatsMsg<T>>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<NatsMsg<T>>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    private void OnTimer()
    {
        // A callback that was on its way when the slot changed hands must not end the next request.
        // The id is read first: a request that takes the slot after that has another one.
        var id = Volatile.Read(ref _id);
        if (Volatile.Read(ref _deadline) - Environment.TickCount64 <= TimerTolerance && _connection is { } connection && connection.Inbox.TryRemove(id))
        {
            Fail();
        }
    }

    private void OnCancelled()
    {
        if (_connection!.Inbox.TryRemove(_id))
        {
            _core.SetException(new OperationCanceledException(_cancellationToken));
        }
    }

    private void Release()
    {
        Volatile.Write(ref _deadline, long.MaxValue);
        _timer.Change(Timeout.Infinite, Timeout.Infinite);
        _cancellation.Dispose();
        _cancellation = default;
        _core.Reset();
        _connection = null;
        if (Pool.Count < PoolSize)
        {
            Pool.Enqueue(this);
        }
        else
        {
            _timer.Dispose();
        }
    }
}
