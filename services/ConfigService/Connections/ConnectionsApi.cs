using System.Text.Json;
namespace RuleEngineNats.ConfigService.Connections;

internal static class ConnectionsApi
{
    public static void MapConnections(this RouteGroupBuilder api)
    {
        var connections = api.MapGroup("/connections").WithTags("Connections");
        connections.MapGet("/", ListConnections.HandleAsync).WithName("ListConnections")
            .WithSummary("Lists the NATS connections")
            .WithDescription("Named configurations of how the services reach NATS. URLs are shown without user information; tokens and seeds are not part of any answer.")
            .Produces<ConnectionList>().WithProblems();
        connections.MapGet("/{name}", GetConnection.HandleAsync).WithName("GetConnection")
            .WithSummary("Shows one NATS connection").WithDescription("url is the table's, effectiveUrl what this service uses.")
            .WithParameter("name", "Name of the connection.")
            .Produces<Connection>().WithProblems(404);
        connections.MapGet("/{name}/health", GetConnectionHealth.HandleAsync).WithName("GetConnectionHealth")
            .WithSummary("Shows what the running services see of one NATS connection")
            .WithDescription("What rule_nats_health_check answers: the publish service's pool, and the report of each service. A connection that nobody has reported about has connected false.")
            .WithParameter("name", "Name of the connection.")
            .Produces<JsonElement>().WithProblems(404);
        connections.MapPut("/{name}", PutConnection.HandleAsync).WithName("PutConnection")
            .WithSummary("Makes or replaces a NATS connection")
            .WithDescription("What is left out gets its default. Token and seed are kept as they are: set them with rule_nats_configure, or as Messaging:Credentials:<name> "
                + "of the services. Running services take the change up within two seconds and finish on the old connections what is under way.")
            .WithParameter("name", "1 to 128 characters of A-Z, a-z, 0-9, _, . and -.")
            .WithBody<PutConnection.Request>().Produces<Connection>().Produces<Connection>(201).WithProblems();
    }
}
