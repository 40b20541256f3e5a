using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.IngestionApi.Status;
using RuleEngineNats.Problems;

namespace RuleEngineNats.IngestionApi.DeadLetters;

/// <summary>GET /ingest/dead-letters.</summary>
internal static class ListDeadLetters
{
    public static async Task<IResult> HandleAsync(
        string? since, string? until, string? entity, string? code, string? limit, string? cursor, NpgsqlDataSource rules, CancellationToken cancellationToken)
    {
        var query = new QueryReader();
        var wanted = new StatusQuery
        {
            Since = query.Time("since", since),
            Until = query.Time("until", until),
            Status = IngestStatus.DeadLetter,
            Entity = entity,
            Code = code,
            Limit = query.Integer("limit", limit, 1, StatusQuery.MostLimit) ?? StatusQuery.DefaultLimit,
            After = Cursor.Read(cursor, query.Problems),
        };
        query.Problems.Text("entity", entity, 255);
        query.Problems.Text("code", code, 100);
        if (query.Problems.ToProblem() is { } problem)
        {
            return problem.ForOlderClients().ToResult();
        }

        var rows = await wanted.ListAsync(rules, DeadLetter.Columns, DeadLetter.Read, cancellationToken);
        return Results.Ok(rows.Count <= wanted.Limit
            ? new DeadLetterPage(rows, null)
            : new DeadLetterPage(rows[..wanted.Limit], CursorOf(rows[wanted.Limit - 1]).ToString()));
    }

    public static Cursor CursorOf(DeadLetter letter) => new(letter.ReceivedAt, letter.MessageId);
}
