using System.Globalization;
using Npgsql;
using NpgsqlTypes;
using RuleEngineNats.ConfigService.Problems;
using RuleEngineNats.ConfigService.Webhooks;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.DeadLetters;

/// <param name="Items">The dead letters in the order of their call ids, without payloads.</param>
/// <param name="Next">What to give as after for the next page; null when this is the last.</param>
internal sealed record DeadLetterPage(IReadOnlyList<DeadLetter> Items, long? Next);

internal static class ListDeadLetters
{
    public const int MaxLimit = 1000;

    public const int DefaultLimit = 100;

    public static async Task<IResult> HandleAsync(
        string? webhook, string? from, string? to, string? status, string? limit, string? after, NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        var query = new QueryReader();
        var filter = new DeadLetterFilter { From = query.Time("from", from), To = query.Time("to", to), ResponseStatus = query.Integer("status", status, 100, 999) };
        var most = query.Integer("limit", limit, 1, MaxLimit) ?? DefaultLimit;
        var past = query.Long("after", after, 0) ?? 0;
        if (query.Problems.ToProblem() is { } problem)
        {
            return problem.ToResult();
        }

        if (webhook is null)
        {
            return Results.Ok(await RunAsync(rules, null, filter, past, most, cancellationToken));
        }

        return await FindAsync(rules, webhook, cancellationToken) is { } id
            ? Results.Ok(await RunAsync(rules, id, filter, past, most, cancellationToken))
            : NoSuch.Webhook(webhook).ToResult();
    }

    public static async Task<DeadLetterPage> RunAsync(
        NpgsqlDataSource rules, int? webhookId, DeadLetterFilter filter, long after, int limit, CancellationToken cancellationToken)
    {
        await using var command = rules.CreateCommand($"SELECT {DeadLetter.Columns} FROM rule_webhook_dead_letter_list($1, $2, $3, $4)");
        command.Parameters.Add(Sql.Of(webhookId, NpgsqlDbType.Integer));
        command.Parameters.Add(filter.ToSql());
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = after });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit + 1 });
        await using var row = await command.ExecuteReaderAsync(cancellationToken);
        var letters = new List<DeadLetter>();
        while (await row.ReadAsync(cancellationToken))
        {
            letters.Add(DeadLetter.Read(row));
        }

        return letters.Count <= limit ? new(letters, null) : new(letters[..limit], letters[limit - 1].CallId);
    }

    // Dead letters outlive their webhook, whose id alone is known then.
    private static async Task<int?> FindAsync(NpgsqlDataSource rules, string webhook, CancellationToken cancellationToken)
    {
        await using var connection = await rules.OpenConnectionAsync(cancellationToken);
        return await FindWebhook.IdAsync(connection, webhook, cancellationToken)
            ?? (int.TryParse(webhook, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : null);
    }
}
