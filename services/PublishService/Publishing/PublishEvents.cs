using System.Threading.Channels;
using Grpc.Core;
using Microsoft.Extensions.Options;
using RuleEngineNats.Contracts.Publishing;
using RuleEngineNats.Messaging;
using RuleEngineNats.PublishService.Errors;

namespace RuleEngineNats.PublishService.Publishing;

/// <summary>
/// Many events of one client. A stream is three loops joined by two bounded channels, so that events are looked up side by side, sent in the order
/// they came and answered in that order, with a window of them on their way:
/// <code>
/// client ─► read ─(being prepared)─► send ─(being stored)─► answer ─► client
/// </code>
/// When the service stops, reading ends, what was read is answered, and the stream ends with UNAVAILABLE.
/// </summary>
internal sealed class PublishEvents(
    PublishEvent publish, IOptions<PublishOptions> options, IOptions<MessagingOptions> messaging, IHostApplicationLifetime lifetime)
{
    private static readonly WriteOptions Buffered = new(WriteFlags.BufferHint);

    public async Task<PublishResult[]> PublishAllAsync(IReadOnlyList<PublishRequest> requests, TimeSpan budget, CancellationToken cancellationToken)
    {
        var lane = new PublishLane();
        var prepared = new Task<PreparedEvent>[requests.Count];
        for (var index = 0; index < requests.Count; index++)
        {
            prepared[index] = publish.PrepareAsync(requests[index], cancellationToken).AsTask();
        }

        var sent = new Task<PublishVerdict>[requests.Count];
        for (var index = 0; index < requests.Count; index++)
        {
            sent[index] = publish.SendAsync(await prepared[index], budget, lane).AsTask();
        }

        var results = new PublishResult[requests.Count];
        for (var index = 0; index < requests.Count; index++)
        {
            results[index] = Result((ulong)index, await sent[index]);
        }

        return results;
    }

    public async Task PublishAsync(
        IAsyncStreamReader<PublishRequest> requests, IServerStreamWriter<PublishResult> results, CancellationToken cancellationToken)
    {
        // The three loops end together: the first to fail takes the others with it.
        using var failed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var window = new BoundedChannelOptions(options.Value.StreamWindow) { SingleReader = true, SingleWriter = true };
        var prepared = Channel.CreateBounded<Task<PreparedEvent>>(window);
        var sent = Channel.CreateBounded<Task<PublishVerdict>>(window);
        Task<bool> reading = ReadAsync(requests, prepared.Writer, failed.Token);
        Task[] loops =
        [
            reading,
            SendAsync(prepared.Reader, sent.Writer, failed.Token),
            AnswerAsync(sent.Reader, results, failed.Token),
        ];
        await foreach (var loop in Task.WhenEach(loops))
        {
            if (!loop.IsCompletedSuccessfully)
            {
                await failed.CancelAsync();
            }
        }

        await Task.WhenAll(loops);
        if (!await reading)
        {
            throw PublishStatus.Stopping();
        }
    }

    // False: the service is stopping and the client has not finished.
    private async Task<bool> ReadAsync(
        IAsyncStreamReader<PublishRequest> requests, ChannelWriter<Task<PreparedEvent>> prepared, CancellationToken cancellationToken)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, lifetime.ApplicationStopping);
        try
        {
            while (await requests.MoveNext(ended.Token))
            {
                var next = publish.PrepareAsync(requests.Current, cancellationToken).AsTask();
                if (requests.Current.Payload.Length > PayloadObjects.LargeBytes)
                {
                    // One large body of a stream at a time, not a window of them.
                    await next;
                }

                await prepared.WriteAsync(next, cancellationToken);
            }

            return true;
        }
        catch (Exception exception) when (exception is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled } && !cancellationToken.IsCancellationRequested)
        {
            return false;
        }
        finally
        {
            prepared.Complete();
        }
    }

    private async Task SendAsync(
        ChannelReader<Task<PreparedEvent>> prepared, ChannelWriter<Task<PublishVerdict>> sent, CancellationToken cancellationToken)
    {
        var lane = new PublishLane();
        try
        {
            await foreach (var next in prepared.ReadAllAsync(cancellationToken))
            {
                await sent.WriteAsync(publish.SendAsync(await next, messaging.Value.PublishBudget, lane).AsTask(), cancellationToken);
            }
        }
        finally
        {
            sent.Complete();
        }
    }

    private static async Task AnswerAsync(
        ChannelReader<Task<PublishVerdict>> sent, IServerStreamWriter<PublishResult> results, CancellationToken cancellationToken)
    {
        var index = 0UL;
        while (await sent.WaitToReadAsync(cancellationToken))
        {
            while (sent.TryRead(out var next))
            {
                var result = Result(index++, await next);

                // An answer waits in the buffer while the next one is at hand: one write to the socket serves many.
                results.WriteOptions = sent.TryPeek(out var following) && following.IsCompleted ? Buffered : null;
                await results.WriteAsync(result, cancellationToken);
            }
        }
    }

    private static PublishResult Result(ulong index, PublishVerdict verdict) => verdict is PublishVerdict.Stored stored
        ? new PublishResult { Index = index, Stored = stored.Response }
        : new PublishResult { Index = index, Error = PublishStatus.Of(verdict) };
}
