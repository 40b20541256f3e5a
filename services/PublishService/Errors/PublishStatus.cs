using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using RuleEngineNats.Messaging;
using RuleEngineNats.PublishService.Publishing;
using Status = RuleEngineNats.Contracts.Rpc.Status;

namespace RuleEngineNats.PublishService.Errors;

/// <summary>The one place where a verdict becomes a gRPC status with its details.</summary>
internal static class PublishStatus
{
    private const string Domain = "ruleengine";
    private const string DetailsTrailer = "grpc-status-details-bin";

    public static Status Of(PublishVerdict verdict) => verdict switch
    {
        PublishVerdict.Malformed malformed => OfProblems(malformed.Problems),
        PublishVerdict.Declined declined => OfDeclined(declined),
        PublishVerdict.NotStored { Outcome: PublishOutcome.Refused refused } notStored => OfRefused(refused, notStored.MessageId),
        PublishVerdict.NotStored { Outcome: PublishOutcome.Unavailable unavailable } notStored => OfUnavailable(unavailable, notStored.MessageId),
        PublishVerdict.Pending pending => Make(
            StatusCode.Unavailable,
            "ACCEPTED_PENDING",
            "the event is committed and will be published by the relay; nats-server could not store it within this call",
            messageId: pending.MessageId),
        _ => throw new InvalidOperationException($"{verdict.GetType().Name} is no error"),
    };

    public static RpcException Exception(PublishVerdict verdict) => Exception(Of(verdict));

    public static RpcException Overloaded() => Exception(Make(
        StatusCode.ResourceExhausted, "OVERLOADED", "too many calls at once", retryAfter: TimeSpan.FromSeconds(1)));

    public static RpcException Stopping() => Exception(Make(
        StatusCode.Unavailable, "STOPPING", "the service is stopping; events without an answer were not handled", retryAfter: TimeSpan.FromSeconds(1)));

    public static RpcException BadBatch(int items, int limit) => items == 0
        ? Exception(OfProblems([new FieldProblem("items", "BATCH_EMPTY", "items: empty")]))
        : Exception(OfProblems([new FieldProblem("items", "BATCH_TOO_LARGE", $"items: {items}, at most {limit}", TooLarge: true)]));

    // A request that is wrong in some fields and too large in others is wrong: made smaller, it would still be refused.
    private static Status OfProblems(IReadOnlyList<FieldProblem> problems)
    {
        var first = problems.FirstOrDefault(problem => !problem.TooLarge) ?? problems[0];
        var status = Make(
            first.TooLarge ? StatusCode.ResourceExhausted : StatusCode.InvalidArgument, first.Code, string.Join("; ", problems.Select(problem => problem.Message)));
        var request = new BadRequest();
        request.FieldViolations.Add(problems.Select(problem => new BadRequest.Types.FieldViolation { Field = problem.Field, Description = problem.Message }));
        status.Details.Add(Any.Pack(request));
        return status;
    }

    private static Status OfDeclined(PublishVerdict.Declined declined)
    {
        var (code, reason) = declined.Reason switch
        {
            DeclineReason.WebhookNotFound => (StatusCode.NotFound, "WEBHOOK_NOT_FOUND"),
            DeclineReason.WebhookNotNatsEnabled => (StatusCode.FailedPrecondition, "WEBHOOK_NOT_NATS_ENABLED"),
            DeclineReason.ConfigurationDisabled => (StatusCode.FailedPrecondition, "CONFIGURATION_DISABLED"),
            DeclineReason.SubjectNotAllowed => (StatusCode.PermissionDenied, "SUBJECT_NOT_ALLOWED"),
            DeclineReason.MessageIdReused => (StatusCode.AlreadyExists, "MESSAGE_ID_REUSED"),
            _ => (StatusCode.Unavailable, "HISTORY_UNAVAILABLE"),
        };
        var status = Make(code, reason, declined.Message);
        if (declined.Field.Length > 0)
        {
            var request = new BadRequest();
            request.FieldViolations.Add(new BadRequest.Types.FieldViolation { Field = declined.Field, Description = declined.Message });
            status.Details.Add(Any.Pack(request));
        }

        return status;
    }

    private static Status OfRefused(PublishOutcome.Refused refused, string messageId) => refused.Reason switch
    {
        RefusalReason.BodyMismatch => OfDeclined(new PublishVerdict.Declined(DeclineReason.MessageIdReused, "message_id", "message_id: it was used before with another body")),
        RefusalReason.TooLarge => Make(StatusCode.ResourceExhausted, "PAYLOAD_TOO_LARGE", refused.Message, messageId),
        RefusalReason.WrongStream => Make(StatusCode.FailedPrecondition, "STREAM_MISMATCH", refused.Message, messageId),
        RefusalReason.PermissionDenied => Make(StatusCode.PermissionDenied, "NATS_PERMISSION", refused.Message, messageId),
        RefusalReason.InvalidSubject => Make(StatusCode.InvalidArgument, "SUBJECT_INVALID", refused.Message, messageId),
        RefusalReason.InvalidHeader => Make(StatusCode.InvalidArgument, "HEADER_INVALID", refused.Message, messageId),
        _ => Make(StatusCode.FailedPrecondition, "STREAM_REFUSED", refused.Message, messageId),
    };

    private static Status OfUnavailable(PublishOutcome.Unavailable unavailable, string messageId) => unavailable.Reason switch
    {
        UnavailableReason.NoStream => Make(StatusCode.FailedPrecondition, "STREAM_MISSING", unavailable.Message, messageId),
        UnavailableReason.StreamFull => Make(StatusCode.ResourceExhausted, "STREAM_FULL", unavailable.Message, messageId, TimeSpan.FromSeconds(5)),
        UnavailableReason.Timeout => Make(StatusCode.Unavailable, "OUTCOME_UNKNOWN", unavailable.Message, messageId, TimeSpan.FromSeconds(1)),
        _ => Make(StatusCode.Unavailable, "NATS_UNAVAILABLE", unavailable.Message, messageId, TimeSpan.FromSeconds(1)),
    };

    private static Status Make(StatusCode code, string reason, string message, string? messageId = null, TimeSpan? retryAfter = null)
    {
        // Field 1: CommonProtos 2.0.0 still has its first name; later ones, and the other languages, call it reason.
        var info = new ErrorInfo { Domain = Domain, Type = reason };
        if (messageId is not null)
        {
            info.Metadata.Add("message_id", messageId);
        }

        var status = new Status { Code = (int)code, Message = message, Details = { Any.Pack(info) } };
        if (retryAfter is { } delay)
        {
            status.Details.Add(Any.Pack(new RetryInfo { RetryDelay = Duration.FromTimeSpan(delay) }));
        }

        return status;
    }

    private static RpcException Exception(Status status)
        => new(new Grpc.Core.Status((StatusCode)status.Code, status.Message), new Metadata { { DetailsTrailer, status.ToByteArray() } }, status.Message);
}
