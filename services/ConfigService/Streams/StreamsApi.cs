namespace RuleEngineNats.ConfigService.Streams;

internal static class StreamsApi
{
    public static void MapStreams(this RouteGroupBuilder api)
    {
        var streams = api.MapGroup("/streams").WithTags("Streams");
        streams.MapGet("/", ListStreams.HandleAsync).WithName("ListStreams")
            .WithSummary("Lists the streams")
            .WithDescription("Each definition with what the server has: messages, bytes, sequences, consumers, and where it differs.")
            .WithParameter("connection", "Only streams of this NATS connection.")
            .Produces<StreamList>().WithProblems();
        streams.MapPost("/", CreateStream.HandleAsync).WithName("CreateStream")
            .WithSummary("Defines a stream and creates it on the server")
            .WithDescription("201 when it is new; 200 with notices when a definition of this name exists and takes the subjects, which is then left as it is. "
                + "If the server is away the definition is kept and created there later: see provisioning.")
            .WithBody<CreateStream.Request>().Produces<CreateStream.Answer>(201).Produces<CreateStream.Answer>().WithProblems(404, 409);
        streams.MapGet("/{name}", GetStream.HandleAsync).WithName("GetStream")
            .WithSummary("Shows one stream").WithDescription("The definition with what the server has now.")
            .WithParameter("name", "Name of the stream.")
            .WithParameter("connection", "Its NATS connection; default by default.")
            .Produces<Stream>().WithProblems(404);
    }
}
