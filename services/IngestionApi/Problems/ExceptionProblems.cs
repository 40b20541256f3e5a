using Microsoft.AspNetCore.Diagnostics;
using Npgsql;
using RuleEngineNats.Problems;

namespace RuleEngineNats.IngestionApi.Problems;

/// <summary>Turns what no slice handles into a problem: a database that is away, requests that Kestrel refuses, bugs.</summary>
internal sealed partial class ExceptionProblems(ILogger<ExceptionProblems> logger) : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        if (!httpContext.RequestAborted.IsCancellationRequested)
        {
            await Of(exception, httpContext).WriteAsync(httpContext);
        }

        return true;
    }

    private Problem Of(Exception exception, HttpContext context)
    {
        switch (exception)
        {
            case NpgsqlException or TimeoutException or OperationCanceledException:
                LogDatabase(exception.Message);
                // The driver's own text names the host and the user.
                return Problem.Of(503, "database_unavailable", "PostgreSQL did not answer.", "Try again after the time in Retry-After; documents are accepted all the same.")
                    with
                { Error = "Database pool error: PostgreSQL did not answer" };
            case BadHttpRequestException request:
                return RequestProblems.From(request, context).ForOlderClients();
            default:
                LogUnexpected(exception);
                return Problem.Of(500, "internal_error", "The request failed for a reason that is not in the request.", "Look up the trace id in the logs of the ingestion API.")
                    with
                { Error = "Internal error" };
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "PostgreSQL refused or did not answer: {Reason}")]
    private partial void LogDatabase(string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Request failed")]
    private partial void LogUnexpected(Exception exception);
}
