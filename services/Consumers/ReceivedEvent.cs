using MassTransit;
using NATS.Client.JetStream;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.Consumers;

/// <summary>The event behind the message a consumer gets: where it came from, and its exact bytes.</summary>
/// <param name="Id">Its id, <c>Nats-Msg-Id</c> and <c>ce-id</c>: the same in every delivery, so what is done once must be done once per id. Empty when a foreign publisher gave none.</param>
/// <param name="Subject">The subject it was published to.</param>
/// <param name="Stream">The stream it is stored in.</param>
/// <param name="Sequence">Its place there, from 1.</param>
/// <param name="StoredAt">When the server stored it.</param>
/// <param name="Delivery">How often the server has given it to this consumer, this time included.</param>
/// <param name="Body">The event's JSON as it was published, byte for byte, also where it was too large for a message and lay in the Object Store.</param>
public sealed record ReceivedEvent(string Id, string Subject, string Stream, ulong Sequence, DateTimeOffset StoredAt, ulong Delivery, ReadOnlyMemory<byte> Body)
{
    /// <summary>Whether the body could be read and the consumer was called.</summary>
    internal bool Read { get; set; }

    internal static ReceivedEvent From(INatsJSMsg<byte[]> message, string stream, ReadOnlyMemory<byte> body)
    {
        var metadata = message.Metadata ?? throw new InvalidOperationException("a message without its place in a stream");
        return new(
            message.Headers is { } headers && headers.TryGetValue(EventHeaders.MessageId, out var id) ? id.ToString() : "",
            message.Subject, stream, metadata.Sequence.Stream, metadata.Timestamp, metadata.NumDelivered, body);
    }
}

/// <summary>What a consumer of this project's events finds in its context.</summary>
public static class ConsumeContextEvents
{
    /// <summary>The event that is being consumed. Its headers are in <see cref="MessageContext.Headers"/>, under the names of <see cref="EventHeaders"/>.</summary>
    public static ReceivedEvent Event(this ConsumeContext context)
        => context.TryGetPayload<ReceivedEvent>(out var received) ? received : throw new InvalidOperationException("this message did not come from an event consumer");
}
