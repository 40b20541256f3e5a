using System.Globalization;
using Microsoft.Extensions.Logging;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using RuleEngineNats.ChangeCapture.Events;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ChangeCapture.Outputs;

/// <summary>One NATS server or cluster: connecting, the stream, and what it holds already.</summary>
internal sealed partial class JetStreamConnection : IAsyncDisposable
{
    // How far to look back at first in a stream that others publish to as well; then farther and farther.
    private const ulong FirstLookBack = 1024;
    private const int LookBackGrowth = 16;
    private const int MostAtOnce = 1000;
    private const int NotFound = 404;

    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(2);

    private readonly CaptureOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private INatsJSStream? _stream;

    public JetStreamConnection(string urls, CaptureOptions options, TimeProvider time, ILoggerFactory loggers)
    {
        _options = options;
        _time = time;
        _logger = loggers.CreateLogger<JetStreamConnection>();
        Name = NatsUrls.Redact(urls);
        Connection = new((options.NatsSettings ?? NatsAccess.Of(urls, options)).Secure(NatsOpts.Default with
        {
            Url = urls,
            Name = $"change-capture {options.Slot}",
            LoggerFactory = loggers,
            PingInterval = TimeSpan.FromSeconds(5),
            MaxPingOut = 2,
            ReconnectWaitMin = options.RetryMinimum,
            ReconnectWaitMax = options.RetryMaximum,
            ReconnectJitter = options.RetryMaximum / 2,
            MaxReconnectRetry = -1,
            // A password that is wrong today may be right after a restart of the server with its new configuration.
            IgnoreAuthErrorAbort = true,
            // What is sent after a reconnect is decided by the output, which knows what was acknowledged.
            PublishTimeoutOnDisconnected = true,
            CommandTimeout = TimeSpan.FromSeconds(2),
        }));
        Acks = new(Connection, time, options.MaxInFlight + 1);
        Connection.ConnectionDisconnected += (_, _) =>
        {
            Acks.FailAll();
            return ValueTask.CompletedTask;
        };
    }

    /// <summary>The servers, without user and password.</summary>
    public string Name { get; }

    public NatsConnection Connection { get; }

    public AckInbox Acks { get; }

    /// <summary>Bytes of a message with its headers that the server and the stream take, as they last said.</summary>
    public int Limit => Math.Min(Connection.ServerInfo?.MaxPayload ?? int.MaxValue, _stream is { Info.Config.MaxMsgSize: > 0 and var size } ? size : int.MaxValue);

    /// <summary>Connects, and makes the stream where it is missing, for as long as it takes.</summary>
    /// <returns>As <see cref="FindLastAsync"/>.</returns>
    public async Task<HeldEvent?> OpenAsync(SourceIdentity source, CancellationToken cancellationToken)
    {
        var subscribed = false;
        for (var failures = 1; ; failures++)
        {
            try
            {
                await Connection.ConnectAsync();
                if (!subscribed)
                {
                    // Not with this token: the subscription would end at a stop, which awaits what is on its way.
                    await Acks.SubscribeAsync(CancellationToken.None).WaitAsync(cancellationToken);
                    subscribed = true;
                }

                await EnsureStreamAsync(cancellationToken);
                return await FindLastAsync(source, cancellationToken);
            }
            catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
            {
                NotReady(Name, NatsUrls.Redact(exception.InnerException is { } inner ? $"{exception.Message}: {inner.Message}" : exception.Message));
            }

            await Task.Delay(_options.PauseAfter(failures), _time, cancellationToken);
        }
    }

    /// <summary>Makes the stream where it is missing; says where one that is there differs, and leaves it.</summary>
    public async Task EnsureStreamAsync(CancellationToken cancellationToken)
    {
        var definition = new StreamDefinition(0, 0, _options.NatsStream, [$"{_options.SubjectPrefix}.>"], Enabled: true)
        {
            Description = "Row changes captured from PostgreSQL",
            MaxBytes = _options.NatsMaxBytes,
            MaxAge = _options.NatsMaxAge,
            Replicas = _options.NatsReplicas,
        };
        var context = new NatsJSContext(Connection);
        try
        {
            _stream = await context.GetStreamAsync(definition.Name, cancellationToken: cancellationToken);
            foreach (var difference in StreamShape.Differences(definition, _stream.Info.Config))
            {
                StreamDiffers(definition.Name, difference);
            }
        }
        catch (NatsJSApiException exception) when (exception.Error.Code == NotFound)
        {
            // A row may be as large as the server's max_payload: no limit of the stream's besides.
            _stream = await context.CreateStreamAsync(StreamShape.Of(definition) with { MaxMsgSize = -1 }, cancellationToken);
            StreamCreated(definition.Name, definition.Subjects[0], Name);
        }
    }

