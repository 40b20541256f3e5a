namespace RuleEngineNats.ConfigService.Pool;

internal static class PoolApi
{
    public static void MapPool(this RouteGroupBuilder api)
        => api.MapGet("/pool", GetPool.Handle).WithTags("Pool").WithName("GetPool")
            .WithSummary("Shows this service's pool of NATS connections")
            .WithDescription("Covers the connections of this one process to the servers of the connection default, counted since it started: it creates streams and asks about "
                + "them. The publish service has a pool of its own in each replica: see the connection's health.")
            .Produces<PoolAnswer>();
}
