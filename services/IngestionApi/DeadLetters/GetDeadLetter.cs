using RuleEngineNats.IngestionApi.Status;

namespace RuleEngineNats.IngestionApi.DeadLetters;

/// <summary>GET /ingest/dead-letters/{messageId}.</summary>
internal static class GetDeadLetter
{
    public static async Task<IResult> HandleAsync(string messageId, ReadLetter read, CancellationToken cancellationToken)
    {
        if (FindStatus.ParseId(messageId, ReadLetter.Field, out var id) is { } invalid)
        {
            return invalid.ToProblem().ToResult();
        }

        if (await read.FindAsync(id, cancellationToken) is not { } letter)
        {
            return ReadLetter.NotFound.ToProblem().ToResult();
        }

        var (document, refusal) = await read.DocumentAsync(letter, cancellationToken);
        return document is null ? refusal!.ToProblem().ToResult() : Results.Ok(ReadLetter.Show(letter, document));
    }
}
