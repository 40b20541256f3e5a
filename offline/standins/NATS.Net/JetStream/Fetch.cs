using NATS.Client.Core;
using NATS.Client.Core.Internal;
using NATS.Client.JetStream.Models;

namespace NATS.Client.JetStream;

/// <summary>One pull request and what it brings.</summary>
internal sealed class Fetch<T> : Pull<T>
{
    private readonly Timer _expiry;
    private readonly bool _noWait;
    private long _leftMsgs;
    private long _leftBytes;

    public Fetch(NatsJSContext context, NatsJSConsumer consumer, PullPlan plan, INatsDeserialize<T> serializer, NatsJSFetchOpts opts, NatsSubOpts subOpts, CancellationToken cancellationToken)
        : base(context, consumer, plan, serializer, opts.PriorityGroup, opts.NotificationHandler, subOpts, cancellationToken)
    {
        _leftMsgs = plan.MaxMsgs;
        _leftBytes = plan.MaxBytes;
        _noWait = opts.NoWait;

        // The server ends the request itself; this is for a server that does not.
        _expiry = new Timer(static s => ((Fetch<T>)s!).EndSubscription(NatsSubEndReason.Timeout), this, plan.Expires + TimeSpan.FromSeconds(5), Timeout.InfiniteTimeSpan);
    }

    public async ValueTask StartAsync(CancellationToken cancellationToken)
    {
        await Context.Connection.AddSubAsync(this, cancellationToken).ConfigureAwait(false);
        await SendAsync(Request(), cancellationToken).ConfigureAwait(false);
        if (!_noWait)
        {
            StartWatch();
        }
    }

    public override async ValueTask DisposeAsync()
    {
        await _expiry.DisposeAsync().ConfigureAwait(false);
        await base.DisposeAsync().ConfigureAwait(false);
    }

    internal override void WriteReconnectCommands(ReconnectCommands commands, int sid)
    {
        base.WriteReconnectCommands(commands, sid);
        WriteRequest(commands, Request());
    }

    protected override void OnSilence() => EndSubscription(NatsSubEndReason.IdleHeartbeatTimeout);

    protected override void OnMessage(int size)
    {
        _leftMsgs--;
        _leftBytes -= size;
    }

    protected override void AfterMessage()
    {
        if (Plan.MaxBytes > 0 ? _leftBytes <= 0 : _leftMsgs <= 0)
        {
            EndSubscription(Plan.MaxBytes > 0 ? NatsSubEndReason.MaxBytes : NatsSubEndReason.MaxMsgs);
        }
    }

    protected override void OnStatus(NatsHeaders headers)
    {
        switch (headers)
        {
            case { Code: 100 }:
                break;
            case { Code: 404 }:
                EndSubscription(NatsSubEndReason.NoMsgs);
                break;
            case { Code: 408 }:
                EndSubscription(headers.Message == NatsHeaders.Messages.RequestsPending ? NatsSubEndReason.RequestsPending : NatsSubEndReason.Timeout);
                break;
            case { Code: 409, Message: NatsHeaders.Messages.MessageSizeExceedsMaxBytes }:
                EndSubscription(NatsSubEndReason.MaxBytes);
                break;
            case { Code: 423 }:
                OnPinMismatch();
                break;
            case { Code: 503 }:
                Notify(NatsJSNoRespondersNotification.Default);
                EndSubscription(NatsSubEndReason.None);
                break;
            default:
                if (IsTerminal(headers))
                {
                    End(new NatsJSProtocolException(headers.Code, headers.Message, headers.MessageText));
                    break;
                }

                Notify(new NatsJSProtocolNotification("Unhandled protocol message", headers.Code, headers.MessageText));
                break;
        }
    }

    // Without waiting the server answers at once, so neither expiry nor heartbeat has a meaning.
    private ConsumerGetnextRequest Request()
    {
        var request = NewRequest(Math.Max(1, _leftMsgs), Math.Max(0, _leftBytes));
        return _noWait ? request with { NoWait = true, Expires = TimeSpan.Zero, IdleHeartbeat = TimeSpan.Zero } : request;
    }
}
