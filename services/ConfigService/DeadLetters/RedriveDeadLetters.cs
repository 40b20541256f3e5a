using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.ConfigService.Problems;
using RuleEngineNats.ConfigService.Webhooks;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.DeadLetters;

/// <param name="Count">How many dead letters.</param>
internal sealed record DeadLetterCount(long Count);

/// <summary>Makes dead letters due again: one, or those of a webhook that a filter selects.</summary>
internal static class RedriveDeadLetters
{
    public static async Task<IResult> HandleAsync(string callId, NpgsqlDataSource rules, CancellationToken cancellationToken)
        => CallIds.Parse(callId) is not { } id ? CallIds.NotFound(callId)
            : await RunAsync(rules, id, cancellationToken) ? Results.NoContent()
            : CallIds.NotDead(id).ToResult();

    public static Task<IResult> HandleAllAsync(string webhook, HttpRequest request, NpgsqlDataSource rules, CancellationToken cancellationToken)
        => AnswerAsync(webhook, request, rules, RunAllAsync, cancellationToken);

    public static async Task<IResult> AnswerAsync(
        string webhook, HttpRequest request, NpgsqlDataSource rules, Func<NpgsqlDataSource, int, DeadLetterFilter, CancellationToken, Task<long>> run,
        CancellationToken cancellationToken)
    {
        var body = await RequestBody<DeadLetterFilter>.ReadAsync(request, ConfigJson.Default.DeadLetterFilter, cancellationToken, optional: true);
        body.Value.Check(body.Problems);
        if (body.Refusal() is { } refusal)
        {
            return refusal;
        }

        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        return await FindWebhook.IdAsync(connection, webhook, cancellationToken) is { } id
            ? Results.Ok(new DeadLetterCount(await run(rules, id, body.Value, cancellationToken)))
            : NoSuch.Webhook(webhook).ToResult();
    }

    public static async Task<bool> RunAsync(NpgsqlDataSource rules, long callId, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand("SELECT rule_webhook_redrive($1)");
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = callId });
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    public static Task<long> RunAllAsync(NpgsqlDataSource rules, int webhookId, DeadLetterFilter filter, CancellationToken cancellationToken)
        => RunAllAsync(rules.CreateCommand("SELECT rule_webhook_redrive_all($1, $2, $3)"), webhookId, filter, cancellationToken);

    public static async Task<long> RunAllAsync(NpgsqlCommand command, int webhookId, DeadLetterFilter filter, CancellationToken cancellationToken)
    {
        await using (command)
        {
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = webhookId });
            command.Parameters.Add(filter.ToSql());
            command.Parameters.Add(Sql.Of(filter.Limit, NpgsqlDbType.Integer));
            return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
        }
    }
}
