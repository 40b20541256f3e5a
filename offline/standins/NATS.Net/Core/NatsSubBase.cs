using System.Buffers;
using System.Diagnostics;
using System.Runtime.ExceptionServices;
using Microsoft.Extensions.Logging;
using NATS.Client.Core.Internal;

namespace NATS.Client.Core;

public enum NatsSubEndReason
{
    None,
    NoMsgs,
    MaxMsgs,
    MaxBytes,
    Timeout,
    IdleTimeout,
    EmptyMsg,
    IdleHeartbeatTimeout,
    StartUpTimeout,
    Cancelled,
    Exception,
    JetStreamError,
    RequestsPending,
}

/// <summary>What every subscription has: its limits, its timers, and an end with a reason.</summary>
public abstract partial class NatsSubBase
{
    private readonly INatsSubscriptionManager _manager;
    private readonly ILogger _logger;
    private readonly Timer? _timeoutTimer;
    private readonly Timer? _idleTimer;
    private readonly Timer? _startUpTimer;
    private readonly TimeSpan _timeout;
    private readonly TimeSpan _idleTimeout;
    private readonly TimeSpan _startUpTimeout;
    private readonly bool _countMsgs;
    private readonly CancellationTokenRegistration _cancellation;
    private int _pendingMsgs = -1;
    private int _disposed;
    private int _unsubscribed;
    private int _ended;
    private int _endReason;
    private int _slow;
    private Exception? _exception;

    protected NatsSubBase(
        INatsConnection connection,
        INatsSubscriptionManager manager,
        string subject,
        string? queueGroup,
        NatsSubOpts? opts,
        CancellationToken cancellationToken = default)
    {
        if (!connection.Opts.SkipSubjectValidation)
        {
            SubjectRules.CheckSubject(subject);
            SubjectRules.CheckQueueGroup(queueGroup);
        }

        Connection = connection;
        Subject = subject;
        QueueGroup = queueGroup;
        Opts = opts;
        _manager = manager;
        _logger = connection.Opts.LoggerFactory.CreateLogger<NatsSubBase>();
        if (opts is { MaxMsgs: > 0 })
        {
            _pendingMsgs = opts.MaxMsgs.Value;
            _countMsgs = true;
        }

        _timeout = Duration(opts?.Timeout, nameof(NatsSubOpts.Timeout));
        _idleTimeout = Duration(opts?.IdleTimeout, nameof(NatsSubOpts.IdleTimeout));
        _startUpTimeout = Duration(opts?.StartUpTimeout, nameof(NatsSubOpts.StartUpTimeout));
        cancellationToken.ThrowIfCancellationRequested();
        _cancellation = cancellationToken.UnsafeRegister(static s => ((NatsSubBase)s!).EndSubscription(NatsSubEndReason.Cancelled), this);
        _timeoutTimer = _timeout > TimeSpan.Zero ? Stopped(static s => ((NatsSubBase)s!).EndSubscription(NatsSubEndReason.Timeout)) : null;
        _idleTimer = _idleTimeout > TimeSpan.Zero ? Stopped(static s => ((NatsSubBase)s!).EndSubscription(NatsSubEndReason.IdleTimeout)) : null;
        _startUpTimer = _startUpTimeout > TimeSpan.Zero ? Stopped(static s => ((NatsSubBase)s!).EndSubscription(NatsSubEndReason.StartUpTimeout)) : null;
    }

    public string Subject { get; }

    public string? QueueGroup { get; }

    public Exception? Exception => Volatile.Read(ref _exception);

    public int? PendingMsgs => _countMsgs ? Volatile.Read(ref _pendingMsgs) : null;

    public NatsSubEndReason EndReason => (NatsSubEndReason)Volatile.Read(ref _endReason);

    internal NatsSubOpts? Opts { get; }

    protected INatsConnection Connection { get; }

    public virtual ValueTask ReadyAsync()
    {
        // The first message may take longer: then the idle timer starts with it.
        if (_startUpTimer is null)
        {
            _idleTimer?.Change(_idleTimeout, Timeout.InfiniteTimeSpan);
        }

        _startUpTimer?.Change(_startUpTimeout, Timeout.InfiniteTimeSpan);
        _timeoutTimer?.Change(_timeout, Timeout.InfiniteTimeSpan);
        return default;
    }

    public ValueTask UnsubscribeAsync()
    {
        if (Interlocked.Exchange(ref _unsubscribed, 1) != 0)
        {
            return default;
        }

        StopTimers();
        try
        {
            TryComplete();
        }
        catch (Exception e)
        {
            // Cancellation may come while a derived constructor still runs.
            LogCompleteFailed(e);
        }

        return _manager.RemoveAsync(this);
    }

