using System.Globalization;
using RuleEngineNats.Problems;

namespace RuleEngineNats.ConfigService.DeadLetters;

/// <summary>The call id in a path: what is no number is the id of nothing.</summary>
internal static class CallIds
{
    public static long? Parse(string text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : null;

    public static IResult NotFound(string callId)
        => Problem.NotFound("not_found", $"Call not found: {callId[..Math.Min(callId.Length, 64)]}", "GET /api/v1/dead-letters lists them.").ToResult();

    public static Problem NotDead(long callId)
        => Problem.Of(409, "conflict", $"Call {callId} is no dead letter: it is due or was delivered.", "GET /api/v1/dead-letters lists those that are.");
}
