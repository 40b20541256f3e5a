namespace RuleEngineNats.IngestionApi.Batches;

internal static class BatchesApi
{
    public static void MapBatches(this WebApplication app)
    {
        var slice = app.Services.GetRequiredService<IngestBatch>();
        app.MapPost("/ingest/batch", slice.HandleAsync);
        app.MapPost("/ingest/batch/{entity}", slice.HandleAsync);
    }
}
