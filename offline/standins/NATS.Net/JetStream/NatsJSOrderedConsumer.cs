using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using NATS.Client.Core;
using NATS.Client.JetStream.Models;

namespace NATS.Client.JetStream;

/// <summary>Every message once and in order, without acknowledgements: after a gap a new consumer starts behind the last good one.</summary>
public partial class NatsJSOrderedConsumer : INatsJSConsumer
{
    private readonly string _stream;
    private readonly NatsJSContext _context;
    private readonly NatsJSOrderedConsumerOpts _opts;
    private readonly CancellationToken _cancellationToken;
    private readonly ILogger<NatsJSOrderedConsumer> _logger;
    private ulong _fetched;

    public NatsJSOrderedConsumer(string stream, NatsJSContext context, NatsJSOrderedConsumerOpts opts, CancellationToken cancellationToken)
    {
        _stream = stream;
        _context = context;
        _opts = opts;
        _cancellationToken = cancellationToken;
        _logger = context.Connection.Opts.LoggerFactory.CreateLogger<NatsJSOrderedConsumer>();
        Info = new ConsumerInfo { Name = string.Empty, StreamName = string.Empty };
    }

    public ConsumerInfo Info { get; private set; }

    public async IAsyncEnumerable<INatsJSMsg<T>> ConsumeAsync<T>(INatsDeserialize<T>? serializer = default, NatsJSConsumeOpts? opts = default, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using var cts = CancellationTokenSource.CreateLinkedTokenSource(_cancellationToken, cancellationToken);
        var token = cts.Token;
        opts ??= _context.Opts.DefaultConsumeOpts;
        ulong seen = 0;
        while (!token.IsCancellationRequested)
        {
            var consumer = await RecreateAsync(seen, token).ConfigureAwait(false);
            try
            {
                await using var pull = await consumer.StartConsumeAsync(serializer, opts, ordered: true, token).ConfigureAwait(false);
                ulong expected = 1;
                while (await ReadyAsync(pull, token).ConfigureAwait(false))
                {
                    var gap = false;
                    while (!gap && pull.Msgs.TryRead(out var msg))
                    {
                        if (msg.Metadata is not { } metadata)
                        {
                            continue;
                        }

                        gap = metadata.Sequence.Consumer != expected;
                        if (!gap)
                        {
                            seen = metadata.Sequence.Stream;
                            expected++;
                            pull.BeginUserWork();
                            yield return msg;
                            pull.EndUserWork();
                            pull.Delivered(msg.Size);
                        }
                    }

                    if (gap)
                    {
                        break;
                    }
                }
            }
            finally
            {
                await TryDeleteAsync(consumer.Info.Name).ConfigureAwait(false);
            }
        }
    }

    public IAsyncEnumerable<INatsJSMsg<T>> FetchAsync<T>(NatsJSFetchOpts opts, INatsDeserialize<T>? serializer = default, CancellationToken cancellationToken = default) =>
        FetchAsync(opts, serializer, noWait: false, cancellationToken);

    public IAsyncEnumerable<INatsJSMsg<T>> FetchNoWaitAsync<T>(NatsJSFetchOpts opts, INatsDeserialize<T>? serializer = default, CancellationToken cancellationToken = default) =>
        FetchAsync(opts, serializer, noWait: true, cancellationToken);

    public async ValueTask<INatsJSMsg<T>?> NextAsync<T>(INatsDeserialize<T>? serializer = default, NatsJSNextOpts? opts = default, CancellationToken cancellationToken = default)
    {
        opts ??= _context.Opts.DefaultNextOpts;
        var fetch = new NatsJSFetchOpts { MaxMsgs = 1, Expires = opts.Expires, IdleHeartbeat = opts.IdleHeartbeat, NotificationHandler = opts.NotificationHandler };
        await foreach (var msg in FetchAsync(fetch, serializer, cancellationToken).ConfigureAwait(false))
        {
            return msg;
        }

        return null;
    }

    public ValueTask RefreshAsync(CancellationToken cancellationToken = default) => default;

