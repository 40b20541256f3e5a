using Npgsql;

namespace RuleEngineNats.ConfigService.DeadLetters;

internal static class GetDeadLetter
{
    public static async Task<IResult> HandleAsync(string callId, NpgsqlDataSource rules, CancellationToken cancellationToken)
        => CallIds.Parse(callId) is { } id ? Results.Ok(await RunAsync(rules, id, cancellationToken)) : CallIds.NotFound(callId);

    public static async Task<DeadLetterDetail> RunAsync(NpgsqlDataSource rules, long callId, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand("SELECT rule_webhook_dead_letter($1)::text");
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = callId });
        return DeadLetterDetail.FromSql((string)(await command.ExecuteScalarAsync(cancellationToken))!);
    }
}
