using Microsoft.Extensions.Logging;
using NATS.Client.Core;
using NATS.Client.Core.Internal;

namespace NATS.Client.JetStream;

/// <summary>
/// An endless pull. What is asked for and not yet given to the caller is kept between the threshold and the maximum:
/// each time it falls to the threshold, one request fills it up again.
/// </summary>
internal sealed partial class Consume<T> : Pull<T>
{
    private readonly Lock _gate = new();
    private readonly ILogger _logger;
    private readonly int _max503;
    private readonly bool _ordered;
    private long _pendingMsgs;
    private long _pendingBytes;
    private int _count503;

    public Consume(NatsJSContext context, NatsJSConsumer consumer, PullPlan plan, INatsDeserialize<T> serializer, NatsJSConsumeOpts opts, bool ordered, NatsSubOpts subOpts, CancellationToken cancellationToken)
        : base(context, consumer, plan, serializer, opts.PriorityGroup, opts.NotificationHandler, subOpts, cancellationToken)
    {
        _logger = Connection.Opts.LoggerFactory.CreateLogger<NatsJSConsumer>();
        _max503 = opts.MaxConsecutive503Errors;
        _ordered = ordered;
        ResetPending();
    }

    public async ValueTask StartAsync(CancellationToken cancellationToken)
    {
        await Context.Connection.AddSubAsync(this, cancellationToken).ConfigureAwait(false);
        await SendAsync(NewRequest(Plan.MaxMsgs, Plan.MaxBytes), cancellationToken).ConfigureAwait(false);
        StartWatch();
    }

    /// <summary>The caller is through with a message.</summary>
    public void Delivered(int size)
    {
        lock (_gate)
        {
            _pendingMsgs = Math.Max(0, _pendingMsgs - 1);
            _pendingBytes = Math.Max(0, _pendingBytes - size);
        }

        Refill();
    }

    internal override void WriteReconnectCommands(ReconnectCommands commands, int sid)
    {
        base.WriteReconnectCommands(commands, sid);
        if (Cancellation.IsCancellationRequested)
        {
            return;
        }

        // What was asked for on the old connection is not coming any more: ask again for all that has room.
        var buffered = Channel.Reader.Count;
        ResetPending();
        if (_ordered)
        {
            // After a gap an ordered consumer starts anew behind the last message it saw.
            Channel.Writer.TryComplete(new NatsJSConnectionException("Reconnected"));
            return;
        }

        if (Plan.MaxMsgs > buffered)
        {
            WriteRequest(commands, NewRequest(Plan.MaxBytes > 0 ? Plan.MaxMsgs : Plan.MaxMsgs - buffered, Plan.MaxBytes));
        }
    }

    protected override void OnMessage(int size) => _count503 = 0;

    protected override void OnSilence()
    {
        if (Cancellation.IsCancellationRequested)
        {
            EndSubscription(NatsSubEndReason.None);
            return;
        }

        if (_ordered)
        {
            Channel.Writer.TryComplete(new NatsJSTimeoutException("idle-heartbeat"));
            EndSubscription(NatsSubEndReason.IdleHeartbeatTimeout);
            return;
        }

        switch (Connection.ConnectionState)
        {
            case NatsConnectionState.Failed:
                Channel.Writer.TryComplete(new NatsConnectionFailedException("Connection is in failed state"));
                EndSubscription(NatsSubEndReason.None);
                break;
            case NatsConnectionState.Open:
                ResetPending();
                Send(Plan.MaxMsgs, Plan.MaxBytes);
                break;
        }
    }

