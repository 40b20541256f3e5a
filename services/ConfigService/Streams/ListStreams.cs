using Npgsql;
using NpgsqlTypes;

namespace RuleEngineNats.ConfigService.Streams;

internal static class ListStreams
{
    public static async Task<IResult> HandleAsync(string? connection, NpgsqlDataSource rules, ServerStreams server, CancellationToken cancellationToken)
    {
        var streams = await ReadAsync(rules, connection, cancellationToken);
        var looked = await Task.WhenAll(streams.Select(stream => server.LookAtAsync(stream, cancellationToken)));
        return Results.Ok(new StreamList(looked));
    }

    private static async Task<List<Stream>> ReadAsync(NpgsqlDataSource rules, string? connection, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand(
            $"""
            SELECT {Stream.Columns}
              FROM rule_nats_streams s JOIN rule_nats_config c ON c.config_id = s.config_id
             WHERE $1 IS NULL OR c.config_name = $1
             ORDER BY c.config_name, s.stream_name
            """);
        command.Parameters.Add(Sql.Of(connection, NpgsqlDbType.Text));
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        var streams = new List<Stream>();
        while (await row.ReadAsync(cancellationToken))
        {
            streams.Add(Stream.Read(row));
        }

        return streams;
    }
}
