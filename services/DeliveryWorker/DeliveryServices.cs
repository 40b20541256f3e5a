using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using RuleEngineNats.Consumers;
using RuleEngineNats.DeliveryWorker.Authorization;
using RuleEngineNats.DeliveryWorker.Delivery;
using RuleEngineNats.DeliveryWorker.Health;
using RuleEngineNats.DeliveryWorker.Isolation;
using RuleEngineNats.DeliveryWorker.Ordering;
using RuleEngineNats.DeliveryWorker.Payloads;
using RuleEngineNats.DeliveryWorker.Queue;
using RuleEngineNats.DeliveryWorker.Replays;
using RuleEngineNats.DeliveryWorker.Routing;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.DeliveryWorker;

internal static class DeliveryServices
{
    /// <summary>Registers the worker. Hosted services stop in reverse order: the pumps before the writer they wait for, that before MassTransit's bus.</summary>
    public static void AddDelivery(this IHostApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<DeliveryOptions>().BindConfiguration(DeliveryOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton<IValidateOptions<DeliveryOptions>, DeliveryOptionsRules>();
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(static provider => new Drain(
            provider.GetRequiredService<IHostApplicationLifetime>(), provider.GetRequiredService<IOptions<DeliveryOptions>>().Value.DrainTimeout,
            provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton<Routes>();
        services.AddSingleton<ReadBody>();
        services.AddSingleton<CallQueue>();
        services.AddSingleton<RecordedDeliveries>();
        services.AddSingleton(static provider => new DeliveryClient(provider.GetRequiredService<IOptions<DeliveryOptions>>().Value.Egress));
        services.AddSingleton<OAuthTokens>();
        services.AddSingleton(static provider =>
        {
            var clients = new CertificateClients(provider.GetRequiredService<IOptions<DeliveryOptions>>().Value.Egress, DeliveryClient.Resolve);
            provider.GetRequiredService<ConfigWatcher>().Changed += clients.Retain;
            return clients;
        });
        services.AddSingleton<Authorize>();
        services.AddSingleton<PostWebhook>();
        services.AddSingleton<EndpointStates>();
        services.AddSingleton<MakeAttempt>();
        services.AddSingleton<ClaimCalls>();
        services.AddSingleton<ClaimOrdered>();
        services.AddSingleton<ClaimPlan>();
        services.AddSingleton<OpenConsumer>();
        services.AddConsumers();
        AddHosted<Circuits>(services);
        AddHosted<AttemptWriter>(services);
        AddHosted<DetachedAttempts>(services);
        services.AddHostedService<ConsumerStats>();
        services.AddSingleton(Hosting.Pumps);
        services.AddSingleton<ICountedPumps>(static provider => provider.GetRequiredService<StreamPumps>());
        services.AddHostedService(static provider => provider.GetRequiredService<StreamPumps>());
        AddHosted<QueuePump>(services);
        services.AddReplays();
        services.AddHealthChecks()
            .AddCheck<StreamsCheck>("streams", tags: ["ready"])
            .AddCheck<QueueCheck>("queue", tags: ["ready"]);
    }

    private static void AddHosted<T>(IServiceCollection services)
        where T : class, IHostedService
    {
        services.AddSingleton<T>();
        services.AddHostedService(static provider => provider.GetRequiredService<T>());
    }
}
