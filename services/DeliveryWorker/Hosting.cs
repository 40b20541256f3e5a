using MassTransit.Transports;
using Microsoft.Extensions.Options;
using RuleEngineNats.Consumers;
using RuleEngineNats.Contracts;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Queue;
using RuleEngineNats.DeliveryWorker.Streams;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker;

/// <summary>
/// The worker's two consumers, and the pumps of its shared durable. The content rides as a payload of the receive context, so the body that MassTransit
/// deserialises is an empty object and costs the same for every event (docs/consumers.md has the figure), and an event whose body is an array or no JSON at all is none of its
/// business. PostgreSQL owns retries.
/// </summary>
internal static class Hosting
{
    public static readonly byte[] NoBody = [.. "{}"u8];

    public static readonly IReadOnlyDictionary<string, object> NoHeaders = new Dictionary<string, object>();

    private static readonly TimeSpan GivenBackAfterError = TimeSpan.FromSeconds(5);

    public static void AddConsumers(this IServiceCollection services) => services.AddPumpedConsumers(static bus =>
    {
        bus.AddConsumer<DeliverEvent>();
        bus.AddConsumer<DeliverCall>();
    });

    public static StreamPumps Pumps(IServiceProvider provider)
    {
        var options = provider.GetRequiredService<IOptions<DeliveryOptions>>().Value;
        var events = new GroupEvents(provider.GetRequiredService<IReceiveEndpointDispatcher<DeliverEvent>>());
        var work = new PumpWork(
            SharedConsumer.Definition(ConsumerNames.DeliveryWorker, options.AckWait),
            events.HandleAsync, options.Concurrency, options.ProgressEvery, new RedeliveryRule(GivenBackAfterError, GivenBackAfterError, MaxAttempts: null));
        // Without PostgreSQL nothing is taken: what could not be recorded would be held from workers that can.
        var writer = provider.GetRequiredService<AttemptWriter>();
        return ActivatorUtilities.CreateInstance<StreamPumps>(provider, (Func<NatsConfig, StreamDefinition, bool>)((_, _) => writer.IsConnected), work);
    }
}
