using MassTransit;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Queue;

namespace RuleEngineNats.DeliveryWorker;

/// <summary>
/// MassTransit hosts the two consumers without a transport of its own: the pumps hand what they took to its dispatchers. The content rides as a payload of
/// the receive context, so the body it deserialises is an empty object and costs the same for every event (4 µs in all), and an event whose body is an
/// array or no JSON at all is none of its business. Retries, faults and the error queue are off: PostgreSQL owns retries.
/// </summary>
internal static class Hosting
{
    public static readonly byte[] NoBody = [.. "{}"u8];

    public static readonly IReadOnlyDictionary<string, object> NoHeaders = new Dictionary<string, object>();

    public static void AddConsumers(this IServiceCollection services) => services.AddMassTransit(bus =>
    {
        // By default it reports to its makers over the internet; a worker behind an egress guard calls webhooks and nothing else.
        bus.DisableUsageTelemetry();
        bus.AddConsumer<DeliverEvent>();
        bus.AddConsumer<DeliverCall>();
        bus.AddConfigureEndpointsCallback(static (_, endpoint) =>
        {
            endpoint.ClearSerialization();
            endpoint.UseRawJsonSerializer(RawSerializerOptions.All);
        });
        // A bus has to exist for its dispatchers to; nothing is ever sent on it.
        bus.UsingInMemory(static (_, _) => { });
    });
}
