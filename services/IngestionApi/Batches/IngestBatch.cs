using System.Globalization;
using Microsoft.Extensions.Options;
using RuleEngineNats.Contracts;
using RuleEngineNats.IngestionApi.Health;
using RuleEngineNats.IngestionApi.Limits;
using RuleEngineNats.IngestionApi.Messages;
using RuleEngineNats.IngestionApi.Problems;
using RuleEngineNats.IngestionApi.Reading;

namespace RuleEngineNats.IngestionApi.Batches;

/// <summary>POST /ingest/batch: a document a line, or an array of them; one verdict for each, in order.</summary>
internal sealed class IngestBatch(
    PublishDocument publish, EntityHints entities, KnownKeys keys, PublishPlaces places, Admission admission, BatchRows rows, IOptions<IngestionOptions> options, TimeProvider time)
{
    private readonly IngestionOptions _options = options.Value;

    public Task HandleAsync(HttpContext context) => admission.RunAsync(context, TryHandleAsync);

    private async ValueTask<Refusal?> TryHandleAsync(HttpContext context, string client)
    {
        var request = context.Request;
        var terms = ClientTerms.Read(request, client, entities, out var refusal);
        var media = RequestMedia.CheckBatch(request, out var isArray);
        return refusal ?? media ?? await RunAsync(context, terms, isArray);
    }

    private async ValueTask<Refusal?> RunAsync(HttpContext context, ClientTerms terms, bool isArray)
    {
        await using var bytes = RequestBytes.Open(context.Request, terms.IsGzip, _options.MaxBatchBytes);
        if (context.Request.ContentLength > _options.MaxBatchBytes)
        {
            return Refusals.TooLarge(_options.MaxBatchBytes, "Ingestion:MaxBatchBytes");
        }

        var id = terms.Key is null ? IngestMessageId.New(time.GetUtcNow()) : IngestMessageId.ForKey(terms.Client, terms.Key);
        var run = new BatchRun(id, terms, publish, entities, places, _options, time, terms.Key is null ? null : await keys.FindBatchAsync(id));
        var answer = new BatchAnswer(context, run, time);
        var asLines = AsksForLines(context.Request);
        await run.RunAsync(bytes.Reader, isArray ? new SplitArray(_options.MaxLineBytes) : new SplitLines(_options.MaxLineBytes), asLines ? answer.WriteKnownAsync : null);

        IngestionMetrics.AcceptedLines(run.Accepted);
        if (run.Verdicts.Count > 0)
        {
            rows.Add(new(id, run.ReceivedAt, run.Lines, run.Accepted, run.Rejected, run.Unavailable, run.IsComplete));
        }

        if (Refuse(run, isArray) is { } refusal)
        {
            return refusal;
        }

        var status = Status(run, context.Response);
        await (asLines ? answer.EndLinesAsync(status) : answer.WriteObjectAsync(status));
        return null;
    }

    /// <summary>Why the batch as a whole is refused. Once a line is accepted it is not: the client has to learn which.</summary>
    private static Refusal? Refuse(BatchRun run, bool isArray) => run.Accepted > 0 ? null
        : run.Cut ?? (!isArray && run is { Verdicts.Count: 0, Blank: 0, IsComplete: true } ? Refusals.EmptyBatch : null);

    private static int Status(BatchRun run, HttpResponse response)
    {
        if (run.Accepted > 0 || run.Unavailable == 0)
        {
            return StatusCodes.Status202Accepted;
        }

        for (var index = 0; index < run.Verdicts.Count; index++)
        {
            if (run.Verdicts[index].Refusal is { IsUnavailable: true, RetryAfterSeconds: { } seconds })
            {
                response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
                break;
            }
        }

        return StatusCodes.Status503ServiceUnavailable;
    }

    private static bool AsksForLines(HttpRequest request)
    {
        foreach (var accepted in request.Headers.Accept)
        {
            if (accepted?.Contains(RequestMedia.JsonLines, StringComparison.OrdinalIgnoreCase) == true)
            {
                return true;
            }
        }

        return false;
    }
}