    protected override void OnStatus(NatsHeaders headers)
    {
        // A request that ended returns what it did not deliver.
        lock (_gate)
        {
            if (Plan.MaxBytes == 0 && headers.TryGetLastValue("Nats-Pending-Messages", out var msgs) && long.TryParse(msgs, out var m))
            {
                _pendingMsgs = Math.Max(0, _pendingMsgs - m);
            }

            if (Plan.MaxBytes > 0 && headers.TryGetLastValue("Nats-Pending-Bytes", out var bytes) && long.TryParse(bytes, out var b))
            {
                _pendingBytes = Math.Max(0, _pendingBytes - b);
            }
        }

        switch (headers)
        {
            case { Code: 100 } or { Code: 408 }:
                break;
            case { Code: 409, Message: NatsHeaders.Messages.MessageSizeExceedsMaxBytes }:
                LogTooLarge();
                Notify(NatsJSMessageSizeExceedsMaxBytesNotification.Default);
                break;
            case { Code: 409 } when string.Equals(headers.MessageText, "Leadership Change", StringComparison.OrdinalIgnoreCase):
                Notify(NatsJSLeadershipChangeNotification.Default);
                ResetPending();
                break;
            case { Code: 423 }:
                OnPinMismatch();
                lock (_gate)
                {
                    _pendingMsgs = _pendingBytes = 0;
                }

                break;
            case { Code: 503 }:
                OnNoResponders();
                break;
            default:
                if (IsTerminal(headers))
                {
                    End(new NatsJSProtocolException(headers.Code, headers.Message, headers.MessageText));
                    return;
                }

                LogUnhandled(headers.Code, headers.MessageText);
                Notify(new NatsJSProtocolNotification("Unhandled protocol message", headers.Code, headers.MessageText));
                break;
        }

        Refill();
    }

    private void OnNoResponders()
    {
        Notify(NatsJSNoRespondersNotification.Default);
        ResetPending();
        if (++_count503 >= _max503 && _max503 > 0)
        {
            End(new NatsJSException($"Consumer appears to be deleted after {_count503} consecutive 503 errors"));
        }
    }

    private void ResetPending()
    {
        lock (_gate)
        {
            _pendingMsgs = Plan.MaxMsgs;
            _pendingBytes = Plan.MaxBytes;
        }
    }

    private void Refill()
    {
        long msgs, bytes;
        lock (_gate)
        {
            if (Plan.MaxBytes > 0 && _pendingBytes <= Plan.ThresholdBytes)
            {
                (msgs, bytes) = (Plan.MaxMsgs, Plan.MaxBytes - _pendingBytes);
            }
            else if (Plan.MaxBytes == 0 && _pendingMsgs <= Plan.ThresholdMsgs && _pendingMsgs < Plan.MaxMsgs)
            {
                (msgs, bytes) = (Plan.MaxMsgs - _pendingMsgs, 0);
            }
            else
            {
                return;
            }

            _pendingMsgs = Plan.MaxMsgs;
            _pendingBytes = Plan.MaxBytes;
        }

        Send(msgs, bytes);
    }

    // A request that cannot go out now is made up for on reconnect, or when the silence is noticed.
    private void Send(long msgs, long bytes)
    {
        if (Connection.ConnectionState == NatsConnectionState.Open && !Cancellation.IsCancellationRequested)
        {
            _ = SendQuietlyAsync(msgs, bytes);
        }
    }

    private async Task SendQuietlyAsync(long msgs, long bytes)
    {
        try
        {
            await SendAsync(NewRequest(msgs, bytes), CancellationToken.None).ConfigureAwait(false);
        }
        catch (NatsConnectionFailedException e)
        {
            Channel.Writer.TryComplete(e);
        }
        catch (Exception e)
        {
            LogPullFailed(e);
        }
    }

    [LoggerMessage(EventId = 2021, EventName = "MessageSizeExceedsMaxBytes", Level = LogLevel.Warning, Message = "Message Size Exceeds MaxBytes")]
    private partial void LogTooLarge();

    [LoggerMessage(EventId = 2005, EventName = "ProtocolMessage", Level = LogLevel.Warning, Message = "Unhandled protocol message: {Code} {Description}")]
    private partial void LogUnhandled(int code, string description);

    [LoggerMessage(EventId = 2009, EventName = "PullRequest", Level = LogLevel.Debug, Message = "A pull request could not be sent")]
    private partial void LogPullFailed(Exception exception);
}
