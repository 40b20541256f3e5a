using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using RuleEngineNats.Consumers;
using RuleEngineNats.Entities;
using RuleEngineNats.IngestionWorker.DeadLetters;
using RuleEngineNats.IngestionWorker.Pumping;
using RuleEngineNats.IngestionWorker.Reading;
using RuleEngineNats.IngestionWorker.Storing;
using RuleEngineNats.IngestionWorker.Tables;
using RuleEngineNats.IngestionWorker.Upkeep;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.IngestionWorker;

internal static class WorkerServices
{
    /// <summary>Registers the worker. Hosted services stop in reverse order: the pump first, and MassTransit's bus after it.</summary>
    public static void AddIngestion(this IHostApplicationBuilder builder)
    {
        builder.AddEntities();
        var services = builder.Services;
        services.AddOptions<IngestionWorkerOptions>().BindConfiguration(IngestionWorkerOptions.Section).ValidateDataAnnotations()
            .Validate(static options => options.AckWait >= 2 * options.ProgressEvery, "AckWait must be at least twice ProgressEvery, or one lost report makes a document come again.")
            .ValidateOnStart();
        services.AddSingleton(static provider => provider.GetRequiredService<IOptions<IngestionWorkerOptions>>().Value);
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(static provider => new Drain(
            provider.GetRequiredService<IHostApplicationLifetime>(), provider.GetRequiredService<IngestionWorkerOptions>().DrainTimeout, provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton<OpenConsumer>();
        services.AddSingleton<ReadBatch>();
        services.AddSingleton<Writers>();
        services.AddSingleton<Obstacles>();
        services.AddSingleton<StoreDocuments>();
        services.AddSingleton(static provider => ActivatorUtilities.CreateInstance<SendDeadLetters>(provider, provider.GetRequiredService<IOptions<IngestStreamOptions>>().Value.Config));
        services.AddSingleton<RunBatches>();
        services.AddPumpedConsumers(static bus => bus.AddConsumer<StoreBatch>());
        AddHosted<EntityTables>(services);
        services.AddHostedService<ConsumerStats>();
        services.AddHostedService<MaintainStatus>();
        services.AddHostedService<TrimStream>();
        AddHosted<BatchPump>(services);
        services.AddSingleton<ICountedPumps>(static provider => provider.GetRequiredService<BatchPump>());
        services.AddHealthChecks()
            .AddCheck<EntityTables>("entities", tags: ["ready"])
            .AddCheck<PumpCheck>("documents", tags: ["ready"]);
    }

    private static void AddHosted<T>(IServiceCollection services)
        where T : class, IHostedService
    {
        services.AddSingleton<T>();
        services.AddHostedService(static provider => provider.GetRequiredService<T>());
    }
}
