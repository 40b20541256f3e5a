using NATS.Client.JetStream;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.IngestionWorker.Pumping;

/// <summary>A message from its arrival until it is settled.</summary>
internal sealed class Arrival(INatsJSMsg<byte[]> message, long reported)
{
    private readonly NatsJSMsgMetadata _metadata = message.Metadata ?? throw new InvalidOperationException("a message without its place in a stream");

    public INatsJSMsg<byte[]> Message => message;

    public long Sequence => (long)_metadata.Sequence.Stream;

    /// <summary>How often the server has given it to a worker, this time included.</summary>
    public int Delivery => (int)Math.Min(_metadata.NumDelivered, int.MaxValue);

    /// <summary>When the stream took it.</summary>
    public DateTimeOffset StoredAt => _metadata.Timestamp;

    /// <summary>Of its body, wherever that is.</summary>
    public long Bytes { get; } = EventBodies.ObjectOf(message.Headers)?.Size ?? message.Data?.Length ?? 0;

    /// <summary>When the server last heard that it is in work.</summary>
    public long Reported { get; set; } = reported;

    /// <summary>What is to become of it. As long as nothing was decided it comes again.</summary>
    public Settlement Settlement { get; set; } = Settlement.Again(TimeSpan.Zero);
}

/// <summary>How a message is settled: acknowledged, or given back to come again after a pause.</summary>
/// <param name="Pause">Null: acknowledged.</param>
internal readonly record struct Settlement(TimeSpan? Pause)
{
    public static readonly Settlement Ack = new(null);

    public static Settlement Again(TimeSpan pause) => new(pause);
}

/// <summary>What rides beside the message that MassTransit routes.</summary>
/// <param name="Arrivals">In the order of the stream.</param>
/// <param name="StreamId">Tells the stream from one of the same name that was there before: its sequences began anew.</param>
internal sealed record ArrivedBatch(IReadOnlyList<Arrival> Arrivals, string StreamId);
