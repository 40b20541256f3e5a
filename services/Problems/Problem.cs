using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;

namespace RuleEngineNats.Problems;

/// <summary>An error as RFC 9457 describes it, with a code for programs and a fix for people.</summary>
/// <param name="Type">Identifies the kind of problem: urn:rule-engine-nats:problem: and the code.</param>
/// <param name="Title">The kind of problem in a few words; the same for each occurrence.</param>
/// <param name="Status">The HTTP status.</param>
/// <param name="Code">For programs; it does not change.</param>
/// <param name="Detail">What is wrong this time. Never the value of a secret.</param>
/// <param name="Errors">Every problem found in the request; empty when it is not about one part of the request.</param>
public sealed record Problem(string Type, string Title, int Status, string Code, string Detail, IReadOnlyList<FieldProblem> Errors)
{
    /// <summary>The media type of every problem.</summary>
    public const string ContentType = "application/problem+json";

    private const int DefaultRetryAfterSeconds = 2;

    /// <summary>What to do about it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Fix { get; init; }

    /// <summary>The same in the words of an older interface, for clients that were written for it; null where there was none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Error { get; init; }

    /// <summary>The trace of the request, to look up in the logs.</summary>
    [JsonPropertyName("traceId"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? TraceId { get; init; }

    /// <summary>The header Retry-After in seconds. A 503 has one in any case.</summary>
    [JsonIgnore]
    public int? RetryAfterSeconds { get; init; }

    /// <summary>A problem that may be about fields.</summary>
    public static Problem Of(int status, string code, string detail, string? fix = null, params IReadOnlyList<FieldProblem> errors)
        => new($"urn:rule-engine-nats:problem:{code}", TitleOf(status), status, code, detail, errors)
        {
            Fix = fix,
            TraceId = Activity.Current?.TraceId.ToString(),
        };

    /// <summary>All problems of a request in one answer: 413 when each is about a size, else 400.</summary>
    public static Problem OfFields(IReadOnlyList<FieldProblem> errors)
        => OfFields(errors.All(error => error.Code == FieldProblem.TooLarge) ? 413 : 400, errors);

    /// <summary>All problems of a request in one answer.</summary>
    public static Problem OfFields(int status, IReadOnlyList<FieldProblem> errors) => errors.Count == 1
        ? Of(status, errors[0].Code, errors[0].Message, errors[0].Fix, errors)
        : Of(status, "validation_failed", $"{errors.Count} problems; see errors", "Correct every field that errors names.", errors);

    /// <summary>404.</summary>
    public static Problem NotFound(string code, string detail, string fix) => Of(404, code, detail, fix);

    /// <summary>The answer.</summary>
    public IResult ToResult() => RetryAfterSeconds is null && Status != 503 ? ToJson() : new Later(this);

    /// <summary>Answers a request with it.</summary>
    public Task WriteAsync(HttpContext context) => ToResult().ExecuteAsync(context);

    private IResult ToJson() => Results.Json(this, ProblemJson.Default.Problem, ContentType, Status);

    private static string TitleOf(int status) => status switch
    {
        400 => "The request is not valid",
        404 => "Not found",
        405 => "The method is not allowed here",
        408 => "The request came too slowly",
        409 => "The request conflicts with what exists",
        410 => "It is no longer there",
        413 => "The request is too large",
        414 => "The address is too long",
        415 => "The content type is not supported",
        422 => "The document is not one that is taken here",
        429 => "Too many requests",
        431 => "The request headers are too large",
        503 => "A service this one needs is not available",
        _ => "The request failed",
    };

    private sealed class Later(Problem problem) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext)
        {
            httpContext.Response.Headers.RetryAfter = (problem.RetryAfterSeconds ?? DefaultRetryAfterSeconds).ToString(CultureInfo.InvariantCulture);
            return problem.ToJson().ExecuteAsync(httpContext);
        }
    }
}

/// <summary>One thing that is wrong with a request.</summary>
/// <param name="Code">For programs: required, unknown_field, wrong_type, out_of_range, too_long, too_large, invalid_value, invalid_subject, invalid_header, url_not_allowed and so on.</param>
/// <param name="Field">Where: the JSON path, or the name of the parameter or header.</param>
/// <param name="Message">What is wrong. Never the value of a secret.</param>
/// <param name="Fix">What to do about it.</param>
public sealed record FieldProblem(string Code, string Field, string Message, string Fix)
{
    /// <summary>The code of what is beyond a size.</summary>
    public const string TooLarge = "too_large";

    /// <summary>The limit that was passed, where there is one.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Limit { get; init; }
}

/// <summary>How problems are written.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(Problem))]
internal sealed partial class ProblemJson : JsonSerializerContext;
