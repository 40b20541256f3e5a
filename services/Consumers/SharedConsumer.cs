using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace RuleEngineNats.Consumers;

/// <summary>A durable that all processes of one consumer share: made where it is missing, left alone where it differs.</summary>
internal static class SharedConsumer
{
    public const int MaxAckPending = 256;

    private const int ConsumerNotFound = 10014;

    public static ConsumerConfig Definition(string name, TimeSpan ackWait, string? filter = null) => new(name)
    {
        DurableName = name,
        FilterSubject = filter,
        AckPolicy = ConsumerConfigAckPolicy.Explicit,
        DeliverPolicy = ConsumerConfigDeliverPolicy.All,
        AckWait = ackWait,
        // Attempts are counted by us. The server would drop the message in silence, and its BackOff would replace AckWait.
        MaxDeliver = -1,
        MaxAckPending = MaxAckPending,
    };

    /// <summary>Null where there is none.</summary>
    public static async Task<INatsJSConsumer?> GetAsync(INatsJSContext context, string stream, string name, CancellationToken cancellationToken)
    {
        try
        {
            return await context.GetConsumerAsync(stream, name, cancellationToken);
        }
        catch (NatsJSApiException e) when (e.Error.ErrCode == ConsumerNotFound)
        {
            return null;
        }
    }

    /// <summary>What the consumer selects; empty for all of the stream.</summary>
    public static string Filter(ConsumerConfig config)
        => string.Join(' ', [.. config.FilterSubjects ?? [], .. string.IsNullOrEmpty(config.FilterSubject) ? [] : (string[])[config.FilterSubject]]);

    /// <summary>What an existing consumer has otherwise, as "name: actual instead of wanted".</summary>
    public static IReadOnlyList<string> Differences(ConsumerConfig actual, ConsumerConfig wanted)
    {
        List<string> differences = [];
        Compare("ack_policy", actual.AckPolicy, wanted.AckPolicy);
        // One that had to begin once more begins at a sequence.
        Compare("deliver_policy", actual.DeliverPolicy is ConsumerConfigDeliverPolicy.ByStartSequence ? wanted.DeliverPolicy : actual.DeliverPolicy, wanted.DeliverPolicy);
        Compare("ack_wait", actual.AckWait, wanted.AckWait);
        Compare("max_deliver", actual.MaxDeliver, wanted.MaxDeliver);
        Compare("max_ack_pending", actual.MaxAckPending, wanted.MaxAckPending);
        Compare("backoff", actual.Backoff?.Count ?? 0, 0);
        Compare("filter", Filter(actual), Filter(wanted));
        Compare("push", !string.IsNullOrEmpty(actual.DeliverSubject), false);
        return differences;

        void Compare<T>(string name, T have, T want)
        {
            if (!EqualityComparer<T>.Default.Equals(have, want))
            {
                differences.Add($"{name}: {have} instead of {want}");
            }
        }
    }
}
