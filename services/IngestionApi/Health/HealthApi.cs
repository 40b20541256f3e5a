namespace RuleEngineNats.IngestionApi.Health;

internal static class HealthApi
{
    public static void MapHealth(this WebApplication app)
    {
        app.MapGet("/health", app.Services.GetRequiredService<GetHealth>().HandleAsync).WithTags("Health").WithName("GetHealth")
            .WithSummary("Says how the process and what it uses are")
            .WithDescription("200 while the process works; an outage of PostgreSQL or NATS is told and restarts nothing.")
            .Produces<Health>().WithProblems(503).DisableHttpMetrics();
        app.MapGet("/ready", GetReady.HandleAsync).WithTags("Health").WithName("GetReady")
            .WithSummary("Says whether documents can be accepted")
            .WithDescription("200 or 503 with what is missing: a connection to nats-server, or a stream. PostgreSQL is needed once at the start, to read the configuration.")
            .Produces<Readiness>().WithProblems(503).DisableHttpMetrics();
        app.MapGet("/stats", app.Services.GetRequiredService<GetStatistics>().HandleAsync).WithTags("Health").WithName("GetStatistics")
            .WithSummary("Counts documents: of all workers, in the stream, and by this process")
            .WithDescription("Completed documents and dead letters are exact sums of what workers wrote in the transactions that stored them.")
            .Produces<Statistics>().WithProblems(503);
    }
}
