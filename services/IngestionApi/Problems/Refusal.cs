using RuleEngineNats.Problems;

namespace RuleEngineNats.IngestionApi.Problems;

/// <summary>Why a document, a line or a request is not taken: the one form from which a problem and a line's verdict are made.</summary>
/// <param name="Status">The HTTP status it has for a request of its own. 503: it is fine, and is to be sent again.</param>
/// <param name="Code">For programs.</param>
/// <param name="Field">The part of the request, or the document's field; empty where it is about none.</param>
/// <param name="Message">What is wrong; never a part of the document.</param>
/// <param name="Fix">What to do about it.</param>
internal sealed record Refusal(int Status, string Code, string Field, string Message, string Fix)
{
    /// <summary>The limit that was passed, where there is one.</summary>
    public double? Limit { get; init; }

    /// <summary>After how many seconds to send it again.</summary>
    public int? RetryAfterSeconds { get; init; }

    /// <summary>All that is wrong, where that is more than one thing.</summary>
    public IReadOnlyList<FieldProblem> Errors { get; init; } = [];

    /// <summary>Whether it says that the document is no JSON, which older clients know by "Invalid JSON".</summary>
    public bool IsJson { get; init; }

    public bool IsUnavailable => Status == StatusCodes.Status503ServiceUnavailable;

    /// <summary>What an older client finds in <c>errors</c> of a batch behind "Line 3: ".</summary>
    public string OlderLineText => IsUnavailable ? $"NATS error: {Message}" : OlderText;

    private string OlderText => IsJson ? $"Invalid JSON: {Message}" : Message;

    public Problem ToProblem()
    {
        var errors = Errors.Count > 0 ? Errors : Field.Length == 0 ? [] : [new FieldProblem(Code, Field, Message, Fix) { Limit = Limit }];
        var older = Status < 500 ? $"Validation error: {OlderText}" : $"Internal error: NATS publish failed: {Message}";
        return Problem.Of(Status, Code, Message, Fix, errors) with { Error = older, RetryAfterSeconds = RetryAfterSeconds };
    }

    public Task WriteAsync(HttpContext context) => ToProblem().WriteAsync(context);
}
