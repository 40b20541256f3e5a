using Npgsql;
using RuleEngineNats.Contracts;
using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.IngestionApi.Status;
using RuleEngineNats.Problems;

namespace RuleEngineNats.IngestionApi.DeadLetters;

/// <summary>POST /ingest/dead-letters/redrive: sends those again that a filter selects, as they were.</summary>
internal sealed class RedriveDeadLetters(NpgsqlDataSource rules, ResubmitDeadLetter resubmit, TimeProvider time)
{
    public const int MostLimit = 10_000;
    public const int DefaultLimit = 1000;

    private const int Portion = 100;

    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(20);

    /// <summary>Which dead letters; everything is optional. Those that were sent again already are not meant.</summary>
    internal sealed class Request
    {
        /// <summary>Those of this entity.</summary>
        public string? Entity { get; set; }

        /// <summary>Those with this error code.</summary>
        public string? Code { get; set; }

        /// <summary>Those accepted at this time (RFC 3339) or later.</summary>
        public DateTimeOffset? Since { get; set; }

        /// <summary>Those accepted before this time (RFC 3339).</summary>
        public DateTimeOffset? Until { get; set; }

        /// <summary>Most dead letters to look at, 1 to 10,000; 1,000 by default.</summary>
        public int? Limit { get; set; }

        /// <summary>next_cursor of the answer before, to go on behind those.</summary>
        public string? Cursor { get; set; }
    }

    /// <summary>What became of them.</summary>
    /// <param name="Resubmitted">Sent again.</param>
    /// <param name="Failed">Refused as they are, such as for an entity that is gone; correct and resubmit them one by one.</param>
    /// <param name="Expired">Without a document: the stream no longer has it.</param>
    /// <param name="Remaining">Further ones that match and were not looked at.</param>
    /// <param name="NextCursor">Where to go on; null where nothing remains.</param>
    internal sealed record Answer(int Resubmitted, int Failed, int Expired, long Remaining, string? NextCursor);

    public async Task<IResult> HandleAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        var body = await RequestBody<Request>.ReadAsync(request, IngestJson.Default.RedriveRequest, cancellationToken, optional: true);
        body.Problems.Text("entity", body.Value.Entity, 255);
        body.Problems.Text("code", body.Value.Code, 100);
        body.Problems.Range("limit", body.Value.Limit, 1, MostLimit);
        var after = Cursor.Read(body.Value.Cursor, body.Problems);
        if (body.ToProblem() is { } problem)
        {
            return problem.ForOlderClients().ToResult();
        }

        var query = new StatusQuery
        {
            Status = IngestStatus.DeadLetter,
            OnlyOpen = true,
            Entity = body.Value.Entity,
            Code = body.Value.Code,
            Since = body.Value.Since,
            Until = body.Value.Until,
            After = after,
        };
        var (answer, refusal) = await RunAsync(query, body.Value.Limit ?? DefaultLimit, cancellationToken);
        return answer is null ? refusal!.ToProblem().ToResult() : Results.Ok(answer);
    }

    private async Task<(Answer? Answer, Refusal? Refusal)> RunAsync(StatusQuery query, int limit, CancellationToken cancellationToken)
    {
        var (sent, failed, expired) = (0, 0, 0);
        var began = time.GetTimestamp();
        while (sent + failed + expired < limit && time.GetElapsedTime(began) < Longest)
        {
            var letters = await (query with { Limit = Math.Min(Portion, limit - sent - failed - expired) }).ListAsync(rules, DeadLetter.Columns, DeadLetter.Read, cancellationToken);
            foreach (var letter in letters.Take(Math.Min(Portion, limit - sent - failed - expired)))
            {
                var (_, refusal) = await resubmit.RunAsync(letter.MessageId, default, null, cancellationToken);
                if (refusal is { IsUnavailable: true })
                {
                    // The rest would meet the same.
                    return sent + failed + expired == 0 ? (null, refusal) : (await EndAsync(query, sent, failed, expired, cancellationToken), null);
                }

                sent += refusal is null ? 1 : 0;
                expired += refusal?.Code == ReadLetter.Expired.Code ? 1 : 0;
                failed += refusal is not null && refusal.Code != ReadLetter.Expired.Code ? 1 : 0;
                query = query with { After = ListDeadLetters.CursorOf(letter) };
            }

            if (letters.Count == 0)
            {
                break;
            }
        }

        return (await EndAsync(query, sent, failed, expired, cancellationToken), null);
    }

    private async Task<Answer> EndAsync(StatusQuery query, int sent, int failed, int expired, CancellationToken cancellationToken)
    {
        var remaining = await query.CountAsync(rules, cancellationToken);
        return new(sent, failed, expired, remaining, remaining > 0 ? query.After?.ToString() : null);
    }
}
