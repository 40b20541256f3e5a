using System.Globalization;
using RuleEngineNats.Contracts;

namespace RuleEngineNats.DeliveryWorker.Replays;

/// <summary>The header that tells a receiver that it gets an event once more. It comes from the call's own column: nobody else may send a name of that kind.</summary>
internal static class ReplayHeader
{
    public static IReadOnlyList<KeyValuePair<string, string>> Add(IReadOnlyList<KeyValuePair<string, string>> headers, long? replayId)
        => replayId is { } id ? [.. headers, KeyValuePair.Create(WebhookHeaders.Replay, id.ToString(CultureInfo.InvariantCulture))] : headers;
}