    /// <summary>Asks again for <see cref="Limit"/>.</summary>
    public async Task<int> AskLimitAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _stream!.RefreshAsync(cancellationToken);
        }
        catch (Exception) when (!cancellationToken.IsCancellationRequested)
        {
            // Then it is what it was.
        }

        return Limit;
    }

    /// <summary>
    /// The last event of this slot and source that the stream holds; null where it holds none. Events are stored in their order and without gaps,
    /// so everything up to it is there, also what the duplicate window has forgotten.
    /// </summary>
    public async Task<HeldEvent?> FindLastAsync(SourceIdentity source, CancellationToken cancellationToken)
    {
        if (await GetAsync(new() { LastBySubj = $"{_options.SubjectPrefix}.>" }, cancellationToken) is not { } last)
        {
            return null;
        }

        var found = Own(name => StoredHeaders.Find(last.Hdrs, name), source);
        for (var range = FirstLookBack; found is null; range *= LookBackGrowth)
        {
            var first = last.Seq > range ? last.Seq - range : 1;
            found = await ReadLastAsync(source, first, last.Seq, cancellationToken);
            if (first == 1)
            {
                break;
            }
        }

        return found;
    }

    /// <summary>Where a message of this slot and source lies in it; null where it is another's.</summary>
    public EventPosition? PositionOf(StoredMessage message, SourceIdentity source)
        => Own(name => StoredHeaders.Find(message.Hdrs, name), source)?.Position;

    /// <summary>A message of the stream; null where there is none.</summary>
    public async Task<StoredMessage?> GetAsync(StreamMsgGetRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return await InTimeAsync(async limited => (await _stream!.GetAsync(request, limited)).Message, cancellationToken);
        }
        catch (NatsJSApiException exception) when (exception.Error.Code == NotFound)
        {
            // No such message, or no stream any more.
            return null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Acks.DisposeAsync();
        await Connection.DisposeAsync();
    }

    // Others publish to the stream too, and parts of it may be deleted: the headers of a range are read.
    private async Task<HeldEvent?> ReadLastAsync(SourceIdentity source, ulong first, ulong last, CancellationToken cancellationToken)
    {
        var consumer = await new NatsJSContext(Connection).CreateOrderedConsumerAsync(
            _options.NatsStream,
            new() { FilterSubjects = [$"{_options.SubjectPrefix}.>"], DeliverPolicy = ConsumerConfigDeliverPolicy.ByStartSequence, OptStartSeq = first, HeadersOnly = true },
            cancellationToken);
        var (found, reached) = ((HeldEvent?)null, 0UL);
        while (reached < last && await InTimeAsync(ReadAsync, cancellationToken))
        {
            // The next ones.
        }

        return found;

        async Task<bool> ReadAsync(CancellationToken limited)
        {
            var any = false;
            await foreach (var message in consumer.FetchNoWaitAsync<byte[]>(new() { MaxMsgs = MostAtOnce }, cancellationToken: limited))
            {
                any = true;
                reached = message.Metadata!.Value.Sequence.Stream;
                found = Own(name => message.Headers is { } headers && headers.TryGetValue(name, out var values) ? values.ToString() : null, source) ?? found;
            }

            return any;
        }
    }

    // A request waits for a connection, however long there is none.
    private async Task<T> InTimeAsync<T>(Func<CancellationToken, Task<T>> ask, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(AnswerTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        try
        {
            return await ask(either.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
            throw new TimeoutException($"nats-server did not answer within {AnswerTimeout.TotalSeconds:0} s");
        }
    }

    private HeldEvent? Own(Func<string, string?> header, SourceIdentity source)
        => header(EventHeaders.CaptureSource) == source.ToString() && header(EventHeaders.MessageId) is { } id && EventPosition.Parse(id, _options.Slot) is { } position
            ? new(id, position, int.TryParse(header(EventHeaders.CapturePart), CultureInfo.InvariantCulture, out var part) ? part : 0)
            : null;

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Server} is not ready: {Reason}")]
    private partial void NotReady(string server, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "stream {Stream} is used as it is: {Difference}")]
    private partial void StreamDiffers(string stream, string difference);

    [LoggerMessage(Level = LogLevel.Information, Message = "stream {Stream} created for {Subjects} on {Server}")]
    private partial void StreamCreated(string stream, string subjects, string server);
}
