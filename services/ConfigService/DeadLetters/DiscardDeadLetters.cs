using Npgsql;

namespace RuleEngineNats.ConfigService.DeadLetters;

/// <summary>Deletes dead letters: one, or those of a webhook that a filter selects.</summary>
internal static class DiscardDeadLetters
{
    public static async Task<IResult> HandleAsync(string callId, NpgsqlDataSource rules, CancellationToken cancellationToken)
        => CallIds.Parse(callId) is not { } id ? CallIds.NotFound(callId)
            : await RunAsync(rules, id, cancellationToken) ? Results.NoContent()
            : CallIds.NotDead(id).ToResult();

    public static Task<IResult> HandleAllAsync(string webhook, HttpRequest request, NpgsqlDataSource rules, CancellationToken cancellationToken)
        => RedriveDeadLetters.AnswerAsync(webhook, request, rules, RunAllAsync, cancellationToken);

    public static async Task<bool> RunAsync(NpgsqlDataSource rules, long callId, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand("SELECT rule_webhook_discard($1)");
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = callId });
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    public static Task<long> RunAllAsync(NpgsqlDataSource rules, int webhookId, DeadLetterFilter filter, CancellationToken cancellationToken)
        => RedriveDeadLetters.RunAllAsync(rules.CreateCommand("SELECT rule_webhook_discard_all($1, $2, $3)"), webhookId, filter, cancellationToken);
}
