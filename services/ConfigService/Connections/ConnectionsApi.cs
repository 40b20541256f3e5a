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
        connections.MapPut("/{name}", PutConnection.HandleAsync).WithName("PutConnection")
            .WithSummary("Makes or replaces a NATS connection")
            .WithDescription("What is left out gets its default. Credentials are not stored here: the services have them in Messaging:Credentials:<name>. "
                + "Services open a connection when they first need it; a changed URL takes effect with their restart.")
            .WithParameter("name", "1 to 128 characters of A-Z, a-z, 0-9, _, . and -.")
            .WithBody<PutConnection.Request>().Produces<Connection>().Produces<Connection>(201).WithProblems();
    }
}
