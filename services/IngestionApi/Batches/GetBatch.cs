using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using RuleEngineNats.Contracts;
using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.IngestionApi.Status;
using RuleEngineNats.IngestionApi.Streams;
using RuleEngineNats.Problems;

namespace RuleEngineNats.IngestionApi.Batches;

/// <summary>GET /ingest/batch/{batchId}.</summary>
internal sealed class GetBatch(BatchLines lines, BatchRows rows, LookAtStream look, FindStatus find, IOptions<IngestionOptions> options)
{
    public const int MostLines = 1000;
    public const int DefaultLines = 100;

    private const string Field = "batch_id";
    private const int MostRemembered = 10_000;

    private static readonly Refusal NotFound = new(
        404, "batch_not_found", Field, "Batch not found", "Give an id that was returned here; a batch is known a moment after its answer, and one of which nothing was stored in time has expired.");

    // Of batches whose row was lost with a process: what was in the stream when they were first asked for. Once workers are beyond that, all there is of them is recorded.
    private readonly ConcurrentDictionary<Guid, ulong> _rowless = new();

    public async Task<IResult> HandleAsync(string batchId, string? lines, string? status, string? limit, string? after, CancellationToken cancellationToken)
    {
        var query = new QueryReader();
        var wantsLines = query.Boolean("lines", lines) ?? false;
        var most = query.Integer("limit", limit, 1, MostLines) ?? DefaultLines;
        var past = query.Integer("after", after, 0, IngestMessageId.MaxLine) ?? 0;
        query.Problems.OneOf("status", status, IngestStatus.Processing, IngestStatus.Completed, IngestStatus.Failed, IngestStatus.DeadLetter);
        if (query.Problems.ToProblem() is { } problem)
        {
            return problem.ForOlderClients().ToResult();
        }

        if (FindStatus.ParseId(batchId, Field, out var id) is { } refusal)
        {
            return refusal.ToProblem().ToResult();
        }

        if (await RunAsync(id, cancellationToken) is not { } batch)
        {
            return NotFound.ToProblem().ToResult();
        }

        return Results.Ok(wantsLines ? await WithLinesAsync(batch, past, status, most, cancellationToken) : batch);
    }

    private async Task<BatchStatus?> RunAsync(Guid id, CancellationToken cancellationToken)
    {
        if (!IngestMessageId.IsIssued(id))
        {
            return null;
        }

        if (rows.FindUnwritten(id) is { } unwritten)
        {
            return await OfRowAsync(unwritten, cancellationToken);
        }

        return await lines.FindRowAsync(id, cancellationToken) is { } row ? await OfRowAsync(row, cancellationToken) : await RowlessAsync(id, cancellationToken);
    }

    private async Task<BatchStatus> OfRowAsync(BatchRow row, CancellationToken cancellationToken)
    {
        var counts = await lines.CountAsync(row.Id, row.Lines, cancellationToken);
        var pending = row.Accepted - counts.Completed - counts.DeadLetters;
        var expired = 0;
        if (pending > 0 && !await find.MayBeOnItsWayAsync(row.Id, cancellationToken))
        {
            // What was on its way at the first count may have arrived since.
            counts = await lines.CountAsync(row.Id, row.Lines, cancellationToken);
            expired = Math.Max(0, row.Accepted - counts.Recorded);
            pending = Math.Max(0, counts.Recorded - counts.Completed - counts.DeadLetters);
        }

        return Make(row, counts, Math.Max(0, pending), expired);
    }

    private async Task<BatchStatus?> RowlessAsync(Guid id, CancellationToken cancellationToken)
    {
        var isOver = await IsOverAsync(id, cancellationToken);
        var counts = await lines.CountAsync(id, options.Value.MaxLines, cancellationToken);
        if (isOver && counts.Recorded == 0)
        {
            return null;
        }

        var open = counts.Recorded - counts.Completed - counts.DeadLetters;
        return Make(new(id, counts.FirstReceivedAt ?? default, counts.HighestLine, counts.Recorded, 0, 0, IsComplete: false), counts, isOver ? open : Math.Max(1, open), 0);
    }

    private async Task<bool> IsOverAsync(Guid id, CancellationToken cancellationToken)
    {
        if (!await find.MayBeOnItsWayAsync(id, cancellationToken))
        {
            return true;
        }

        if (await look.LookAsync(cancellationToken) is not { Waiting: not null } seen)
        {
            return false;
        }

        if (_rowless.Count >= MostRemembered)
        {
            _rowless.Clear();
        }

        return seen.AckFloor >= _rowless.GetOrAdd(id, seen.LastSequence);
    }

    private async Task<BatchStatus> WithLinesAsync(BatchStatus batch, int after, string? status, int limit, CancellationToken cancellationToken)
    {
        var found = await lines.ListAsync(batch.BatchId, after, batch.Lines, status, limit, cancellationToken);
        return found.Count <= limit ? batch with { Items = found } : batch with { Items = found[..limit], NextAfter = found[limit - 1].Line };
    }

    private static BatchStatus Make(BatchRow row, LineCounts counts, int pending, int expired) => new()
    {
        BatchId = row.Id,
        Status = pending > 0 ? counts.Recorded == 0 ? IngestStatus.Accepted : IngestStatus.Processing
            : row.Rejected + row.Unavailable + counts.DeadLetters + expired > 0 ? "completed_with_errors"
            : IngestStatus.Completed,
        ReceivedAt = row.ReceivedAt == default ? null : row.ReceivedAt,
        Lines = row.Lines,
        Accepted = row.Accepted,
        Rejected = row.Rejected,
        Unavailable = row.Unavailable,
        Completed = counts.Completed,
        Failed = counts.Failed,
        Dlq = counts.DeadLetters,
        Pending = pending,
        Expired = expired,
        Complete = row.IsComplete,
    };
}
