namespace RuleEngineNats.ConfigService.Problems;

/// <summary>Problems of requests that reach no slice, and how a problem is written.</summary>
internal static class RequestProblems
{
    /// <summary>Exceptions and answers without a body become problem details.</summary>
    public static void UseProblems(this WebApplication app)
    {
        app.UseExceptionHandler(static _ => { });
        app.UseStatusCodePages(context => Of(context.HttpContext).WriteAsync(context.HttpContext));
    }

    public static Task WriteAsync(this Problem problem, HttpContext context)
    {
        if (problem.Status == 503)
        {
            ExceptionProblems.AddRetryAfter(context.Response);
        }

        return problem.ToResult().ExecuteAsync(context);
    }

    public static Problem From(BadHttpRequestException exception) => exception.StatusCode switch
    {
        413 => BodyTooLarge(),
        408 => Problem.Of(408, "too_slow", "The body came too slowly.", "Send the request again."),
        _ => Problem.Of(exception.StatusCode, "invalid_request", exception.Message, "See the OpenAPI document at /openapi/v1.json."),
    };

    public static Problem BodyTooLarge() => Problem.Of(
        413, FieldProblem.TooLarge, "The body is larger than this service takes.", "Send less; ConfigService:MaxRequestBodyBytes is the limit.");

    public static Problem UnsupportedMediaType(string detail) => Problem.Of(
        415, "unsupported_media_type", detail, "Send JSON in UTF-8, not compressed, as application/json.");

    private static Problem Of(HttpContext context) => context.Response.StatusCode switch
    {
        404 => Problem.NotFound("no_such_route", "There is nothing at this address.", "See the OpenAPI document at /openapi/v1.json."),
        405 => Problem.Of(405, "method_not_allowed", $"This address does not take {Method(context)}.", $"It takes {context.Response.Headers.Allow}."),
        415 => UnsupportedMediaType("The body is not JSON."),
        var status => Problem.Of(status, "invalid_request", "The request was refused.", "See the OpenAPI document at /openapi/v1.json."),
    };

    private static string Method(HttpContext context) => context.Request.Method is { Length: <= 16 } method ? method : "this method";
}