    public virtual ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return default;
        }

        GC.SuppressFinalize(this);
        var unsubscribed = UnsubscribeAsync();
        _timeoutTimer?.Dispose();
        _idleTimer?.Dispose();
        _startUpTimer?.Dispose();
        _cancellation.Dispose();
        if (Exception is { } exception)
        {
            (exception as NatsSubException)?.Exception.Throw();
            throw exception;
        }

        return unsubscribed;
    }

    public virtual ValueTask ReceiveAsync(string subject, string? replyTo, ReadOnlySequence<byte>? headersBuffer, ReadOnlySequence<byte> payloadBuffer)
    {
        if (_idleTimer is not null || _startUpTimer is not null)
        {
            ResetIdleTimeout();
        }

        if (payloadBuffer.IsEmpty && Opts is not null)
        {
            if (Opts.ThrowIfNoResponders == true && IsHeader503(headersBuffer))
            {
                SetException(new NatsNoRespondersException());
                return default;
            }

            if (Opts.StopOnEmptyMsg == true)
            {
                EndSubscription(NatsSubEndReason.EmptyMsg);
                return default;
            }
        }

        ValueTask received;
        try
        {
            received = ReceiveInternalAsync(subject, replyTo, headersBuffer, payloadBuffer);
            if (received.IsCompletedSuccessfully)
            {
                return default;
            }
        }
        catch (Exception e)
        {
            OnReceiveFailed(e, headersBuffer, payloadBuffer);
            return default;
        }

        return AwaitReceiveAsync(received, headersBuffer, payloadBuffer);
    }

    internal static bool IsHeader503(in ReadOnlySequence<byte>? headers)
    {
        if (headers is not { Length: >= 12 } raw)
        {
            return false;
        }

        // NATS/1.0 503
        Span<byte> status = stackalloc byte[4];
        raw.Slice(8, 4).CopyTo(status);
        return status.SequenceEqual(" 503"u8);
    }

    /// <summary>What re-creates this subscription on a new connection.</summary>
    internal virtual void WriteReconnectCommands(ReconnectCommands commands, int sid) => commands.Subscribe(sid, Subject, QueueGroup, PendingMsgs);

    internal bool TryMarkSlowConsumer() => Interlocked.Exchange(ref _slow, 1) == 0;

    protected abstract ValueTask ReceiveInternalAsync(string subject, string? replyTo, ReadOnlySequence<byte>? headersBuffer, ReadOnlySequence<byte> payloadBuffer);

    protected abstract void TryComplete();

    /// <summary>The consumer has caught up: the next drop is a new episode.</summary>
    protected void ResetSlowConsumer(int pendingMsgCount)
    {
        if (pendingMsgCount <= 1 && _slow != 0)
        {
            Volatile.Write(ref _slow, 0);
        }
    }

    protected void SetException(Exception exception)
    {
        Volatile.Write(ref _exception, exception);
        EndSubscription(NatsSubEndReason.Exception);
    }

    protected void ResetIdleTimeout()
    {
        _idleTimer?.Change(_idleTimeout, Timeout.InfiniteTimeSpan);
        _startUpTimer?.Change(Timeout.Infinite, Timeout.Infinite);
    }

    protected void DecrementMaxMsgs()
    {
        if (_countMsgs && Interlocked.Decrement(ref _pendingMsgs) == 0)
        {
            EndSubscription(NatsSubEndReason.MaxMsgs);
        }
    }

    protected void EndSubscription(NatsSubEndReason reason)
    {
        if (Interlocked.Exchange(ref _ended, 1) != 0)
        {
            return;
        }

        Volatile.Write(ref _endReason, (int)reason);

        // Completes the channel at once; the UNSUB follows on its own.
        _ = UnsubscribeAsync().AsTask();
    }

    private static TimeSpan Duration(TimeSpan? value, string name)
    {
        if (value is null || value == Timeout.InfiniteTimeSpan)
        {
            return TimeSpan.Zero;
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(value.Value, TimeSpan.Zero, name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(value.Value.TotalMilliseconds, uint.MaxValue - 1, name);
        return value.Value;
    }

    private Timer Stopped(TimerCallback callback) => new(callback, this, Timeout.Infinite, Timeout.Infinite);

    private void StopTimers()
    {
        _timeoutTimer?.Change(Timeout.Infinite, Timeout.Infinite);
        _idleTimer?.Change(Timeout.Infinite, Timeout.Infinite);
        _startUpTimer?.Change(Timeout.Infinite, Timeout.Infinite);
    }

    private async ValueTask AwaitReceiveAsync(ValueTask received, ReadOnlySequence<byte>? headersBuffer, ReadOnlySequence<byte> payloadBuffer)
    {
        try
        {
            await received.ConfigureAwait(false);
        }
        catch (Exception e)
        {
            OnReceiveFailed(e, headersBuffer, payloadBuffer);
        }
    }

    private void OnReceiveFailed(Exception e, ReadOnlySequence<byte>? headersBuffer, ReadOnlySequence<byte> payloadBuffer)
    {
        // A message for a subscription that has just ended is nobody's: it is dropped.
        if (e is OperationCanceledException or System.Threading.Channels.ChannelClosedException)
        {
            return;
        }

        LogReceiveFailed(e);
        SetException(new NatsSubException($"Message error: {e.Message}", ExceptionDispatchInfo.Capture(e), payloadBuffer.ToArray(), headersBuffer?.ToArray() ?? []));
        Telemetry.SetException(Activity.Current, e);
    }

    [LoggerMessage(EventId = 1002, EventName = "Subscription", Level = LogLevel.Warning, Message = "Error while completing subscription")]
    private partial void LogCompleteFailed(Exception exception);

    [LoggerMessage(EventId = 1002, EventName = "Subscription", Level = LogLevel.Error, Message = "Error while processing message")]
    private partial void LogReceiveFailed(Exception exception);
}
