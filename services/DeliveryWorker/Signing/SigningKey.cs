using System.Text;

namespace RuleEngineNats.DeliveryWorker.Signing;

/// <summary>The bytes a secret stands for.</summary>
internal static class SigningKey
{
    private const string Prefix = "whsec_";

    /// <summary>
    /// Standard Webhooks secrets are <c>whsec_</c> and base64, and the prefix may be left out. Any other text, which SQL lets a user store, is taken as its
    /// UTF-8 bytes: both sides then share at least the same key.
    /// </summary>
    public static byte[] Parse(string secret)
    {
        var text = secret.StartsWith(Prefix, StringComparison.Ordinal) ? secret[Prefix.Length..] : secret;
        var key = new byte[text.Length];
        return Convert.TryFromBase64String(text, key, out var length) && length > 0 ? key[..length] : Encoding.UTF8.GetBytes(secret);
    }
}
