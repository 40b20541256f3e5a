using Npgsql;

namespace RuleEngineNats.ConfigService.Connections;

internal static class ListConnections
{
    public static async Task<IResult> HandleAsync(NpgsqlDataSource rules, EffectiveUrls effective, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand($"SELECT {Connection.Columns} FROM rule_nats_config c ORDER BY c.config_name");
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        var connections = new List<Connection>();
        while (await row.ReadAsync(cancellationToken))
        {
            connections.Add(Connection.Read(row, effective));
        }

        return Results.Ok(new ConnectionList(connections));
    }
}
