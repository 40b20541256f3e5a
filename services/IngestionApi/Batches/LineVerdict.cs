using RuleEngineNats.IngestionApi.Problems;

namespace RuleEngineNats.IngestionApi.Batches;

/// <summary>What became of a line.</summary>
/// <param name="Line">Its number.</param>
/// <param name="MessageId">Its id; empty where it was refused for what it is.</param>
/// <param name="IsKnown">Whether it is decided.</param>
/// <param name="Refusal">Why it was not accepted; null where it was, or is not decided.</param>
/// <param name="IsReplay">Whether the stream or PostgreSQL had it already under its idempotency key.</param>
internal readonly record struct LineVerdict(int Line, Guid MessageId, bool IsKnown, Refusal? Refusal, bool IsReplay = false)
{
    public const string Accepted = "accepted";

    /// <summary>accepted: it is stored in the stream. rejected: it is wrong. unavailable: it is to be sent again.</summary>
    public string Status => Refusal is null ? Accepted : Refusal.IsUnavailable ? "unavailable" : "rejected";
}
