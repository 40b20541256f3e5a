namespace RuleEngineNats.ConfigService.Statistics;

internal static class StatisticsApi
{
    public static void MapStatistics(this RouteGroupBuilder api)
    {
        var publish = api.MapGroup("/publish-statistics").WithTags("Statistics");
        publish.MapGet("/", GetPublishStatistics.HandleAsync).WithName("GetPublishStatistics")
            .WithSummary("Counts what was published")
            .WithDescription("Over the last hours, of one webhook or of all. pending is neither successful nor failed; the success rate is of what is finished.")
            .WithParameter("webhookId", "Only this webhook; all by default.", (1, int.MaxValue))
            .WithParameter("hours", "How far back: 24 by default.", (1, GetPublishStatistics.MaxHours))
            .Produces<PublishStatistics>().WithProblems(404);
        publish.MapGet("/webhooks", ListPublishSummary.HandleAsync).WithName("ListPublishSummary")
            .WithSummary("Sums up what each webhook published")
            .WithDescription("Each NATS-enabled webhook over its whole history (view nats_publish_summary).")
            .Produces<PublishSummary>().WithProblems();
        publish.MapGet("/latencies", ListPublishLatencies.HandleAsync).WithName("ListPublishLatencies")
            .WithSummary("Shows publish latencies by webhook and subject")
            .WithDescription("Events stored in the last 24 hours (view nats_performance_stats).")
            .Produces<PublishLatencies>().WithProblems();
        publish.MapGet("/failures", ListPublishFailures.HandleAsync).WithName("ListPublishFailures")
            .WithSummary("Lists the newest refused events")
            .WithDescription("At most 100 of the last 24 hours (view nats_recent_failures), without their payloads.")
            .Produces<PublishFailures>().WithProblems();
        api.MapGet("/delivery-statistics", ListDeliverySummary.HandleAsync).WithTags("Statistics").WithName("ListDeliverySummary")
            .WithSummary("Sums up the deliveries of each webhook")
            .WithDescription("Calls over both paths and how they ended (view webhook_status_summary).")
            .Produces<DeliverySummary>().WithProblems();
    }
}
