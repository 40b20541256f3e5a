using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace RuleEngineNats.Problems;

/// <summary>What the problems of a service refer to. Registered as a singleton.</summary>
/// <param name="OpenApi">The address of its OpenAPI document.</param>
/// <param name="BodyLimit">The setting that bounds its bodies.</param>
internal sealed record ProblemTexts(string OpenApi, string BodyLimit);

/// <summary>Problems of requests that reach no slice, and how a problem is written.</summary>
internal static class RequestProblems
{
    /// <summary>Exceptions and answers without a body become problem details.</summary>
    public static void UseProblems(this WebApplication app)
    {
        app.UseExceptionHandler(static _ => { });
        app.UseStatusCodePages(context => Of(context.HttpContext).WriteAsync(context.HttpContext));
    }

    /// <summary>Of a request that Kestrel could not read to its end.</summary>
    public static Problem From(BadHttpRequestException exception, HttpContext context) => exception.StatusCode switch
    {
        413 => BodyTooLarge(context),
        408 => Problem.Of(408, "too_slow", "The body came too slowly.", "Send the request again."),
        _ => Problem.Of(exception.StatusCode, "invalid_request", exception.Message, SeeOpenApi(context)),
    };

    /// <summary>415.</summary>
    public static Problem UnsupportedMediaType(string detail) => Problem.Of(
        415, "unsupported_media_type", detail, "Send JSON in UTF-8, not compressed, as application/json.");

    private static Problem BodyTooLarge(HttpContext context) => Problem.Of(
        413, FieldProblem.TooLarge, "The body is larger than this service takes.", $"Send less; {Texts(context).BodyLimit} is the limit.");

    private static Problem Of(HttpContext context) => context.Response.StatusCode switch
    {
        404 => Problem.NotFound("no_such_route", "There is nothing at this address.", SeeOpenApi(context)),
        405 => Problem.Of(405, "method_not_allowed", $"This address does not take {Method(context)}.", $"It takes {context.Response.Headers.Allow}."),
        415 => UnsupportedMediaType("The body is not JSON."),
        var status => Problem.Of(status, "invalid_request", "The request was refused.", SeeOpenApi(context)),
    };

    private static string SeeOpenApi(HttpContext context) => $"See the OpenAPI document at {Texts(context).OpenApi}.";

    private static ProblemTexts Texts(HttpContext context) => context.RequestServices.GetRequiredService<ProblemTexts>();

    private static string Method(HttpContext context) => context.Request.Method is { Length: <= 16 } method ? method : "this method";
}
