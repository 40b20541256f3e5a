using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace RuleEngineNats.DeliveryWorker.Signing;

/// <summary>Signs as Standard Webhooks 1.0.0 says: HMAC-SHA256 over <c>id.timestamp.body</c>, the body being the raw bytes of the request.</summary>
internal static class WebhookSignature
{
    /// <summary>The value of <c>webhook-signature</c>: one <c>v1,…</c> for each key, so that a receiver may check either one while a secret is rotated.</summary>
    public static string Compute(string id, long timestamp, ReadOnlySpan<byte> body, IReadOnlyList<byte[]> keys)
    {
        var prefix = string.Create(CultureInfo.InvariantCulture, $"{id}.{timestamp}.");
        var buffer = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(prefix.Length) + body.Length);
        try
        {
            var length = Encoding.UTF8.GetBytes(prefix, buffer);
            body.CopyTo(buffer.AsSpan(length));
            var signed = buffer.AsSpan(0, length + body.Length);
            return keys.Count == 1 ? Sign(keys[0], signed) : SignWithAll(keys, signed);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static string SignWithAll(IReadOnlyList<byte[]> keys, ReadOnlySpan<byte> signed)
    {
        var signatures = new string[keys.Count];
        for (var index = 0; index < signatures.Length; index++)
        {
            signatures[index] = Sign(keys[index], signed);
        }

        return string.Join(' ', signatures);
    }

    private static string Sign(ReadOnlySpan<byte> key, ReadOnlySpan<byte> signed)
    {
        Span<byte> hash = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(key, signed, hash);
        return "v1," + Convert.ToBase64String(hash);
    }
}
