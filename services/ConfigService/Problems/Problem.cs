using System.Diagnostics;
using System.Text.Json.Serialization;

namespace RuleEngineNats.ConfigService.Problems;

/// <summary>An error as RFC 9457 describes it, with a code for programs and a fix for people.</summary>
/// <param name="Type">Identifies the kind of problem: urn:rule-engine-nats:problem: and the code.</param>
/// <param name="Title">The kind of problem in a few words; the same for each occurrence.</param>
/// <param name="Status">The HTTP status.</param>
/// <param name="Code">For programs; it does not change.</param>
/// <param name="Detail">What is wrong this time. Never the value of a secret.</param>
/// <param name="Errors">Every problem found in the request; empty when it is not about one part of the request.</param>
internal sealed record Problem(string Type, string Title, int Status, string Code, string Detail, IReadOnlyList<FieldProblem> Errors)
{
    public const string ContentType = "application/problem+json";

    /// <summary>What to do about it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Fix { get; init; }

    /// <summary>The trace of the request, to look up in the logs.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? TraceId { get; init; }

    public static Problem Of(int status, string code, string detail, string? fix = null, params IReadOnlyList<FieldProblem> errors)
        => new($"urn:rule-engine-nats:problem:{code}", TitleOf(status), status, code, detail, errors)
        {
            Fix = fix,
            TraceId = Activity.Current?.TraceId.ToString(),
        };

    /// <summary>All problems of a request in one answer: 413 when each is about a size, else 400.</summary>
    public static Problem OfFields(IReadOnlyList<FieldProblem> errors)
    {
        var status = errors.All(error => error.Code == FieldProblem.TooLarge) ? 413 : 400;
        return errors.Count == 1
            ? Of(status, errors[0].Code, errors[0].Message, errors[0].Fix, errors)
            : Of(status, "validation_failed", $"{errors.Count} problems; see errors", "Correct every field that errors names.", errors);
    }

    public static Problem NotFound(string code, string detail, string fix) => Of(404, code, detail, fix);

    public static Problem NoWebhook(string identifier) => NotFound(
        "webhook_not_found", $"There is no webhook with the id or name {Shown(identifier)}.", "GET /api/v1/webhooks lists them.");

    public static Problem NoConnection(string name) => NotFound(
        "connection_not_found", $"There is no connection {Shown(name)}.", "GET /api/v1/connections lists them.");

    public IResult ToResult() => Results.Json(this, ConfigJson.Default.Problem, ContentType, Status);

    private static string Shown(string text) => $"\"{(text.Length > 64 ? text[..64] + "…" : text)}\"";

    private static string TitleOf(int status) => status switch
    {
        400 => "The request is not valid",
        404 => "Not found",
        405 => "The method is not allowed here",
        408 => "The request came too slowly",
        409 => "The request conflicts with what exists",
        413 => "The request is too large",
        414 => "The address is too long",
        415 => "The content type is not supported",
        431 => "The request headers are too large",
        503 => "A service this one needs is not available",
        _ => "The request failed",
    };
}

/// <summary>One thing that is wrong with a request.</summary>
/// <param name="Code">For programs: required, unknown_field, wrong_type, out_of_range, too_long, too_large, invalid_value, invalid_subject, invalid_header, url_not_allowed and so on.</param>
/// <param name="Field">Where: the JSON path, or the name of the parameter.</param>
/// <param name="Message">What is wrong. Never the value of a secret.</param>
/// <param name="Fix">What to do about it.</param>
internal sealed record FieldProblem(string Code, string Field, string Message, string Fix)
{
    public const string TooLarge = "too_large";

    /// <summary>The limit that was passed, where there is one.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Limit { get; init; }
}
