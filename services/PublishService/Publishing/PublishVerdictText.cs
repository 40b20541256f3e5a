using RuleEngineNats.Messaging;

namespace RuleEngineNats.PublishService.Publishing;

/// <summary>A verdict in a few words for the log; without payload and header values.</summary>
internal static class PublishVerdictText
{
    public static string Of(PublishVerdict verdict) => verdict switch
    {
        PublishVerdict.Malformed malformed => string.Join(", ", malformed.Problems.Select(problem => problem.Code)),
        PublishVerdict.Declined declined => declined.Reason.ToString(),
        PublishVerdict.NotStored { Outcome: PublishOutcome.Refused refused } => $"{refused.Reason}: {refused.Message}",
        PublishVerdict.NotStored { Outcome: PublishOutcome.Unavailable unavailable } => $"{unavailable.Reason}: {unavailable.Message}",
        PublishVerdict.Pending => "the relay will publish it",
        _ => string.Empty,
    };
}
