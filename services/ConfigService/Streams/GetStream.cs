using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Streams;

internal static class GetStream
{
    public static async Task<IResult> HandleAsync(
        string name, string? connection, NpgsqlDataSource rules, ServerStreams server, CancellationToken cancellationToken)
        => await ReadAsync(rules, connection ?? ConnectionNames.DefaultConfig, name, cancellationToken) is { } stream
            ? Results.Ok(await server.LookAtAsync(stream, cancellationToken))
            : Problem.NotFound("stream_not_found", "There is no stream of this name in this connection.", "GET /api/v1/streams lists them.").ToResult();

    public static async Task<Stream?> ReadAsync(NpgsqlDataSource rules, string connection, string name, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand(
            $"""
            SELECT {Stream.Columns}
              FROM rule_nats_streams s JOIN rule_nats_config c ON c.config_id = s.config_id
             WHERE c.config_name = $1 AND s.stream_name = $2
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = connection });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = name });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        return await row.ReadAsync(cancellationToken) ? Stream.Read(row) : null;
    }
}
