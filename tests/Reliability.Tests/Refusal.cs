using Google.Rpc;
using Grpc.Core;

namespace RuleEngineNats.Reliability.Tests;

/// <summary>What a refused call says beyond its status code.</summary>
internal sealed record Refusal(string Reason, IReadOnlyList<(string Field, string Description)> Violations)
{
    public static Refusal Of(RpcException exception)
    {
        var status = Google.Rpc.Status.Parser.ParseFrom(exception.Trailers.GetValueBytes("grpc-status-details-bin"));
        var reason = "";
        List<(string, string)> violations = [];
        foreach (var detail in status.Details)
        {
            if (detail.Is(ErrorInfo.Descriptor))
            {
                // Its first field was called type before it was called reason.
                reason = detail.Unpack<ErrorInfo>().Type;
            }
            else if (detail.Is(BadRequest.Descriptor))
            {
                violations.AddRange(detail.Unpack<BadRequest>().FieldViolations.Select(violation => (violation.Field, violation.Description)));
            }
        }

        return new(reason, violations);
    }
}

internal static class Deadline
{
    public static DateTime Of(TimeSpan fromNow) => (TimeProvider.System.GetUtcNow() + fromNow).UtcDateTime;
}
