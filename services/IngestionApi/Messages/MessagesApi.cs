namespace RuleEngineNats.IngestionApi.Messages;

internal static class MessagesApi
{
    public static void MapMessages(this WebApplication app)
    {
        var slice = app.Services.GetRequiredService<IngestMessage>();
        app.MapPost("/ingest/message", slice.HandleAsync);
        app.MapPost("/ingest/message/{entity}", slice.HandleAsync);
    }
}