    public ValueTask UnpinAsync(string group, CancellationToken cancellationToken = default) => default;

    private async IAsyncEnumerable<INatsJSMsg<T>> FetchAsync<T>(NatsJSFetchOpts opts, INatsDeserialize<T>? serializer, bool noWait, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using var cts = CancellationTokenSource.CreateLinkedTokenSource(_cancellationToken, cancellationToken);
        var token = cts.Token;
        var msgs = 0;
        var bytes = 0;
        for (var attempt = 0; !token.IsCancellationRequested && (opts.MaxMsgs is null || msgs < opts.MaxMsgs) && (opts.MaxBytes is null || bytes < opts.MaxBytes); attempt++)
        {
            var consumer = await RecreateAsync(_fetched, token).ConfigureAwait(false);
            var gap = false;
            try
            {
                ulong expected = 1;
                var rest = opts with { MaxMsgs = opts.MaxMsgs - msgs, MaxBytes = opts.MaxBytes - bytes };
                await foreach (var msg in (noWait ? consumer.FetchNoWaitAsync(rest, serializer, token) : consumer.FetchAsync(rest, serializer, token)).ConfigureAwait(false))
                {
                    if (msg.Metadata is not { } metadata)
                    {
                        continue;
                    }

                    if (metadata.Sequence.Consumer != expected++)
                    {
                        gap = true;
                        break;
                    }

                    _fetched = metadata.Sequence.Stream;
                    msgs++;
                    bytes += msg.Size;
                    yield return msg;
                }
            }
            finally
            {
                await TryDeleteAsync(consumer.Info.Name).ConfigureAwait(false);
            }

            if (!gap)
            {
                yield break;
            }

            if (attempt == _opts.MaxResetAttempts)
            {
                throw new NatsJSException("Maximum number of retry attempts reached.");
            }

            await _context.Connection.Opts.BackoffWithJitterAsync(attempt, token).ConfigureAwait(false);
        }
    }

    private async ValueTask<bool> ReadyAsync<T>(Consume<T> pull, CancellationToken cancellationToken)
    {
        try
        {
            return await pull.Msgs.WaitToReadAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        catch (NatsJSProtocolException e) when (e is { HeaderCode: 409, HeaderMessage: NatsHeaders.Messages.ConsumerDeleted } or { HeaderCode: 404 })
        {
            return false;
        }
        catch (NatsJSException e) when (e is NatsJSConnectionException or NatsJSTimeoutException)
        {
            LogRestart(e.Message);
            return false;
        }
    }

    private async ValueTask<NatsJSConsumer> RecreateAsync(ulong seen, CancellationToken cancellationToken)
    {
        var opts = seen == 0
            ? _opts
            : _opts with { OptStartSeq = seen + 1, DeliverPolicy = ConsumerConfigDeliverPolicy.ByStartSequence, OptStartTime = default };
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                var consumer = await _context.CreateOrderedAsync(_stream, opts, cancellationToken).ConfigureAwait(false);
                Info = consumer.Info;
                return consumer;
            }
            catch (Exception e) when (e is NatsJSApiNoResponseException or NatsNoRespondersException || e is NatsJSApiException { Error.Code: >= 500 })
            {
                if (attempt == _opts.MaxResetAttempts)
                {
                    throw new NatsJSException("Maximum number of create attempts reached.", e);
                }

                LogRestart(e.Message);
                await _context.Connection.Opts.BackoffWithJitterAsync(attempt, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    // The server forgets an idle one by itself; this only spares it the wait.
    private async ValueTask TryDeleteAsync(string name)
    {
        if (_context.Connection.ConnectionState != NatsConnectionState.Open)
        {
            return;
        }

        try
        {
            await _context.DeleteConsumerAsync(_stream, name, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is NatsException or OperationCanceledException or ObjectDisposedException)
        {
            LogRestart(e.Message);
        }
    }

    [LoggerMessage(EventId = 2019, EventName = "Retry", Level = LogLevel.Warning, Message = "{Error}. Retrying...")]
    private partial void LogRestart(string error);
}
