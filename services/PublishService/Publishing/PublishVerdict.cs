using RuleEngineNats.Contracts.Publishing;
using RuleEngineNats.Messaging;

namespace RuleEngineNats.PublishService.Publishing;

/// <summary>Where the handling of one event ended.</summary>
internal abstract record PublishVerdict
{
    private PublishVerdict()
    {
    }

    /// <summary>In the stream.</summary>
    public sealed record Stored(PublishResponse Response) : PublishVerdict;

    /// <summary>The request is malformed; every problem that was found.</summary>
    public sealed record Malformed(IReadOnlyList<FieldProblem> Problems) : PublishVerdict;

    /// <summary>The request is well formed, and the configuration does not allow it.</summary>
    public sealed record Declined(DeclineReason Reason, string Field, string Message) : PublishVerdict;

    /// <summary>JetStream did not store it.</summary>
    /// <param name="Outcome">Refused or unavailable.</param>
    /// <param name="MessageId">The id to repeat it with.</param>
    public sealed record NotStored(PublishOutcome Outcome, string MessageId) : PublishVerdict;

    /// <summary>It is a committed pending row that the relay publishes; the stream was not reachable within this call.</summary>
    public sealed record Pending(string MessageId) : PublishVerdict;
}

/// <summary>A field that is wrong.</summary>
/// <param name="Field">Path as in the proto, such as <c>headers[X-Name]</c>.</param>
/// <param name="Code">Machine code.</param>
/// <param name="Message">For people; names the byte, never a payload or a header value.</param>
/// <param name="TooLarge">It is beyond a size limit rather than wrong.</param>
internal sealed record FieldProblem(string Field, string Code, string Message, bool TooLarge = false);

/// <summary>Why a well-formed event is not taken.</summary>
internal enum DeclineReason
{
    WebhookNotFound,
    WebhookNotNatsEnabled,
    ConfigurationDisabled,
    SubjectNotAllowed,
    MessageIdReused,
    DatabaseUnavailable,
}
