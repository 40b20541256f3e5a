using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace RuleEngineNats.DeliveryWorker.Signing;

/// <summary>The signatures of a request, each over the raw bytes of its body.</summary>
internal static class WebhookSignature
{
    /// <summary>
    /// The value of <c>webhook-signature</c> by Standard Webhooks 1.0.0: <c>v1,…</c> (HMAC-SHA256) or <c>v1a,…</c> (ed25519) over <c>id.timestamp.body</c> for each
    /// key, so that a receiver may check any one while a secret is rotated.
    /// </summary>
    public static string Compute(string id, long timestamp, ReadOnlySpan<byte> body, IReadOnlyList<SigningKey> keys)
        => OverPrefixed(string.Create(CultureInfo.InvariantCulture, $"{id}.{timestamp}."), body, keys, static (keys, signed, length) =>
            keys.Count == 1 ? keys[0].Sign(signed, length) : string.Join(' ', keys.Select(key => key.Sign(signed, length))));

    /// <summary>The value of <c>X-Hub-Signature-256</c>: over the body alone, by the newest key, since the header has room for one.</summary>
    public static string GitHub(ReadOnlySpan<byte> body, IReadOnlyList<SigningKey> keys) => "sha256=" + Hex(keys[0].TextBytes, body);

    /// <summary>The value of <c>Stripe-Signature</c>: over <c>timestamp.body</c>, a v1 for each key.</summary>
    public static string Stripe(long timestamp, ReadOnlySpan<byte> body, IReadOnlyList<SigningKey> keys)
        => string.Create(CultureInfo.InvariantCulture, $"t={timestamp}") + OverPrefixed(
            string.Create(CultureInfo.InvariantCulture, $"{timestamp}."), body, keys,
            static (keys, signed, length) => string.Concat(keys.Select(key => ",v1=" + Hex(key.TextBytes, signed.AsSpan(0, length)))));

    private static string OverPrefixed(
        string prefix, ReadOnlySpan<byte> body, IReadOnlyList<SigningKey> keys, Func<IReadOnlyList<SigningKey>, byte[], int, string> sign)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(prefix.Length) + body.Length);
        try
        {
            var length = Encoding.UTF8.GetBytes(prefix, buffer);
            body.CopyTo(buffer.AsSpan(length));
            return sign(keys, buffer, length + body.Length);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static string Hex(byte[] key, ReadOnlySpan<byte> signed) => Convert.ToHexStringLower(HMACSHA256.HashData(key, signed));
}
