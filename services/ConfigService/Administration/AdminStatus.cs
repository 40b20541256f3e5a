using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Npgsql;
using RuleEngineNats.ConfigService.Problems;
using RuleEngineNats.Problems;
using Status = RuleEngineNats.Contracts.Rpc.Status;

namespace RuleEngineNats.ConfigService.Administration;

/// <summary>The one place where a problem becomes a gRPC status with its details: what HTTP clients are told, in gRPC's words.</summary>
internal sealed partial class AdminStatus(ILogger<AdminStatus> logger) : Interceptor
{
    private const string Domain = "ruleengine";
    private const string DetailsTrailer = "grpc-status-details-bin";

    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            return await continuation(request, context);
        }
        catch (Exception e) when (IsOurs(e, context))
        {
            throw Exception(Of(e));
        }
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            await continuation(request, responseStream, context);
        }
        catch (Exception e) when (IsOurs(e, context))
        {
            throw Exception(Of(e));
        }
    }

    public static RpcException Exception(Problem problem)
    {
        var status = Make(problem);
        return new(new Grpc.Core.Status((StatusCode)status.Code, status.Message), new Metadata { { DetailsTrailer, status.ToByteArray() } }, status.Message);
    }

    private static bool IsOurs(Exception exception, ServerCallContext context)
        => exception is not RpcException && !context.CancellationToken.IsCancellationRequested && !context.Method.StartsWith("/grpc.", StringComparison.Ordinal);

    private Problem Of(Exception exception)
    {
        switch (exception)
        {
            case PostgresException database when SqlProblems.From(database) is { Status: < 500 } problem:
                return problem;
            case NpgsqlException or TimeoutException:
                LogDatabase((exception as PostgresException)?.SqlState ?? string.Empty, exception.Message);
                return exception is PostgresException refused ? SqlProblems.From(refused) : SqlProblems.Unavailable("no connection");
            default:
                LogUnexpected(exception);
                return SqlProblems.Unexpected();
        }
    }

    private static Status Make(Problem problem)
    {
        var code = problem.Status switch
        {
            400 or 413 => StatusCode.InvalidArgument,
            404 => StatusCode.NotFound,
            409 => StatusCode.FailedPrecondition,
            503 => StatusCode.Unavailable,
            _ => StatusCode.Internal,
        };
        // Field 1: CommonProtos 2.0.0 still has its first name; later ones, and the other languages, call it reason.
        var status = new Status { Code = (int)code, Message = problem.Detail, Details = { Any.Pack(new ErrorInfo { Domain = Domain, Type = problem.Code.ToUpperInvariant() }) } };
        if (problem.Errors.Count > 0)
        {
            var request = new BadRequest();
            request.FieldViolations.Add(problem.Errors.Select(error => new BadRequest.Types.FieldViolation { Field = Snake(error.Field), Description = error.Message }));
            status.Details.Add(Any.Pack(request));
        }

        return status;
    }

    // Fields have the names of the proto here.
    private static string Snake(string field) => string.Concat(field.Select(character => char.IsAsciiLetterUpper(character) ? $"_{char.ToLowerInvariant(character)}" : $"{character}"));

    [LoggerMessage(Level = LogLevel.Warning, Message = "PostgreSQL refused or did not answer: {SqlState} {Reason}")]
    private partial void LogDatabase(string sqlState, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Call failed")]
    private partial void LogUnexpected(Exception exception);
}
