using RuleEngineNats.IngestionApi.Problems;

namespace RuleEngineNats.IngestionApi.Status;

/// <summary>GET /ingest/status/{messageId}.</summary>
internal static class GetStatus
{
    public const string Field = "message_id";

    public static readonly Refusal NotFound = new(
        404, "message_not_found", Field, "Message not found", "Give an id that was returned here; one of a document that nobody stored in time has expired.");

    public static async Task<IResult> HandleAsync(string messageId, FindStatus find, CancellationToken cancellationToken)
        => FindStatus.ParseId(messageId, Field, out var id) is { } refusal ? refusal.ToProblem().ToResult()
            : await find.OneAsync(id, cancellationToken) is { } status ? Results.Ok(status)
            : NotFound.ToProblem().ToResult();
}
