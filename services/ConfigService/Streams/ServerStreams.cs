using Microsoft.Extensions.Options;
using NATS.Client.Core;
using NATS.Client.JetStream;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.ConfigService.Streams;

/// <summary>Asks nats-server about streams. An answer that does not come is no error of the request: the definition is still worth showing.</summary>
internal sealed partial class ServerStreams(
    NatsConnections connections, IOptions<ConfigServiceOptions> options, TimeProvider time, ILogger<ServerStreams> logger)
{
    public async Task<Stream> LookAtAsync(Stream stream, CancellationToken cancellationToken)
        => stream.Enabled ? stream with { Server = await AskAsync(stream, cancellationToken) } : stream;

    private async Task<ServerStream?> AskAsync(Stream stream, CancellationToken cancellationToken)
    {
        var pool = connections.Get(stream.Connection);
        using var use = pool.Begin();
        if (!pool.IsHealthy)
        {
            return null;
        }

        using var patience = new CancellationTokenSource(options.Value.ServerTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        try
        {
            var found = await new NatsJSContext(pool.Next()).GetStreamAsync(stream.Name, cancellationToken: either.Token);
            var state = found.Info.State;
            return new ServerStream(
                state.Messages, state.Bytes, state.FirstSeq, state.LastSeq, state.ConsumerCount, [.. found.Info.Config.Subjects ?? []], found.Info.Created);
        }
        catch (NatsJSApiException exception) when (exception.Error.Code == 404)
        {
            return null;
        }
        catch (Exception exception) when (exception is NatsException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            LogNoAnswer(stream.Name, NatsUrls.Redact(exception.Message));
            return null;
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "nats-server did not say what stream {Stream} holds: {Reason}")]
    private partial void LogNoAnswer(string stream, string reason);
}
