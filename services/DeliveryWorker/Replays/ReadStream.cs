using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.DeliveryWorker.Replays;

/// <summary>
/// Reads a stream in order, a batch at a time, by a consumer of its own that acknowledges nothing and is gone afterwards. What is lost on the way is seen
/// by the consumer's own count, and read again.
/// </summary>
internal sealed class ReadStream(INatsJSStream stream, string filter, ReplayOptions options, TimeProvider time) : IAsyncDisposable
{
    private static readonly TimeSpan InactiveThreshold = TimeSpan.FromSeconds(30);

    // The server selects where it can: a filter that reaches beyond the stream is one that it may refuse.
    private readonly string? _filter = stream.Info.Config.Subjects?.Any(subject => SubjectFilter.Covers(subject, filter)) == true ? filter : null;

    private INatsJSConsumer? _consumer;
    private long _usedAt;
    private ulong _next;
    private ulong _delivered;
    private ulong _pending;
    private long _meanBytes = Math.Max(1, (long)stream.Info.State.Bytes / Math.Max(1, (long)stream.Info.State.Messages));

    /// <summary>The sequence of the first message stored at a time or later; one beyond the last when there is none.</summary>
    public static async Task<ulong> FindAsync(INatsJSStream stream, DateTimeOffset time, CancellationToken cancellationToken)
    {
        var start = new ConsumerConfig { DeliverPolicy = ConsumerConfigDeliverPolicy.ByStartTime, OptStartTime = time };
        var consumer = await OpenAsync(stream, start, cancellationToken);
        await DeleteAsync(stream, consumer);
        return consumer.Info.Delivered.StreamSeq + 1;
    }

    /// <summary>The next messages from a sequence on, up to another; none when there are no more.</summary>
    public async Task<IReadOnlyList<INatsJSMsg<byte[]>>> ReadAsync(ulong from, ulong end, int most, CancellationToken cancellationToken)
    {
        var consumer = await ConsumerAsync(from, cancellationToken);
        if (_pending == 0)
        {
            return [];
        }

        var messages = new List<INatsJSMsg<byte[]>>();
        most = (int)Math.Clamp(options.ReadAheadBytes / _meanBytes, 1, most);
        await foreach (var message in consumer.FetchNoWaitAsync<byte[]>(new NatsJSFetchOpts { MaxMsgs = most }, cancellationToken: cancellationToken))
        {
            var metadata = message.Metadata ?? throw new NatsJSException("a message without its place in a stream");
            if (metadata.Sequence.Consumer != _delivered + 1)
            {
                await CloseAsync(); // One was lost on the way: the next call opens another where this one ends.
                break;
            }

            if (metadata.Sequence.Stream > end)
            {
                await CloseAsync();
                return messages;
            }

            (_delivered, _pending, _next) = (metadata.Sequence.Consumer, metadata.NumPending, metadata.Sequence.Stream + 1);
            messages.Add(message);
        }

        if (messages.Count == 0)
        {
            await CloseAsync();
            throw new NatsJSException($"{_pending} messages of stream {stream.Info.Config.Name} could not be read");
        }

        _usedAt = time.GetTimestamp();
        Measure(messages);
        return messages;
    }

    public async ValueTask DisposeAsync() => await CloseAsync();

    // It may have gone while the replay paused.
    private async Task<INatsJSConsumer> ConsumerAsync(ulong from, CancellationToken cancellationToken)
    {
        if (_consumer is { } open && _next == from && time.GetElapsedTime(_usedAt) < InactiveThreshold / 2)
        {
            return open;
        }

        await CloseAsync();
        _consumer = await OpenAsync(
            stream, new() { DeliverPolicy = ConsumerConfigDeliverPolicy.ByStartSequence, OptStartSeq = from, FilterSubject = _filter }, cancellationToken);
        (_next, _delivered, _pending, _usedAt) = (from, 0, _consumer.Info.NumPending, time.GetTimestamp());
        return _consumer;
    }

    private static async Task<INatsJSConsumer> OpenAsync(INatsJSStream stream, ConsumerConfig start, CancellationToken cancellationToken)
        => await stream.CreateOrUpdateConsumerAsync(
            start with { Name = $"replay-{Guid.NewGuid():N}", AckPolicy = ConsumerConfigAckPolicy.None, MemStorage = true, InactiveThreshold = InactiveThreshold }, cancellationToken);

    private void Measure(List<INatsJSMsg<byte[]>> messages)
    {
        if (messages.Count > 0)
        {
            _meanBytes = Math.Max(1, Math.Max(_meanBytes, messages.Sum(message => (long)message.Size) / messages.Count));
        }
    }

    private async Task CloseAsync()
    {
        if (_consumer is { } consumer)
        {
            _consumer = null;
            await DeleteAsync(stream, consumer);
        }
    }

    private static async Task DeleteAsync(INatsJSStream stream, INatsJSConsumer consumer)
    {
        try
        {
            await stream.DeleteConsumerAsync(consumer.Info.Name, CancellationToken.None);
        }
        catch (NatsException)
        {
            // It goes by itself when nobody has used it for a while.
        }
    }
}
