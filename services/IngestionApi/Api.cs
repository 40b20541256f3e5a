using RuleEngineNats.IngestionApi.Batches;
using RuleEngineNats.IngestionApi.Messages;
using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.IngestionApi.Streams;
using RuleEngineNats.Messaging;
using RuleEngineNats.Problems;

namespace RuleEngineNats.IngestionApi;

/// <summary>What all routes share.</summary>
internal static class Api
{
    public const string OpenApiPath = "/api-docs/openapi.json";

    public static void AddApi(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<IngestionOptions>().BindConfiguration(IngestionOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton(new ProblemTexts(OpenApiPath, "Ingestion:MaxBatchBytes"));
        services.AddExceptionHandler<ExceptionProblems>();
        services.AddIngestStreams();
        services.AddSingleton<LookAtStream>();
        services.AddSingleton<StreamHeadroom>();
        services.AddHostedService(provider => provider.GetRequiredService<StreamHeadroom>());
        services.AddSingleton<EntityHints>();
        services.AddSingleton<KnownKeys>();
        services.AddSingleton<PublishDocument>();
        services.AddSingleton<IngestMessage>();
        services.AddSingleton<BatchRows>();
        services.AddHostedService(provider => provider.GetRequiredService<BatchRows>());
        services.AddSingleton<IngestBatch>();
    }
}
