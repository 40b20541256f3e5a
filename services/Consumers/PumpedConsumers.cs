using MassTransit;
using Microsoft.Extensions.DependencyInjection;

namespace RuleEngineNats.Consumers;

/// <summary>MassTransit hosts the consumers without a transport of its own: the pumps hand what they took to its dispatchers. Its retries, faults and error queues are off.</summary>
internal static class PumpedConsumers
{
    public static void AddPumpedConsumers(this IServiceCollection services, Action<IBusRegistrationConfigurator>? configure = null) => services.AddMassTransit(bus =>
    {
        // By default it reports to its makers over the internet; these processes call what they are told to and nothing else.
        bus.DisableUsageTelemetry();
        configure?.Invoke(bus);
        bus.AddConfigureEndpointsCallback(static (_, endpoint) =>
        {
            endpoint.ClearSerialization();
            endpoint.UseRawJsonSerializer(RawSerializerOptions.All);
            // What no consumer takes would pass for consumed.
            endpoint.ThrowOnSkippedMessages();
        });
        // A bus has to exist for its dispatchers to; nothing is ever sent on it.
        bus.UsingInMemory(static (_, _) => { });
    });
}
