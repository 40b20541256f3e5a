using System.Runtime.CompilerServices;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using RuleEngineNats.Contracts;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.CdcRelay.Reconciliation;

/// <summary>
/// Reads the sequences and ids of a stream's messages. Headers only, by a consumer that is gone afterwards; but a work queue admits no second consumer,
/// and in an interest stream one more would be one more to wait for: there each message is asked for, with all that it holds.
/// </summary>
internal static class ReadMessageIds
{
    private const int Batch = 5000;
    private const int NoMessageFound = 10037;

    public static IAsyncEnumerable<(ulong Sequence, string Id)> FromAsync(INatsJSStream stream, ulong sequence, CancellationToken cancellationToken)
        => stream.Info.Config.Retention is StreamConfigRetention.Limits
            ? ConsumeAsync(stream, new() { DeliverPolicy = ConsumerConfigDeliverPolicy.ByStartSequence, OptStartSeq = Math.Max(1, sequence) }, cancellationToken)
            : AskAsync(stream, sequence, DateTimeOffset.MinValue, cancellationToken);

    public static IAsyncEnumerable<(ulong Sequence, string Id)> SinceAsync(INatsJSStream stream, DateTimeOffset moment, CancellationToken cancellationToken)
        => stream.Info.Config.Retention is StreamConfigRetention.Limits
            ? ConsumeAsync(stream, new() { DeliverPolicy = ConsumerConfigDeliverPolicy.ByStartTime, OptStartTime = moment }, cancellationToken)
            : AskAsync(stream, 1, moment, cancellationToken);

    private static async IAsyncEnumerable<(ulong Sequence, string Id)> AskAsync(
        INatsJSStream stream, ulong sequence, DateTimeOffset since, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            StoredMessage message;
            try
            {
                message = (await stream.GetAsync(new StreamMsgGetRequest { Seq = sequence, NextBySubj = ">" }, cancellationToken)).Message;
            }
            catch (NatsJSApiException e) when (e.Error.ErrCode == NoMessageFound)
            {
                yield break;
            }

            if (message.Time >= since)
            {
                yield return (message.Seq, StoredHeaders.Find(message.Hdrs, EventHeaders.MessageId) ?? "");
            }

            sequence = message.Seq + 1;
        }
    }

    private static async IAsyncEnumerable<(ulong Sequence, string Id)> ConsumeAsync(
        INatsJSStream stream, ConsumerConfig start, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var consumer = await stream.CreateOrUpdateConsumerAsync(
            start with
            {
                Name = $"reconciler-{Guid.NewGuid():N}",
                AckPolicy = ConsumerConfigAckPolicy.None,
                HeadersOnly = true,
                MemStorage = true,
                InactiveThreshold = TimeSpan.FromSeconds(30),
            },
            cancellationToken);
        try
        {
            for (var left = consumer.Info.NumPending; left > 0;)
            {
                var before = left;
                await foreach (var message in consumer.FetchNoWaitAsync<byte[]>(new NatsJSFetchOpts { MaxMsgs = (int)Math.Min(left, Batch) }, cancellationToken: cancellationToken))
                {
                    left--;
                    var id = message.Headers is { } headers && headers.TryGetValue(EventHeaders.MessageId, out var values) ? values.ToString() : "";
                    yield return (message.Metadata!.Value.Sequence.Stream, id);
                }

                if (left == before)
                {
                    // What was not read would be taken for lost.
                    throw new NatsJSException($"{left} messages of stream {stream.Info.Config.Name} could not be read");
                }
            }
        }
        finally
        {
            await DeleteAsync(stream, consumer.Info.Name);
        }
    }

    private static async Task DeleteAsync(INatsJSStream stream, string consumer)
    {
        try
        {
            await stream.DeleteConsumerAsync(consumer, CancellationToken.None);
        }
        catch (Exception e) when (e is NatsException or OperationCanceledException)
        {
            // The server removes it when it has been idle.
        }
    }
}
