using RuleEngineNats.Contracts;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Streams;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker.Payloads;

/// <summary>
/// Gets the body of an event that lies in the Object Store. One that is nowhere any more makes a dead letter for each webhook: it goes on without a body, with
/// the reason, and keeps what it refers to among its headers, so that it is looked for again should the call be redriven.
/// </summary>
internal sealed class ReadBody(EventBodies bodies)
{
    /// <returns>The event as it can be sent, or as it is recorded. While the result is not disposed of its body counts as held.</returns>
    public async ValueTask<Held> OfAsync(StreamEvent arrived, CancellationToken cancellationToken)
    {
        if (EventBodies.ObjectOf(arrived.Message.Headers) is not { } reference)
        {
            return new(arrived.Outgoing, default);
        }

        try
        {
            var body = await bodies.ReadAsync(arrived.Message, cancellationToken);
            return new(arrived.Outgoing with { Body = body.Bytes }, body);
        }
        catch (PayloadMissingException e)
        {
            return new(arrived.Outgoing with { BodyMissing = e.Message, Headers = [.. arrived.Outgoing.Headers, .. Referring(reference)] }, default);
        }
    }

    /// <summary>The same of a call; one that has its bytes in its row is handed on as it is.</summary>
    public async ValueTask<Held> OfAsync(OutgoingEvent outgoing, CancellationToken cancellationToken)
    {
        if (PayloadObject.Parse(Value(outgoing, EventHeaders.BodyObject), Value(outgoing, EventHeaders.BodyObjectSize)) is not { } reference)
        {
            return new(outgoing, default);
        }

        try
        {
            var body = await bodies.ReadAsync(reference, new(outgoing.EventId, BodyOrigin.TimeOf(Value(outgoing, EventHeaders.CloudEventTime))), cancellationToken);
            return new(
                outgoing with { Body = body.Bytes, Headers = [.. outgoing.Headers.Where(header => header.Key is not (EventHeaders.BodyObject or EventHeaders.BodyObjectSize))] },
                body);
        }
        catch (PayloadMissingException e)
        {
            return new(outgoing with { BodyMissing = e.Message }, default);
        }
    }

    private static KeyValuePair<string, string>[] Referring(PayloadObject reference) =>
    [
        new(EventHeaders.BodyObject, reference.Reference),
        new(EventHeaders.BodyObjectSize, reference.Size.ToString(System.Globalization.CultureInfo.InvariantCulture)),
    ];

    private static string? Value(OutgoingEvent outgoing, string name) => outgoing.Headers.FirstOrDefault(header => header.Key == name).Value;

    internal readonly record struct Held(OutgoingEvent Event, HeldBody Body) : IDisposable
    {
        public void Dispose() => Body.Dispose();
    }
}
