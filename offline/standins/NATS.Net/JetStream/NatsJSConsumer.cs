using System.Runtime.CompilerServices;
using NATS.Client.Core;
using NATS.Client.JetStream.Models;

namespace NATS.Client.JetStream;

/// <summary>A pull consumer.</summary>
public class NatsJSConsumer : INatsJSConsumer
{
    private readonly NatsJSContext _context;
    private readonly string _stream;
    private readonly string _name;
    private volatile bool _deleted;
    private volatile string? _pinId;

    internal NatsJSConsumer(NatsJSContext context, ConsumerInfo info)
    {
        _context = context;
        _stream = info.StreamName;
        _name = info.Name;
        Info = info;
    }

    public ConsumerInfo Info { get; private set; }

    internal string? PinId
    {
        get => _pinId;
        set => _pinId = value;
    }

    public async ValueTask<bool> DeleteAsync(CancellationToken cancellationToken = default)
    {
        ThrowIfDeleted();
        return _deleted = await _context.DeleteConsumerAsync(_stream, _name, cancellationToken).ConfigureAwait(false);
    }

    public async IAsyncEnumerable<INatsJSMsg<T>> ConsumeAsync<T>(INatsDeserialize<T>? serializer = default, NatsJSConsumeOpts? opts = default, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await using var pull = await StartConsumeAsync(serializer, opts ?? _context.Opts.DefaultConsumeOpts, ordered: false, cancellationToken).ConfigureAwait(false);
        pull.MarkReaderActive();
        try
        {
            while (await WaitAsync(pull, cancellationToken).ConfigureAwait(false))
            {
                while (!cancellationToken.IsCancellationRequested && pull.Msgs.TryRead(out var msg))
                {
                    pull.BeginUserWork();
                    yield return msg;
                    pull.EndUserWork();
                    pull.Delivered(msg.Size);
                }
            }
        }
        finally
        {
            pull.MarkReaderInactive();
        }
    }

    public async ValueTask<INatsJSMsg<T>?> NextAsync<T>(INatsDeserialize<T>? serializer = default, NatsJSNextOpts? opts = default, CancellationToken cancellationToken = default)
    {
        ThrowIfDeleted();
        ThrowIfPinned("next");
        opts ??= _context.Opts.DefaultNextOpts;
        var fetch = new NatsJSFetchOpts
        {
            MaxMsgs = 1,
            Expires = opts.Expires,
            IdleHeartbeat = opts.IdleHeartbeat,
            NotificationHandler = opts.NotificationHandler,
            PriorityGroup = opts.PriorityGroup,
        };
        await using var pull = await StartFetchAsync(fetch, serializer, cancellationToken).ConfigureAwait(false);
        while (await pull.Msgs.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
        {
            if (pull.Msgs.TryRead(out var msg))
            {
                return msg;
            }
        }

        return null;
    }

    public async IAsyncEnumerable<INatsJSMsg<T>> FetchAsync<T>(NatsJSFetchOpts opts, INatsDeserialize<T>? serializer = default, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ThrowIfDeleted();
        ThrowIfPinned("fetch");
        await using var pull = await StartFetchAsync(opts, serializer, cancellationToken).ConfigureAwait(false);
        pull.MarkReaderActive();
        try
        {
            while (await WaitAsync(pull, cancellationToken).ConfigureAwait(false))
            {
                while (!cancellationToken.IsCancellationRequested && pull.Msgs.TryRead(out var msg))
                {
                    pull.BeginUserWork();
                    yield return msg;
                    pull.EndUserWork();
                }
            }
        }
        finally
        {
            pull.MarkReaderInactive();
        }
    }

    public async IAsyncEnumerable<INatsJSMsg<T>> FetchNoWaitAsync<T>(NatsJSFetchOpts opts, INatsDeserialize<T>? serializer = default, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ThrowIfDeleted();
        ThrowIfPinned("fetch");
        await using var pull = await StartFetchAsync(opts with { NoWait = true }, serializer, cancellationToken).ConfigureAwait(false);
        while (await pull.Msgs.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
        {
            while (pull.Msgs.TryRead(out var msg))
            {
                yield return msg;
            }
        }
    }

    public async ValueTask RefreshAsync(CancellationToken cancellationToken = default) =>
        Info = await _context.JSRequestResponseAsync<object, ConsumerInfo>($"{_context.Opts.Prefix}.CONSUMER.INFO.{_stream}.{_name}", null, cancellationToken).ConfigureAwait(false);

    public async ValueTask UnpinAsync(string group, CancellationToken cancellationToken = default)
    {
        ThrowIfDeleted();
        await _context.UnpinConsumerAsync(_stream, _name, group, cancellationToken).ConfigureAwait(false);
        PinId = null;
    }

    internal async ValueTask<Consume<T>> StartConsumeAsync<T>(INatsDeserialize<T>? serializer, NatsJSConsumeOpts opts, bool ordered, CancellationToken cancellationToken)
    {
        ThrowIfDeleted();
        cancellationToken.ThrowIfCancellationRequested();
        var plan = PullPlan.Create(opts.MaxMsgs, opts.MaxBytes, opts.ThresholdMsgs, opts.ThresholdBytes, opts.Expires, opts.IdleHeartbeat);
        var pull = new Consume<T>(_context, this, plan, serializer ?? _context.Connection.Opts.SerializerRegistry.GetDeserializer<T>(), opts, ordered, SubOpts(opts.MaxMsgs), cancellationToken);
        await pull.StartAsync(cancellationToken).ConfigureAwait(false);
        return pull;
    }

    private async ValueTask<Fetch<T>> StartFetchAsync<T>(NatsJSFetchOpts opts, INatsDeserialize<T>? serializer, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var plan = PullPlan.Create(opts.MaxMsgs, opts.MaxBytes, null, null, opts.Expires, opts.IdleHeartbeat);
        var pull = new Fetch<T>(_context, this, plan, serializer ?? _context.Connection.Opts.SerializerRegistry.GetDeserializer<T>(), opts, SubOpts(opts.MaxMsgs), cancellationToken);
        await pull.StartAsync(cancellationToken).ConfigureAwait(false);
        return pull;
    }

    // Cancellation is how a caller ends a consume: the enumeration then ends, it does not throw.
    private static async ValueTask<bool> WaitAsync<T>(Pull<T> pull, CancellationToken cancellationToken)
    {
        try
        {
            return !cancellationToken.IsCancellationRequested && await pull.Msgs.WaitToReadAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    // Room for twice what is asked for: a slow caller must neither block the socket nor lose messages.
    private static NatsSubOpts SubOpts(int? maxMsgs) => new() { ChannelOpts = new NatsSubChannelOpts { Capacity = maxMsgs > 0 ? maxMsgs * 2 : 1_000 } };

    private void ThrowIfDeleted()
    {
        if (_deleted)
        {
            throw new NatsJSException($"Consumer '{_stream}:{_name}' is deleted");
        }
    }

    private void ThrowIfPinned(string operation)
    {
        if (Info.Config.PriorityPolicy == ConsumerConfigPriorityPolicy.PinnedClient)
        {
            throw new NatsJSException($"Pinned client priority policy is not allowed with {operation}. Use Consume instead.");
        }
    }
}
