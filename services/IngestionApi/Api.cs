using System.Text.Json;
using Microsoft.OpenApi;
using RuleEngineNats.IngestionApi.Batches;
using RuleEngineNats.IngestionApi.DeadLetters;
using RuleEngineNats.IngestionApi.Health;
using RuleEngineNats.IngestionApi.Messages;
using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.IngestionApi.Status;
using RuleEngineNats.IngestionApi.Streams;
using RuleEngineNats.Messaging;
using RuleEngineNats.Problems;

namespace RuleEngineNats.IngestionApi;

/// <summary>What all routes share: registrations, JSON, problems and the OpenAPI document with its page.</summary>
internal static class Api
{
    public const string OpenApiPath = "/api-docs/openapi.json";

    private const string Page = "swagger-ui";

    public static void AddApi(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddOptions<IngestionOptions>().BindConfiguration(IngestionOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower;
            json.SerializerOptions.TypeInfoResolverChain.Insert(0, IngestJson.Default);
        });
        services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
        services.AddSingleton(new ProblemTexts(OpenApiPath, "Ingestion:MaxBatchBytes") { Complete = OlderClients.ForOlderClients });
        services.AddExceptionHandler<ExceptionProblems>();
        services.AddIngestStreams();
        services.AddSingleton<LookAtStream>();
        services.AddSingleton<StreamHeadroom>();
        services.AddHostedService(provider => provider.GetRequiredService<StreamHeadroom>());
        services.AddSingleton<BatchRows>();
        services.AddHostedService(provider => provider.GetRequiredService<BatchRows>());
        services.AddSingleton<EntityHints>();
        services.AddSingleton<KnownKeys>();
        services.AddSingleton<PublishDocument>();
        services.AddSingleton<IngestMessage>();
        services.AddSingleton<IngestBatch>();
        services.AddSingleton<BatchLines>();
        services.AddSingleton<GetBatch>();
        services.AddSingleton<FindStatus>();
        services.AddSingleton<ReadLetter>();
        services.AddSingleton<ResubmitDeadLetter>();
        services.AddSingleton<RedriveDeadLetters>();
        services.AddSingleton<GetHealth>();
        services.AddSingleton<GetStatistics>();
        services.AddOpenApi("v1", openApi => openApi.AddDocumentTransformer(static (document, _, _) =>
        {
            document.Info = new OpenApiInfo
            {
                Title = "RuleEngineNats ingestion",
                Version = "v1",
                Description = "Takes JSON documents, alone and in batches, and says where they are. Errors are RFC 9457 problem details; all problems of a request are reported at once.",
            };
            return Task.CompletedTask;
        }));
    }

    /// <summary>CORS where origins are configured, the OpenAPI document and its page.</summary>
    public static void UseApi(this WebApplication app)
    {
        var origins = app.Configuration.GetSection(IngestionOptions.Section).Get<IngestionOptions>()?.CorsOrigins ?? [];
        if (origins.Length > 0)
        {
            app.UseCors(policy => policy.WithOrigins(origins).AllowAnyMethod().AllowAnyHeader().WithExposedHeaders("Location", "Retry-After", IngestMessage.ReplayedHeader));
        }

        app.MapOpenApi(OpenApiPath);
        app.UseSwaggerUI(page =>
        {
            page.RoutePrefix = Page;
            page.DocumentTitle = "RuleEngineNats ingestion";
            page.SwaggerEndpoint(OpenApiPath, "v1");
        });
    }
}
