using Npgsql;
using RuleEngineNats.ConfigService.Problems;

namespace RuleEngineNats.ConfigService.Connections;

internal static class GetConnectionHealth
{
    public static async Task<IResult> HandleAsync(string name, NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand("SELECT rule_nats_health_check(c.config_name)::text FROM rule_nats_config c WHERE c.config_name = $1");
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = name });
        return await command.ExecuteScalarAsync(cancellationToken) is string health
            ? Results.Text(health, Api.Json)
            : NoSuch.Connection(name).ToResult();
    }
}
