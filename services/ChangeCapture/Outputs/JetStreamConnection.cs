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
    // How far to look back in a stream that others publish to as well.
    private const int MostLookedAt = 256;
    private const int MessageNotFound = 10037;

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
        Connection = new(NatsAccess.Of(urls, options).Secure(NatsOpts.Default with
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
    /// <returns>
    /// The last event of this slot and source that the stream holds. Events are stored in their order and without gaps, so everything up to it is there,
    /// also what the duplicate window has forgotten.
    /// </returns>
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
        catch (NatsJSApiException exception) when (exception.Error.Code == 404)
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

    /// <summary>The body of the last message of a subject; null where there is none, or no answer.</summary>
    public async Task<byte[]?> FindLastBodyAsync(string subject, CancellationToken cancellationToken)
    {
        try
        {
            return (await GetAsync(new() { LastBySubj = subject }, cancellationToken))?.Data.ToArray();
        }
        catch (Exception) when (!cancellationToken.IsCancellationRequested)
        {
            // Then it is described once more than needed.
            return null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Acks.DisposeAsync();
        await Connection.DisposeAsync();
    }

    private async Task<HeldEvent?> FindLastAsync(SourceIdentity source, CancellationToken cancellationToken)
    {
        var found = await GetAsync(new() { LastBySubj = $"{_options.SubjectPrefix}.>" }, cancellationToken);
        for (var looked = 1; found is { } message && looked <= MostLookedAt; looked++)
        {
            if (StoredHeaders.Find(message.Hdrs, EventHeaders.CaptureSource) == source.ToString()
                && EventPosition.Parse(StoredHeaders.Find(message.Hdrs, EventHeaders.MessageId) ?? "", _options.Slot) is { } position)
            {
                return new(position, int.TryParse(StoredHeaders.Find(message.Hdrs, EventHeaders.CapturePart), CultureInfo.InvariantCulture, out var part) ? part : 0);
            }

            found = message.Seq <= 1 ? null : await GetAsync(new() { Seq = message.Seq - 1 }, cancellationToken);
        }

        return null;
    }

    private async Task<StoredMessage?> GetAsync(StreamMsgGetRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return (await _stream!.GetAsync(request, cancellationToken)).Message;
        }
        catch (NatsJSApiException exception) when (exception.Error.ErrCode == MessageNotFound)
        {
            return null;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Server} is not ready: {Reason}")]
    private partial void NotReady(string server, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "stream {Stream} is used as it is: {Difference}")]
    private partial void StreamDiffers(string stream, string difference);

    [LoggerMessage(Level = LogLevel.Information, Message = "stream {Stream} created for {Subjects} on {Server}")]
    private partial void StreamCreated(string stream, string subjects, string server);
}
