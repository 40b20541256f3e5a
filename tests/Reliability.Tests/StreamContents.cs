using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using RuleEngineNats.Contracts;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>One stored event, by its headers.</summary>
internal sealed record StoredEvent(ulong Sequence, string Subject, string Id, IReadOnlyDictionary<string, string> Headers);

/// <summary>What a stream holds: the headers of every sequence, read by the checker's own consumer.</summary>
internal static class StreamContents
{
    public static async Task<IReadOnlyList<StoredEvent>> ReadAsync(
        string url, string? subject = null, string stream = StreamNames.Webhooks, CancellationToken cancellationToken = default)
    {
        await using var connection = new NatsConnection(new NatsOpts { Url = url, Name = "checker" });
        var context = new NatsJSContext(connection);
        var consumer = await context.CreateOrUpdateConsumerAsync(
            stream,
            new ConsumerConfig($"checker-{Guid.NewGuid():N}")
            {
                AckPolicy = ConsumerConfigAckPolicy.None,
                DeliverPolicy = ConsumerConfigDeliverPolicy.All,
                HeadersOnly = true,
                FilterSubject = subject,
            },
            cancellationToken);
        var events = new List<StoredEvent>();
        var pending = consumer.Info.NumPending;
        while ((ulong)events.Count < pending)
        {
            await foreach (var message in consumer.FetchAsync<byte[]>(new NatsJSFetchOpts { MaxMsgs = 500 }, cancellationToken: cancellationToken))
            {
                var headers = (message.Headers ?? []).ToDictionary(header => header.Key, header => header.Value.ToString());
                events.Add(new(message.Metadata!.Value.Sequence.Stream, message.Subject, headers.GetValueOrDefault(EventHeaders.MessageId, ""), headers));
                if ((ulong)events.Count == pending)
                {
                    break;
                }
            }
        }

        await context.DeleteConsumerAsync(stream, consumer.Info.Name, cancellationToken);
        return events;
    }

    /// <summary>Waits until the delivery workers' consumer has everything up to a sequence acknowledged.</summary>
    public static async Task AcknowledgedAsync(string url, ulong sequence)
    {
        await using var connection = new NatsConnection(new NatsOpts { Url = url, Name = "checker" });
        var context = new NatsJSContext(connection);
        await Wait.UntilAsync(
            async () => (await context.GetConsumerAsync(StreamNames.Webhooks, ConsumerNames.DeliveryWorker)).Info.AckFloor.StreamSeq >= sequence,
            $"everything up to {sequence} is acknowledged");
    }

    public static async Task<string> ServerIdAsync(string url)
    {
        await using var connection = new NatsConnection(new NatsOpts { Url = url, Name = "checker" });
        await connection.ConnectAsync();
        return connection.ServerInfo!.Id;
    }
}
