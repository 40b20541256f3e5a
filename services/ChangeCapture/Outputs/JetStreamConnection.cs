using System.Text.Json;
using Microsoft.Extensions.Logging;
using NATS.Client.Core;
using NATS.Client.JetStream;
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

    public JetStreamConnection(string urls, CaptureOptions options, TimeProvider time, ILoggerFactory loggers)
    {
        _options = options;
        _time = time;
        _logger = loggers.CreateLogger<JetStreamConnection>();
        Name = NatsUrls.Redact(urls);
        Connection = new(NatsOpts.Default with
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
        });
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

    /// <summary>Connects, and makes the stream where it is missing, for as long as it takes.</summary>
    /// <returns>
    /// The last event of this slot and source that the stream holds. Events are stored in their order and without gaps, so everything up to it is there,
    /// also what the duplicate window has forgotten.
    /// </returns>
    public async Task<EventPosition?> OpenAsync(SourceIdentity source, CancellationToken cancellationToken)
    {
        var subscribed = false;
        for (var failures = 1; ; failures++)
        {
            try
            {
                await Connection.ConnectAsync();
                if (!subscribed)
                {
                    await Acks.SubscribeAsync(cancellationToken);
                    subscribed = true;
                }

                await EnsureStreamAsync(cancellationToken);
                return await FindLastAsync(source, cancellationToken);
            }
            catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
            {
                NotReady(Name, NatsUrls.Redact(exception.InnerException is { } inner ? $"{exception.Message}: {inner.Message}" : exception.Message));
            }

            await Task.Delay(RetryPause.After(failures, _options, Random.Shared.NextDouble()), _time, cancellationToken);
        }
    }

    /// <summary>Makes the stream where it is missing; says where one that is there differs, and leaves it.</summary>
    public async Task EnsureStreamAsync(CancellationToken cancellationToken)
    {
        var definition = new StreamDefinition(0, 0, _options.NatsStream, [$"{_options.SubjectPrefix}.>"], Enabled: true)
        {
            Description = "Row changes captured from PostgreSQL",
            MaxAge = TimeSpan.Zero,
        };
        var context = new NatsJSContext(Connection);
        try
        {
            var stream = await context.GetStreamAsync(definition.Name, cancellationToken: cancellationToken);
            foreach (var difference in StreamShape.Differences(definition, stream.Info.Config))
            {
                StreamDiffers(definition.Name, difference);
            }
        }
        catch (NatsJSApiException exception) when (exception.Error.Code == 404)
        {
            // A row may be as large as the server's max_payload: no limit of the stream's besides.
            await context.CreateStreamAsync(StreamShape.Of(definition) with { MaxMsgSize = -1 }, cancellationToken);
            StreamCreated(definition.Name, definition.Subjects[0], Name);
        }
    }

    /// <summary>The body of the last message of a subject; null where there is none, or no answer.</summary>
    public async Task<byte[]?> FindLastBodyAsync(string subject, CancellationToken cancellationToken)
    {
        try
        {
            return (await GetAsync($$"""{"last_by_subj":"{{subject}}"}""", cancellationToken))?.Body;
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

    private async Task<EventPosition?> FindLastAsync(SourceIdentity source, CancellationToken cancellationToken)
    {
        var found = await GetAsync($$"""{"last_by_subj":"{{_options.SubjectPrefix}}.>"}""", cancellationToken);
        for (var looked = 1; found is { } message && looked <= MostLookedAt; looked++)
        {
            if (message.Headers.GetValueOrDefault(EventHeaders.CaptureSource) == source.ToString()
                && EventPosition.Parse(message.Headers.GetValueOrDefault(EventHeaders.MessageId) ?? "", _options.Slot) is { } position)
            {
                return position;
            }

            found = message.Sequence <= 1 ? null : await GetAsync($$"""{"seq":{{message.Sequence - 1}}}""", cancellationToken);
        }

        return null;
    }

    // Shape: {"message":{"seq":5,"hdrs":"<base64>","data":"<base64>"}} or {"error":{"err_code":10037,..}}
    private async Task<StoredMessage?> GetAsync(string request, CancellationToken cancellationToken)
    {
        var reply = await Connection.RequestAsync<byte[], byte[]>(
            $"$JS.API.STREAM.MSG.GET.{_options.NatsStream}", System.Text.Encoding.ASCII.GetBytes(request), cancellationToken: cancellationToken);
        using var answer = JsonDocument.Parse(reply.Data ?? []);
        if (answer.RootElement.TryGetProperty("message", out var message))
        {
            return StoredMessage.Of(message);
        }

        var error = answer.RootElement.GetProperty("error");
        return error.TryGetProperty("err_code", out var code) && code.GetInt32() == MessageNotFound
            ? null
            : throw new NatsException($"the stream does not show what it holds: {error.GetRawText()}");
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Server} is not ready: {Reason}")]
    private partial void NotReady(string server, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "stream {Stream} is used as it is: {Difference}")]
    private partial void StreamDiffers(string stream, string difference);

    [LoggerMessage(Level = LogLevel.Information, Message = "stream {Stream} created for {Subjects} on {Server}")]
    private partial void StreamCreated(string stream, string subjects, string server);

    private sealed record StoredMessage(ulong Sequence, Dictionary<string, string> Headers, byte[] Body)
    {
        public static StoredMessage Of(JsonElement message)
        {
            var headers = new Dictionary<string, string>();
            if (message.TryGetProperty("hdrs", out var lines))
            {
                foreach (var line in System.Text.Encoding.UTF8.GetString(lines.GetBytesFromBase64()).Split("\r\n"))
                {
                    if (line.IndexOf(':', StringComparison.Ordinal) is > 0 and var colon)
                    {
                        headers[line[..colon]] = line[(colon + 1)..].Trim();
                    }
                }
            }

            return new(message.GetProperty("seq").GetUInt64(), headers, message.TryGetProperty("data", out var data) ? data.GetBytesFromBase64() : []);
        }
    }
}
