using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace RuleEngineNats.DeliveryWorker.Delivery;

/// <summary>
/// The <c>webhook-id</c> of an event: its Nats-Msg-Id, which is the same however often it is stored, delivered or retried. Standard Webhooks allows no dot,
/// and a message of another publisher may have one or no id at all; its event id is then a hash of what does identify it.
/// </summary>
internal static class StableEventId
{
    private const int MaxLength = 128;

    public static string Of(string? messageId, string stream, ulong sequence, DateTimeOffset stored)
    {
        if (string.IsNullOrEmpty(messageId))
        {
            // Sequences are used again after a stream is made anew; the time a message was stored is not.
            return Hash(string.Create(CultureInfo.InvariantCulture, $"{stream}\n{sequence}\n{stored.UtcTicks}"));
        }

        // Visible ASCII, as a header value has to be.
        return messageId.Length <= MaxLength && !messageId.AsSpan().ContainsAnyExceptInRange('!', '~') && !messageId.Contains('.', StringComparison.Ordinal)
            ? messageId
            : Hash(messageId);
    }

    private static string Hash(string text) => "evt_" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 24));
}
