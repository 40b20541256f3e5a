using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.IngestionApi.Streams;
using RuleEngineNats.Problems;

namespace RuleEngineNats.IngestionApi.Status;

/// <summary>A page of documents.</summary>
/// <param name="Items">Those of which a worker has recorded something, in the order of their acceptance.</param>
/// <param name="NextCursor">What to give as cursor for the next page; null when this is the last.</param>
/// <param name="Pending">Documents in the stream that no worker has acknowledged, of any entity; null where nats-server does not say.</param>
internal sealed record StatusPage(IReadOnlyList<DocumentStatus> Items, string? NextCursor, long? Pending);

/// <summary>GET /ingest/status.</summary>
internal static class ListStatus
{
    public static async Task<IResult> HandleAsync(
        string? since, string? until, string? status, string? entity, string? limit, string? cursor, NpgsqlDataSource rules, LookAtStream look, CancellationToken cancellationToken)
    {
        var query = new QueryReader();
        var wanted = new StatusQuery
        {
            Since = query.Time("since", since),
            Until = query.Time("until", until),
            Status = status,
            Entity = entity,
            Limit = query.Integer("limit", limit, 1, StatusQuery.MostLimit) ?? StatusQuery.DefaultLimit,
            After = Cursor.Read(cursor, query.Problems),
        };
        query.Problems.OneOf("status", status, IngestStatus.Accepted, IngestStatus.Processing, IngestStatus.Completed, IngestStatus.Failed, IngestStatus.DeadLetter);
        query.Problems.Text("entity", entity, 255);
        if (query.Problems.ToProblem() is { } problem)
        {
            return problem.ForOlderClients().ToResult();
        }

        var pending = (await look.LookAsync(cancellationToken))?.Pending;
        var rows = await wanted.ListAsync(rules, DocumentStatus.Columns, DocumentStatus.Read, cancellationToken);
        return Results.Ok(rows.Count <= wanted.Limit
            ? new StatusPage(rows, null, pending)
            : new StatusPage(rows[..wanted.Limit], NextOf(rows[wanted.Limit - 1]), pending));
    }

    private static string NextOf(DocumentStatus last) => new Cursor(last.ReceivedAt!.Value, last.MessageId).ToString();
}
