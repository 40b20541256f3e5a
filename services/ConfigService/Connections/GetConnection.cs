using Npgsql;
using RuleEngineNats.ConfigService.Problems;

namespace RuleEngineNats.ConfigService.Connections;

internal static class GetConnection
{
    public static async Task<IResult> HandleAsync(string name, NpgsqlDataSource rules, EffectiveUrls effective, CancellationToken cancellationToken)
    {
        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        return await ReadAsync(connection, name, effective, cancellationToken) is { } found
            ? Results.Ok(found)
            : NoSuch.Connection(name).ToResult();
    }

    public static async Task<Connection?> ReadAsync(
        NpgsqlConnection connection, string name, EffectiveUrls effective, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand($"SELECT {Connection.Columns} FROM rule_nats_config c WHERE c.config_name = $1", connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = name });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        return await row.ReadAsync(cancellationToken) ? Connection.Read(row, effective) : null;
    }
}
