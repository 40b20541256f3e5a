using Microsoft.AspNetCore.Diagnostics;
using Npgsql;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.Problems;

/// <summary>Turns what no slice handles into a problem: database errors, requests that Kestrel refuses, bugs.</summary>
internal sealed partial class ExceptionProblems(ILogger<ExceptionProblems> logger) : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        if (httpContext.RequestAborted.IsCancellationRequested)
        {
            return true;
        }

        await Of(exception, httpContext).WriteAsync(httpContext);
        return true;
    }

    private Problem Of(Exception exception, HttpContext context)
    {
        switch (exception)
        {
            case PostgresException database:
                var problem = SqlProblems.From(database);
                if (problem.Status >= 500)
                {
                    LogDatabase(database.SqlState, database.MessageText);
                }

                return problem;
            case NpgsqlException or TimeoutException:
                LogDatabase(string.Empty, exception.Message);
                // The driver's own text names the host and the user.
                return SqlProblems.Unavailable("no connection");
            case BadHttpRequestException request:
                return RequestProblems.From(request, context);
            default:
                LogUnexpected(exception);
                return SqlProblems.Unexpected();
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "PostgreSQL refused or did not answer: {SqlState} {Reason}")]
    private partial void LogDatabase(string sqlState, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Request failed")]
    private partial void LogUnexpected(Exception exception);
}
